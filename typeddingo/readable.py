"""Text from elsewhere made safe to read: bounded, and without what a terminal or a log would obey.

Comes from exceptions and from reports, goes into a ``Failure``.
"""

from __future__ import annotations

__all__ = ["TEXT_LIMIT", "tidy"]

TEXT_LIMIT = 8 * 1024
"""Bytes of a message or a traceback that travel, at most."""

_CUT = " … "


def tidy(text: str, *, keep_tail: bool = False) -> str:
    """Readable and of bounded length: the beginning, or a part of it and most of the end. Twice is as once."""
    if len(text) > 2 * TEXT_LIMIT:
        text = text[:TEXT_LIMIT] + text[-TEXT_LIMIT:]  # more than will be kept, and no more work than that
    return _capped(_printable(text), keep_tail=keep_tail)


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey, and lone surrogates, which cannot travel."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _capped(text: str, *, keep_tail: bool = False) -> str:
    """At most ``TEXT_LIMIT`` bytes; of a traceback the end tells most."""
    raw = text.encode()
    if len(raw) <= TEXT_LIMIT:
        return text
    room = TEXT_LIMIT - len(_CUT.encode())
    head, tail = (room // 4, room - room // 4) if keep_tail else (room, 0)
    return raw[:head].decode(errors="ignore") + _CUT + (raw[-tail:].decode(errors="ignore") if tail else "")
