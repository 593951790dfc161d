"""Faults on purpose: servers, networks and workers are killed, frozen, filled and lied to, and nothing may be lost.

The ids (F01 …) name the rows of docs/promises.md. ``scale.py`` says how large each is here and in ``scripts/faults``.
"""
