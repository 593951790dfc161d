"""The outcome of one call, as it will be. Comes from ``Task.call``, ended once by the engine, held by the caller.

The engine ends a result through ``_deliver``, ``_succeed`` and ``_close``. Everything else is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import CoroutineType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, TypeVarTuple, cast

from typeddingo.ending import CLOSED, FAILED, OPEN, SUCCEEDED, Ending, fresh, logger, seconds_of
from typeddingo.errors import (
    NoHandler,
    ResultClosed,
    ResultError,
    ResultTimeout,
    TaskFailed,
)
from typeddingo.handlers import firing, mutex
from typeddingo.message import Report, Status
from typeddingo.reports import Reports, Watcher

if TYPE_CHECKING:
    from typeddingo.invoker import Invoker

__all__ = ["Result"]

R_co = TypeVar("R_co", covariant=True)
Ts = TypeVarTuple("Ts")


class Result(Ending, Generic[R_co]):
    """What a task will return (Go: ``Result``). Thread-safe: call any method from any thread and from handlers.

    Handlers fire exactly once. One registered before the end fires in a thread that waits (``get``, ``wait``,
    ``await``) or, when nobody waits, in the app's handler thread; one registered after the end fires at once, where it
    is registered. A wait returns after the handlers that were registered before. What a handler raises is logged.
    """

    __slots__ = ()

    # what the caller asks

    @property
    def done(self) -> bool:
        """It has ended: ``get`` will not wait for the task."""
        return self._state != OPEN

    @property
    def ok(self) -> bool:
        """The task succeeded (Go: ``OK``)."""
        return self._state == SUCCEEDED

    @property
    def nok(self) -> bool:
        """The task failed, or its outcome will never be known (Go: ``NOK``)."""
        return self._state >= FAILED

    @property
    def last(self) -> Report[R_co] | None:
        """The latest report; None before the first (Go: ``Last``)."""
        if self._state in (SUCCEEDED, FAILED):
            return self._final()
        annex = self._annex
        return cast("Report[R_co]", annex.reports[-1]) if annex is not None and annex.reports else None

    def get(self, timeout: float | None = None) -> R_co:
        """What the task returned. Waits at most ``timeout`` seconds, for ever by default; 0 or less does not wait.

        Raises ``TaskFailed`` (the task's own failure), ``ResultTimeout`` (wait again), ``ResultClosed``,
        ``ReportsIgnored`` or the ``SendError`` or ``WireError`` that ended it; a new exception each time.
        """
        if (timeout is not None or self._annex is not None or not self._state) and not self._settle(timeout):
            raise self._late(timeout)
        if self._state == SUCCEEDED:
            return cast("R_co", self._value)
        raise self._error()

    def wait(self, timeout: float | None = None) -> Report[R_co]:
        """The final report, which may be a failure (Go: ``Wait``). ``timeout`` as in ``get``.

        Raises ``ResultTimeout``, and what ``get`` raises when no final report will come.
        """
        if (timeout is not None or self._annex is not None or not self._state) and not self._settle(timeout):
            raise self._late(timeout)
        if self._state == CLOSED:
            raise self._error()
        return self._final()

    def __await__(self) -> Generator[object, None, R_co]:
        """As ``get``, from a coroutine on any event loop."""
        if self._annex is not None or not self._state:
            yield from self._settle_async().__await__()
        if self._state == SUCCEEDED:
            return cast("R_co", self._value)
        raise self._error()

    def reports(self, timeout: float | None = None) -> Reports[R_co]:
        """Every report as it arrives, for ``for`` and ``async for``: Sent and Progress with ``monitor_progress``, and
        the final one. ``timeout``: seconds that one step may wait before it raises ``ResultTimeout``."""
        return Reports(self._peek, self._watch, self._unwatch, None if timeout is None else seconds_of(timeout))

    def __aiter__(self) -> Reports[R_co]:
        return self.reports()

    def cancel(self) -> None:
        """Let the task not start any more, or end soon if it runs (Go: none). Idempotent; of a task that has ended it
        changes nothing. Thread-safe; blocks until the broker has it on record.

        The result says what came of it: ``TaskFailed`` with ``ErrorCode.CANCELLED``, as soon as a worker has met the
        task, or what it returned when it was too late. A running ``async def`` is cancelled where it awaits; a function
        in a thread goes on until it looks at ``Context.cancelled``. Raises ``ConnectionLost``, or ``ConfigError`` when
        the broker cannot cancel.
        """
        if self._state in (OPEN, CLOSED) and self._home is not None:
            self._home.cancel(self.name, self.id)

    def forget(self) -> None:
        """Let go of what is kept of it elsewhere (Go: none). Idempotent; thread-safe; what this object knows, it knows.

        With Redis, what is stored is deleted when this returns, and ``app.result`` ends with ``ResultExpired`` from now
        on; a task that still runs stores its report when it ends. With RabbitMQ and in process nothing is stored. Over
        both servers, who still waits for it in this app gets ``ResultExpired``. Raises ``ConnectionLost`` or
        ``ConfigError``.
        """
        if self._home is not None:
            self._home.forget(self.name, self.id)

    # handlers

    def on_ok(self, handler: Callable[[R_co], object]) -> Self:
        """Call ``handler`` with the return value when the task succeeds (Go: ``OnOK``)."""

        def fire() -> None:
            if self._state == SUCCEEDED:
                self._call(handler, (self._value,))

        return self._register(handler, fire)

    def on_ok_args(self: Result[tuple[*Ts]], handler: Callable[[*Ts], object]) -> Result[tuple[*Ts]]:
        """As ``on_ok`` for a task that returns a tuple: each value is an argument (Go: ``OnOK``)."""

        def fire() -> None:
            if self._state == SUCCEEDED:
                self._call(handler, cast("tuple[object, ...]", self._value))

        return self._register(handler, fire)

    def on_nok(self, handler: Callable[[TaskFailed | ResultError], object]) -> Self:
        """Call ``handler`` with the failure when the task fails, or with a ``ResultError`` when its outcome will
        never be known (Go: ``OnNOK``)."""

        def fire() -> None:
            if self._state >= FAILED:
                self._call(handler, (self._reason(),))

        return self._register(handler, fire)

    def then(self) -> Self:
        """Let the handlers fire without anybody waiting, from the app's handler thread (Go: ``Then``). They do so in
        any case; this says that it is wanted. Raises ``NoHandler`` when none was ever registered."""
        if self._annex is None or not self._annex.registered:
            raise NoHandler(
                f"then() on a result of task {self.name!r} without a handler: call on_ok() or on_nok() first"
            )
        return self

    def set_invoker(self, invoker: Invoker) -> Self:
        """Let ``invoker`` call the ``on_ok`` handlers that have not fired yet: it corrects the types of their arguments
        to the annotations of the handler (Go: ``SetInvoker``)."""
        self._extended().invoker = invoker
        return self

    def __repr__(self) -> str:
        state = ("open", "ok", "failed", "closed")[self._state]
        return f"<Result of {self.name!r} id={self.id!r} {state}>"

    # what the engine tells

    def _succeed(self, value: object) -> None:
        """The task returned ``value``: the final report, made only if somebody asks for it."""
        self._end(SUCCEEDED, value)

    def _deliver(self, report: Report[object]) -> None:
        """A report arrived. Duplicates and latecomers are ignored: the status never goes back."""
        if report.done:
            self._end(SUCCEEDED if report.ok else FAILED, report.value if report.ok else None, report)
            return
        annex = self._extended()
        with mutex:
            seen = annex.reports
            stale = bool(seen) and (report.status < seen[-1].status or report.status == seen[-1].status == Status.SENT)
            if self._state or stale:
                return
            seen.append(report)
            watchers, annex.watchers = annex.watchers, []
        for watcher in watchers:
            watcher()

    def _close(self, error: Exception) -> None:
        """No final report will come, and why."""
        self._end(CLOSED, fresh(error))

    # handlers

    def _register(self, handler: object, fire: Callable[[], None]) -> Self:
        if not callable(handler):
            raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
        annex = self._extended()
        annex.registered = True
        with mutex:
            if not self._state:
                annex.handlers.add(fire)
                return self
        with firing():
            fire()
        return self

    def _call(self, handler: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            annex = self._annex
            if annex is not None and annex.invoker is not None and self._state == SUCCEEDED:
                outcome = annex.invoker.call(handler, args)
            else:
                outcome = handler(*args)
            if isinstance(outcome, CoroutineType):
                outcome.close()
                raise TypeError("a handler must be a plain function: nobody awaits what an 'async def' returns")
        except Exception:
            logger.exception("a handler of task %r (id %s) raised", self.name, self.id)

    # outcomes

    def _final(self) -> Report[R_co]:
        if (report := self._report) is None:
            value = self._value
            report = Report(self.name, self.id, Status.SUCCESS, self.option, None, _slots(value), value)
            self._report = report
        return cast("Report[R_co]", report)

    def _error(self) -> Exception:
        """A new exception for what ended this result: one that is raised twice would drag its old traceback along."""
        if (report := self._report) is not None:
            return report.error or TaskFailed(task=self.name, id=self.id)
        return fresh(cast("Exception", self._value))

    def _reason(self) -> TaskFailed | ResultError:
        error = self._error()
        if isinstance(error, (TaskFailed, ResultError)):
            return error
        closed = ResultClosed(f"task {self.name!r} has no outcome: {error}")
        closed.__cause__ = error
        return closed

    def _late(self, timeout: float | None) -> ResultTimeout:
        return ResultTimeout(
            f"task {self.name!r} (id {self.id!r}) has not ended after {timeout:g} s; it may still: wait again"
        )

    # streams of reports

    def _peek(self, index: int) -> Report[R_co] | None:
        with mutex:
            earlier = self._annex.reports if self._annex is not None else ()
            if index < len(earlier):
                return cast("Report[R_co]", earlier[index])
            if self._state == OPEN:
                return None
            if self._state == CLOSED:
                raise self._error()
            if index > len(earlier):
                raise IndexError(index)
            return self._final()

    def _watch(self, index: int, watcher: Watcher) -> bool:
        annex = self._extended()
        with mutex:
            if self._state or index < len(annex.reports):
                return False
            annex.watchers.append(watcher)
            return True

    def _unwatch(self, watcher: Watcher) -> None:
        annex = self._extended()
        with mutex:
            if watcher in annex.watchers:
                annex.watchers.remove(watcher)


def _slots(value: object) -> tuple[object, ...]:
    """A return value as return values, which are what a report carries."""
    if isinstance(value, tuple):
        return cast("tuple[object, ...]", value)
    return () if value is None else (value,)
