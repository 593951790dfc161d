"""What the engine sees of a ``Result``: three ways to end it. Comes from the bridge, held by pools and workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from typeddingo.errors import ErrorCode
from typeddingo.message import Failure, Report, Status
from typeddingo.option import Option

__all__ = ["Home", "CallOutcome", "MakeOutcome", "Outcome", "cancelled_report", "expired_report", "shutdown_report"]


class Home(Protocol):
    """Where a result comes from."""

    def background(self, callback: Callable[[], None], /) -> None:
        """Run a callable on the app's handler thread."""

    def cancel(self, name: str, id: str, /) -> None:
        """Let this task not start any more, or end soon. Blocks until that is on record."""

    def forget(self, name: str, id: str, /) -> None:
        """Keep nothing of this task's result."""


class Outcome(Protocol):
    """The engine's half of a ``Result``; the rooms above hold the other half. Thread-safe, ended by the first end."""

    _home: Home | None

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str: ...

    def _succeed(self, value: object, /) -> None:
        """The final success, by reference."""

    def _deliver(self, report: Report[object], /) -> None:
        """Any report, in order."""

    def _close(self, error: Exception, /) -> None:
        """No report will come, and why."""


class CallOutcome(Outcome, Protocol):
    """Of a call: another one may stand for it."""

    @property
    def id(self) -> str: ...

    @id.setter
    def id(self, id: str, /) -> None: ...

    @property
    def option(self) -> Option: ...

    @property
    def nok(self) -> bool: ...

    def _echo(self, first: Any, /) -> None:
        """End as ``first`` does, another outcome."""


MakeOutcome: TypeAlias = Callable[[str, str, Option], CallOutcome]
"""Name, id, option."""


def shutdown_report(name: str, id: str, option: Option) -> Report[object]:
    """What a caller gets for a task that had not ended when its app was closed. It never travels."""
    reason = "the app was closed before the task ended"
    return Report(name, id, Status.FAIL, option, Failure(ErrorCode.SHUTDOWN, reason))


def expired_report(name: str, id: str, option: Option) -> Report[object]:
    """Of a task whose time had come and gone before it could start."""
    return Report(name, id, Status.FAIL, option, Failure(ErrorCode.EXPIRED, "it expired before it was started"))


def cancelled_report(name: str, id: str, option: Option) -> Report[object]:
    """Of a task that was cancelled."""
    return Report(name, id, Status.FAIL, option, Failure(ErrorCode.CANCELLED, "it was cancelled"))
