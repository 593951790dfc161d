"""Ratios to what everybody knows, taken side by side in one run: ``python -m benchmarks --help``."""
