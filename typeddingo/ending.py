"""How a result ends, once, and how everybody who waits learns of it. Comes from the engine, used by ``Result`` alone.

One latch serves the threads that wait, wake-ups serve coroutines, watchers whoever wants to be called. Handlers fire
in a thread that waits, else in the app's handler thread.
"""

from __future__ import annotations

import logging
import math
import threading
from _thread import LockType, allocate_lock
from time import monotonic
from typing import TYPE_CHECKING

from typeddingo._io.wakeups import Wakeup, new_wakeup, wake
from typeddingo.errors import ConfigError, ReportsIgnored
from typeddingo.handlers import Handlers, mutex
from typeddingo.message import Report
from typeddingo.option import Option
from typeddingo.outcome import Home
from typeddingo.reports import Watcher
from typeddingo.time_limit import meet_limit, overdue

if TYPE_CHECKING:
    from typeddingo.invoker import Invoker

__all__ = ["CLOSED", "FAILED", "OPEN", "SUCCEEDED", "Annex", "Ending", "fresh", "logger", "seconds_of"]

logger: logging.Logger = logging.getLogger("typeddingo")

OPEN, SUCCEEDED, FAILED, CLOSED = 0, 1, 2, 3


class Annex:
    """What few results need, made when it is: most calls just wait."""

    __slots__ = ("ends", "handlers", "invoker", "registered", "reports", "sleepers", "watchers")

    def __init__(self) -> None:
        self.handlers: Handlers = Handlers()
        self.registered: bool = False
        self.reports: list[Report[object]] = []
        self.ends: list[Watcher] = []
        """Told once about the end."""
        self.sleepers: list[Wakeup] = []
        """Coroutines that wait for the end."""
        self.watchers: list[Watcher] = []
        """Told once about the next report or the end, whichever comes first."""
        self.invoker: Invoker | None = None


class Ending:
    """The state of one result. Thread-safe; ends once, whatever comes later is ignored."""

    __slots__ = (
        "__weakref__",
        "_annex",
        "_home",
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
        self.name: str = name
        """The name of the task."""
        self.id: str = id
        """The id of this call."""
        self.option: Option = option
        """How it was sent."""
        self._home: Home | None = None
        self._annex: Annex | None = None
        self._waiting = 0
        self._latch: LockType | None = None  # made by the first who waits: in a burst, most results are there before
        self._value: object = None
        self._report: Report[object] | None = None
        if option.ignore_report:
            self._state = CLOSED
            self._value = ReportsIgnored(
                f"task {name!r} was called with ignore_report: no report will come; call it without to wait for it"
            )
        else:
            self._state = OPEN

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

    def _echo(self, first: Ending) -> None:
        """End as ``first`` does: it is the same task."""
        self.id = first.id
        first._on_end(lambda: self._end(first._state, first._value, first._report))

    def _on_end(self, watcher: Watcher) -> None:
        """Call ``watcher`` once at the end, in the thread that brings it, or now."""
        annex = self._extended()
        with mutex:
            if not self._state:
                annex.ends.append(watcher)
                return
        watcher()

    # how the end reaches everybody

    def _tell(self, annex: Annex, waiting: int) -> None:
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

    def _hand_over(self, annex: Annex) -> None:
        """Nobody waits: the app's handler thread fires the handlers, or this one where there is none."""

        def fire() -> None:
            while annex.handlers:
                try:
                    if not annex.handlers.fire():
                        return
                except BaseException:
                    logger.exception("a handler of task %r (id %s) raised", self.name, self.id)

        if self._home is not None:
            try:
                self._home.background(fire)
            except Exception:
                logger.warning("the handler thread is gone: handlers of task %r (id %s) fire here", self.name, self.id)
            else:
                return
        fire()

    def _settle(self, timeout: float | None) -> bool:
        """Wait for the end, then for the handlers; False when the end did not come in time."""
        if overdue:
            meet_limit()
        seconds = -1.0 if timeout is None else min(max(0.0, seconds_of(timeout)), threading.TIMEOUT_MAX)
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

    def _forget(self, annex: Annex, sleeper: Wakeup) -> None:
        with mutex:
            if sleeper in annex.sleepers:
                annex.sleepers.remove(sleeper)

    def _leave(self) -> None:
        """A waiting thread gives up: what it was to fire, others must."""
        with mutex:
            self._waiting -= 1
        if (annex := self._annex) is not None:
            self._pass_on(annex)

    def _pass_on(self, annex: Annex) -> None:
        if self._state and annex.handlers and not self._waiting and not annex.sleepers:
            self._hand_over(annex)

    def _open_latch(self) -> None:
        """An interrupt may have hit between taking the latch and giving it back."""
        if self._state and self._latch is not None and self._latch.locked():
            try:
                self._latch.release()
            except RuntimeError:
                return

    def _extended(self) -> Annex:
        if (annex := self._annex) is None:
            with mutex:
                if (annex := self._annex) is None:
                    annex = self._annex = Annex()
        return annex


def seconds_of(timeout: float) -> float:
    """A timeout that can be waited for; text, NaN and the like are refused."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise TypeError(f"timeout: expected seconds as a float or None, not {type(timeout).__name__}")
    if math.isnan(timeout):
        raise ConfigError("timeout: expected a number of seconds, not NaN")
    return timeout


def fresh(error: Exception) -> Exception:
    """A copy without traceback. ``__init__`` is not run again: it may want other arguments than it kept."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
