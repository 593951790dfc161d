"""Short texts that travel with a task beside its arguments. Comes from middleware, seen as ``Context.headers``.

What may travel is looked at twice: before a task is sent, and when a frame of anybody's has arrived.
"""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

__all__ = ["MOST_BYTES", "MOST_HEADERS", "NO_HEADERS", "misfit"]

MOST_HEADERS = 64
MOST_BYTES = 8 * 1024
"""Of all names and values of one task together, as UTF-8."""

NO_HEADERS: MappingProxyType[str, str] = MappingProxyType({})
"""Of nearly every call."""


def misfit(headers: Collection[tuple[object, object]]) -> str:
    """What was expected instead; empty when they may travel. Never holds a value."""
    if len(headers) > MOST_HEADERS:
        return f"expected at most {MOST_HEADERS} headers, got {len(headers)}"
    size = 0
    for name, value in headers:
        if not isinstance(name, str) or not isinstance(value, str) or not name:
            return "expected headers to be text: names of one character at least, and values"
        try:
            size += len(name.encode()) + len(value.encode())
        except UnicodeEncodeError:
            return "expected headers without lone surrogates"
    return f"expected headers of at most {MOST_BYTES} bytes in all, got {size}" if size > MOST_BYTES else ""
