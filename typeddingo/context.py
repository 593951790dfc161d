"""What a running task may ask about itself. Comes from the worker that runs it, seen by the user's function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from typeddingo.errors import ConfigError
from typeddingo.headers import NO_HEADERS
from typeddingo.message import Report, Status
from typeddingo.option import Option
from typeddingo.retry import NOT_AGAIN, Verdict
from typeddingo.time_limit import meet_limit, overdue

__all__ = ["NO_STATE", "Context", "Slot", "current_context", "current_slot"]

J = TypeVar("J")
S = TypeVar("S")

NO_STATE = object()
"""Of an app without a lifespan."""

MOST = 1e308
"""Progress is counted below this: every reader of a frame can hold it."""


def _never() -> bool:
    return False


def _nowhere(report: Report[object]) -> None: ...


class Context:
    """The call a task is running for (Go: none). Injected first with ``context=True``, and what ``current_context()``
    returns. ``Context()`` alone is an empty one, for calling a task's function by hand in a test.

    Valid while the task runs; any thread the task starts may use it.
    """

    __slots__ = ("_cancelled", "_emit", "_state", "attempt", "headers", "id", "name", "option")

    def __init__(
        self,
        name: str = "",
        id: str = "",
        option: Option = Option(),  # noqa: B008  # frozen
        *,
        attempt: int = 1,
        emit: Callable[[Report[object]], object] = _nowhere,
        cancelled: Callable[[], bool] = _never,
        headers: Mapping[str, str] = NO_HEADERS,
        state: object = NO_STATE,
    ) -> None:
        self.name: str = name
        self.id: str = id
        self.option: Option = option
        self.attempt: int = attempt
        """Which run of it this is, from 1: retries count, and so do runs whose worker died."""
        self._emit = emit
        self._cancelled = cancelled
        self.headers: Mapping[str, str] = MappingProxyType({**headers}) if headers else NO_HEADERS
        """What middleware of the caller has sent along. Read-only."""
        self._state = state

    def state(self, kind: type[S], /) -> S:
        """The value of the app's ``lifespan``, which must be of this class: ``context.state(Database)``. Raises
        ``ConfigError`` when it is not, and where there is none."""
        state = self._state
        if state is NO_STATE:
            raise ConfigError(
                "context.state(): there is none; App(lifespan=…) makes it for workers, though not for the child "
                "processes of tasks with isolation='process', and Context(state=…) for a test"
            )
        try:
            if isinstance(state, kind):
                return state
        except TypeError:
            raise ConfigError("context.state(kind): expected a class, as isinstance() takes it") from None
        found, wanted = type(state).__qualname__, kind.__qualname__
        raise ConfigError(f"context.state({wanted}): the app's lifespan gives an object of class {found}")

    @property
    def cancelled(self) -> bool:
        """Its caller has cancelled it, or the app is closing: a long task should end soon."""
        return self._cancelled()

    def progress(self, done: float | None = None, total: float | None = None) -> None:
        """Send a Progress report to the caller, if it asked for them (``monitor_progress``); else does nothing.

        ``done`` of ``total``, in whatever unit the task counts; it arrives as ``Report.progress``. Returns at once.
        Raises ``ConfigError`` for what is not a finite number.
        """
        if done is None and total is not None:
            raise ConfigError("progress(done, total): a total says nothing without what is done of it")
        for number in (done, total):
            if number is not None and not -MOST < number < MOST:
                raise ConfigError("progress(done, total): expected finite numbers")
        if overdue:
            meet_limit()
        if self.option.monitor_progress and not self.option.ignore_report:
            far = None if done is None else (done, total)
            self._emit(Report(self.name, self.id, Status.PROGRESS, self.option, progress=far))


class Slot(Generic[J]):
    """What one worker is doing right now. The worker sets ``job`` for every task, which is all a task costs here;
    the ``Context`` is made when somebody asks."""

    __slots__ = ("_context", "_describe", "_described", "job", "verdict")

    def __init__(self, describe: Callable[[J], Context]) -> None:
        self.job: J | None = None
        self.verdict: Verdict = NOT_AGAIN
        """Of a task that may be retried: what the exception that it has just failed with means."""
        self._describe = describe
        self._described: J | None = None
        self._context = Context()

    def context(self) -> Context:
        """The context of the task that runs here."""
        if (job := self.job) is None:
            raise ConfigError("current_context() has no task to speak of: it was called after the task had ended")
        if self._described is not job:
            self._context = self._describe(job)
            self._described = job
        return self._context


current_slot: ContextVar[Slot[Any]] = ContextVar("typeddingo_slot")
"""Set once a worker thread, once a coroutine: never once a call."""


def current_context() -> Context:
    """The context of the task that is running here: in its worker thread, its coroutine, or a thread that carries
    their ``contextvars``. Raises ``ConfigError`` outside a task."""
    slot = current_slot.get(None)
    if slot is None:
        raise ConfigError("current_context() was called outside a task: it has a value only while a worker runs one")
    return slot.context()
