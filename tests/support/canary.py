"""A secret that must not show, and everything an error could show it by. Comes from the tests of security."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import cast
from urllib.parse import quote

__all__ = ["CANARY", "chain", "shown_by", "spellings"]

CANARY = "c4n4ry-tw33t"
"""A password, a value or a key that is easy to find again; the same when quoted for a URL."""


def spellings(secret: str | bytes) -> list[str]:
    """The secret as it might be shown."""
    raw = secret.encode() if isinstance(secret, str) else secret
    text = raw.decode("utf-8", "backslashreplace")
    return [text, quote(text, safe=""), raw.hex(), repr(raw)[2:-1], repr(text)[1:-1]]


def shown_by(error: BaseException) -> str:
    """All that a log or an error tracker may print of an error: it, what led to it, and their traceback."""
    parts = ["".join(traceback.format_exception(error))]
    for each in chain(error):
        parts += [str(each), repr(each), repr(each.args), repr(vars(each)), *getattr(each, "__notes__", ())]
    return "\n".join(parts)


def chain(error: BaseException, *, suppressed: bool = False) -> Iterator[BaseException]:
    """The error and everything that led to it; ``suppressed``: also what ``from None`` keeps Python from printing."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo.append(each.__cause__)
        if suppressed or not each.__suppress_context__:
            todo.append(each.__context__)
        if isinstance(each, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", each).exceptions
