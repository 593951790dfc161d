"""An exception as text that can travel. Comes from a worker's ``except``, goes into the Fail report."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from typeddingo.contract import ReturnMisfit
from typeddingo.errors import ErrorCode
from typeddingo.invoker import InvokeError
from typeddingo.message import Failure

__all__ = ["TEXT_LIMIT", "failure_of", "not_invoked"]

TEXT_LIMIT = 8 * 1024
"""Bytes of a message or a traceback that travel, at most."""

_ENGINE = str(Path(__file__).parent) + os.sep
_CUT = " … "


def failure_of(error: BaseException) -> Failure:
    """Describe what a task raised. Total: one that cannot describe itself is described without its help."""
    if isinstance(error, ReturnMisfit):
        return Failure(ErrorCode.RETURN, _tidy(str(error)))
    if isinstance(error, InvokeError):
        return not_invoked(error)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return Failure(ErrorCode.PANIC, _message(error), name, _traceback(error))


def not_invoked(error: BaseException) -> Failure:
    """Describe why a task could not even be called."""
    return Failure(ErrorCode.INVOKE, _message(error))


def _message(error: BaseException) -> str:
    try:
        return _tidy(str(error))
    except Exception:
        return "(the exception has no message: its __str__ raised)"


def _traceback(error: BaseException) -> str:
    """The user's frames alone: how the engine got there helps nobody. Holds source lines, never values."""
    try:
        summary = traceback.TracebackException.from_exception(error, compact=True)
        summary.stack = traceback.StackSummary.from_list(
            frame for frame in summary.stack if not frame.filename.startswith(_ENGINE)
        )
        return _cap(_printable("".join(summary.format())), keep_tail=True)
    except Exception:
        return "(the traceback could not be formatted)"


def _tidy(text: str) -> str:
    return _cap(_printable(text[:TEXT_LIMIT]))


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey, and lone surrogates, which cannot travel."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _cap(text: str, *, keep_tail: bool = False) -> str:
    """At most ``TEXT_LIMIT`` bytes; of a traceback the end tells most."""
    raw = text.encode()
    if len(raw) <= TEXT_LIMIT:
        return text
    room = TEXT_LIMIT - len(_CUT.encode())
    head, tail = (room // 4, room - room // 4) if keep_tail else (room, 0)
    return raw[:head].decode(errors="ignore") + _CUT + (raw[-tail:].decode(errors="ignore") if tail else "")
