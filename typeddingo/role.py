"""The roles an object can play for an app, and the rooms an event can come from."""

from __future__ import annotations

import enum

__all__ = ["Role"]


class Role(enum.IntFlag):
    """Bit flags with Go's values (Go: ``ObjT``)."""

    DEFAULT = 0
    """Every role the object implements."""
    REPORTER = 1
    STORE = 2
    PRODUCER = 4
    CONSUMER = 8
    MAPPER = 16
    WORKER = 32
    BRIDGE = 64
    NAMED_CONSUMER = 128
    CHAIN_ROUTINE = 256
    ALL = 2**63 - 1
