"""Text for a terminal: columns, and nothing in it that a terminal obeys. Comes from every command that prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

__all__ = ["as_json", "columns", "printable"]


def printable(text: str) -> str:
    """Names, ids and reasons may come from anybody's frame: control characters are spelled out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def columns(rows: Iterable[Sequence[object]]) -> str:
    """Rows as lines; numbers to the right. The first row is the heading."""
    texts = [[(printable(str(cell)), isinstance(cell, int | float)) for cell in row] for row in rows]
    widths = [max(len(text) for text, _ in column) for column in zip(*texts, strict=True)]
    numeric = [any(number for _, number in column) for column in zip(*texts, strict=True)]
    lines: list[str] = []
    for row in texts:
        cells = (
            text.rjust(width) if right else text.ljust(width)
            for (text, _), width, right in zip(row, widths, numeric, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_json(value: object) -> str:
    """One line for a program."""
    return json.dumps(value, ensure_ascii=False)
