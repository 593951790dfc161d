"""The outcome of one call, as it will be. Comes from ``Task.call``, ended once by the engine, held by the caller.

The engine ends a result through ``_deliver``, ``_succeed`` and ``_close``. Everything else is the caller's.
"""

from __future__ import annotations

import logging
import math
import threading
from _thread import LockType, allocate_lock
from collections.abc import Callable, Generator
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, TypeVarTuple, cast

from typeddingo._io.wakeups import Wakeup, new_wakeup, wake
from typeddingo.errors import (
    ConfigError,
    NoHandler,
    ReportsIgnored,
    ResultClosed,
    ResultError,
    ResultTimeout,
    TaskFailed,
)
from typeddingo.handlers import Handlers, firing, mutex
from typeddingo.message import Report, Status
from typeddingo.option import Option
from typeddingo.reports import Reports, Watcher

if TYPE_CHECKING:
    from typeddingo.invoker import Invoker

__all__ = ["Result"]

R_co = TypeVar("R_co", covariant=True)
Ts = TypeVarTuple("Ts")

logger = logging.getLogger("typeddingo")

_OPEN, _OK, _FAILED, _CLOSED = 0, 1, 2, 3


class _Annex:
    """What few results need, made when it is: most calls just wait."""

    __slots__ = ("ends", "handlers", "invoker", "registered", "reports", "sleepers", "watchers")

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.registered = False
        self.reports: list[Report[object]] = []
        self.ends: list[Watcher] = []
        """Told once about the end."""
        self.sleepers: list[Wakeup] = []
        """Coroutines that wait for the end."""
        self.watchers: list[Watcher] = []
        """Told once about the next report or the end, whichever comes first."""
        self.invoker: Invoker | None = None


