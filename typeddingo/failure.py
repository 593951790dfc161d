"""An exception as text that can travel. Comes from a worker's ``except``, goes into the Fail report."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from typeddingo.contract import ReturnMisfit
from typeddingo.errors import ErrorCode, TimeLimitExceeded
from typeddingo.invoker import InvokeError
from typeddingo.message import Failure
from typeddingo.readable import tidy

__all__ = ["failure_of", "not_invoked"]

_ENGINE = str(Path(__file__).parent) + os.sep


def failure_of(error: BaseException) -> Failure:
    """Describe what a task raised. Total: one that cannot describe itself is described without its help."""
    if isinstance(error, ReturnMisfit):
        return Failure(ErrorCode.RETURN, tidy(str(error)))
    if isinstance(error, InvokeError):
        return not_invoked(error)
    if isinstance(error, TimeLimitExceeded):
        return Failure(ErrorCode.TIME_LIMIT, _message(error), "typeddingo.errors.TimeLimitExceeded", _traceback(error))
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return Failure(ErrorCode.PANIC, _message(error), name, _traceback(error))


def not_invoked(error: BaseException) -> Failure:
    """Describe why a task could not even be called."""
    return Failure(ErrorCode.INVOKE, _message(error))


def _message(error: BaseException) -> str:
    try:
        return tidy(str(error))
    except Exception:
        return "(the exception has no message: its __str__ raised)"


def _traceback(error: BaseException) -> str:
    """The user's frames alone: how the engine got there helps nobody. Holds source lines, never values."""
    try:
        summary = traceback.TracebackException.from_exception(error, compact=True)
        summary.stack = traceback.StackSummary.from_list(
            frame for frame in summary.stack if not frame.filename.startswith(_ENGINE)
        )
        return tidy("".join(summary.format()), keep_tail=True)
    except Exception:
        return "(the traceback could not be formatted)"