class Result(Generic[R_co]):
    """What a task will return (Go: ``Result``). Thread-safe: call any method from any thread and from handlers.

    Handlers fire exactly once. One registered before the end fires in a thread that waits (``get``, ``wait``,
    ``await``) or, when nobody waits, in the app's handler thread; one registered after the end fires at once, where it
    is registered. A wait returns after the handlers that were registered before. What a handler raises is logged.
    """

    __slots__ = (
        "__weakref__",
        "_annex",
        "_background",
        "_latch",
        "_report",
        "_state",
        "_value",
        "_waiting",
        "id",
        "name",
        "option",
    )

    def __init__(self, name: str, id: str, option: Option) -> None:
        self.name = name
        """The name of the task."""
        self.id = id
        """The id of this call."""
        self.option = option
        """How it was sent."""
        self._background: Callable[[Callable[[], None]], None] | None = None
        self._annex: _Annex | None = None
        self._waiting = 0
        self._latch: LockType | None = None  # made by the first who waits: in a burst, most results are there before
        self._value: object = None
        self._report: Report[object] | None = None
        if option.ignore_report:
            self._state = _CLOSED
            self._value = ReportsIgnored(
                f"task {name!r} was called with ignore_report: no report will come; call it without to wait for it"
            )
        else:
            self._state = _OPEN

    # what the caller asks

    @property
    def done(self) -> bool:
        """It has ended: ``get`` will not wait for the task."""
        return self._state != _OPEN

    @property
    def ok(self) -> bool:
        """The task succeeded (Go: ``OK``)."""
        return self._state == _OK

    @property
    def nok(self) -> bool:
        """The task failed, or its outcome will never be known (Go: ``NOK``)."""
        return self._state >= _FAILED

    @property
    def last(self) -> Report[R_co] | None:
        """The latest report; None before the first (Go: ``Last``)."""
        if self._state in (_OK, _FAILED):
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
        if self._state == _OK:
            return cast("R_co", self._value)
        raise self._error()

    def wait(self, timeout: float | None = None) -> Report[R_co]:
        """The final report, which may be a failure (Go: ``Wait``). ``timeout`` as in ``get``.

        Raises ``ResultTimeout``, and what ``get`` raises when no final report will come.
        """
        if (timeout is not None or self._annex is not None or not self._state) and not self._settle(timeout):
            raise self._late(timeout)
        if self._state == _CLOSED:
            raise self._error()
        return self._final()

    def __await__(self) -> Generator[object, None, R_co]:
        """As ``get``, from a coroutine on any event loop."""
        if self._annex is not None or not self._state:
            yield from self._settle_async().__await__()
        if self._state == _OK:
            return cast("R_co", self._value)
        raise self._error()

    def reports(self, timeout: float | None = None) -> Reports[R_co]:
        """Every report as it arrives, for ``for`` and ``async for``: Sent and Progress with ``monitor_progress``, and
        the final one. ``timeout``: seconds that one step may wait before it raises ``ResultTimeout``."""
        return Reports(self._peek, self._watch, self._unwatch, None if timeout is None else _seconds(timeout))

    def __aiter__(self) -> Reports[R_co]:
        return self.reports()

    # handlers

    def on_ok(self, handler: Callable[[R_co], object]) -> Self:
        """Call ``handler`` with the return value when the task succeeds (Go: ``OnOK``)."""

        def fire() -> None:
            if self._state == _OK:
                self._call(handler, (self._value,))

        return self._register(handler, fire)

    def on_ok_args(self: Result[tuple[*Ts]], handler: Callable[[*Ts], object]) -> Result[tuple[*Ts]]:
        """As ``on_ok`` for a task that returns a tuple: each value is an argument (Go: ``OnOK``)."""

        def fire() -> None:
            if self._state == _OK:
                self._call(handler, cast("tuple[object, ...]", self._value))

        return self._register(handler, fire)

    def on_nok(self, handler: Callable[[TaskFailed | ResultError], object]) -> Self:
        """Call ``handler`` with the failure when the task fails, or with a ``ResultError`` when its outcome will
        never be known (Go: ``OnNOK``)."""

        def fire() -> None:
            if self._state >= _FAILED:
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
        self._end(_OK, value)

    def _deliver(self, report: Report[object]) -> None:
        """A report arrived. Duplicates and latecomers are ignored: the status never goes back."""
        if report.done:
            self._end(_OK if report.ok else _FAILED, report.value if report.ok else None, report)
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
        self._end(_CLOSED, _fresh(error))

    def _end(self, state: int, value: object, report: Report[object] | None = None) -> None:
        with mutex:
            if self._state:
                return
            self._value = value
            self._report = report
            self._state = state
            waiting, annex = self._waiting, self._annex
        if self._latch is not None:
            self._latch.release()
        if annex is not None:
            self._tell(annex, waiting)

    def _on_end(self, watcher: Watcher) -> None:
        """Call ``watcher`` once at the end, in the thread that brings it, or now."""
        annex = self._extended()
        with mutex:
            if not self._state:
                annex.ends.append(watcher)
                return
        watcher()

    # how the end reaches everybody

    def _tell(self, annex: _Annex, waiting: int) -> None:
        with mutex:
            watchers = annex.watchers + annex.ends
            annex.watchers, annex.ends = [], []
            sleepers = list(annex.sleepers)
        for watcher in watchers:
            watcher()
        for sleeper in sleepers:
            if not wake(sleeper):
                self._forget(annex, sleeper)
        if annex.handlers and not waiting and not annex.sleepers:
            self._hand_over(annex)

    def _hand_over(self, annex: _Annex) -> None:
        """Nobody waits: the app's handler thread fires the handlers, or this one where there is none."""

        def fire() -> None:
            while annex.handlers:
                try:
                    if not annex.handlers.fire():
                        return
                except BaseException:
                    logger.exception("a handler of task %r (id %s) raised", self.name, self.id)

        if self._background is not None:
            try:
                self._background(fire)
            except Exception:
                logger.warning("the handler thread is gone: handlers of task %r (id %s) fire here", self.name, self.id)
            else:
                return
        fire()

    def _settle(self, timeout: float | None) -> bool:
        """Wait for the end, then for the handlers; False when the end did not come in time."""
        seconds = -1.0 if timeout is None else min(max(0.0, _seconds(timeout)), threading.TIMEOUT_MAX)
        deadline = monotonic() + seconds
        if not self._state:
            latch = self._enter()
            try:
                if latch is not None and latch.acquire(timeout=seconds):
                    latch.release()
            except BaseException:
                self._open_latch()
                self._leave()
                raise
            with mutex:
                self._waiting -= 1
            if not self._state:
                return False
        if (annex := self._annex) is not None and annex.handlers:
            try:
                annex.handlers.finish(seconds if seconds < 0 else max(0.0, deadline - monotonic()))
            except BaseException:
                self._pass_on(annex)
                raise
        return True

    def _enter(self) -> LockType | None:
        """One more thread waits: on the latch, which is locked until the end. None: it has come."""
        with mutex:
            self._waiting += 1
            if (latch := self._latch) is None:
                latch = allocate_lock()
                latch.acquire()
                self._latch = latch
            # Looked at last: an end that came before (a signal handler may bring it here) did not open this latch.
            return None if self._state else latch

    async def _settle_async(self) -> None:
        annex = self._extended()
        sleeper = new_wakeup()
        with mutex:
            if not self._state:
                annex.sleepers.append(sleeper)
        try:
            if not self._state or sleeper in annex.sleepers:
                await sleeper
            self._forget(annex, sleeper)
            while annex.handlers and not annex.handlers.fire():
                turn = new_wakeup()
                if annex.handlers.sleep(turn):
                    await turn
                else:
                    break
        finally:
            self._forget(annex, sleeper)
            self._pass_on(annex)

    def _forget(self, annex: _Annex, sleeper: Wakeup) -> None:
        with mutex:
            if sleeper in annex.sleepers:
                annex.sleepers.remove(sleeper)

    def _leave(self) -> None:
        """A waiting thread gives up: what it was to fire, others must."""
        with mutex:
            self._waiting -= 1
        if (annex := self._annex) is not None:
            self._pass_on(annex)

    def _pass_on(self, annex: _Annex) -> None:
        if self._state and annex.handlers and not self._waiting and not annex.sleepers:
            self._hand_over(annex)

    def _open_latch(self) -> None:
        """An interrupt may have hit between taking the latch and giving it back."""
        if self._state and self._latch is not None and self._latch.locked():
            try:
                self._latch.release()
            except RuntimeError:
                return

    def _extended(self) -> _Annex:
        if (annex := self._annex) is None:
            with mutex:
                if (annex := self._annex) is None:
                    annex = self._annex = _Annex()
        return annex

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
            if annex is not None and annex.invoker is not None and self._state == _OK:
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
        return _fresh(cast("Exception", self._value))

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
            if self._state == _OPEN:
                return None
            if self._state == _CLOSED:
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


def _seconds(timeout: float) -> float:
    """A timeout that can be waited for; text, NaN and the like are refused."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise TypeError(f"timeout: expected seconds as a float or None, not {type(timeout).__name__}")
    if math.isnan(timeout):
        raise ConfigError("timeout: expected a number of seconds, not NaN")
    return timeout


def _slots(value: object) -> tuple[object, ...]:
    """A return value as return values, which are what a report carries."""
    if isinstance(value, tuple):
        return cast("tuple[object, ...]", value)
    return () if value is None else (value,)


def _fresh(error: Exception) -> Exception:
    """A copy without traceback. ``__init__`` is not run again: it may want other arguments than it kept."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
