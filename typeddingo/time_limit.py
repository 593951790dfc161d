"""Ends tasks that run for too long. Comes from the worker that runs one, goes into its thread or coroutine.

A coroutine is cancelled by its loop. A thread gets an exception, which it meets when it next runs Python code: one that
waits inside a C function (a query, ``time.sleep``) meets it when that returns.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from typeddingo._io.threads import Deadline, Threads
from typeddingo.errors import TimeLimitExceeded

__all__ = ["Limit", "Timekeeper", "limited", "limited_async", "meet_limit", "overdue"]


AGAIN = 0.002
"""Seconds before another look at a thread that could not be struck."""
FRAGILE = frozenset({"threading", "logging", "importlib._bootstrap", "_weakrefset", "weakref"})
"""Modules whose functions take a lock and give it back without a ``with``."""
PACKAGE = __name__.partition(".")[0]

overdue: dict[int, Limit] = {}
"""By thread: the limits that are over, of tasks that were in our code when they were to be struck."""


def meet_limit() -> None:
    """The way into this library: a task whose time is over goes no further. ``if overdue`` comes before, to cost
    nothing."""
    if (limit := overdue.pop(threading.get_ident(), None)) is not None:
        limit.fired = True
        raise TimeLimitExceeded


def limited(fn: Callable[..., Any], seconds: float, keeper: Timekeeper) -> Callable[..., Any]:
    """``fn``, which raises ``TimeLimitExceeded`` when it has run for so many seconds."""

    def run(*args: object, **kwargs: object) -> Any:
        limit = keeper.begin(seconds)
        try:
            try:
                return fn(*args, **kwargs)
            finally:
                keeper.end(limit)
        except TimeLimitExceeded as error:
            keeper.end(limit)  # it may have come in the middle of the first one
            error.args = (_what(seconds),)
            raise

    return run


def limited_async(
    fn: Callable[..., Coroutine[Any, Any, Any]], seconds: float
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The same for an ``async def``."""
    import asyncio  # there already, in an app that has one

    async def run(*args: object, **kwargs: object) -> Any:
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await fn(*args, **kwargs)
        except TimeoutError as error:
            if not scope.expired():  # its own
                raise
            where = (error.__cause__ or error).__traceback__  # of the cancellation: where the task was
            raise TimeLimitExceeded(_what(seconds)).with_traceback(where) from None

    return run


def _what(seconds: float) -> str:
    return f"it ran for longer than its time limit of {seconds:g} s"


class Limit:
    """Of one run, in one thread."""

    __slots__ = ("at", "fired", "thread")

    def __init__(self, at: float) -> None:
        self.at: float = at
        self.thread: int = threading.get_ident()
        self.fired: bool = False


class Timekeeper:
    """One thread an app, started with the first task that has a limit. Thread-safe."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        # Taken as it is: an exception that strikes within a Condition's own code would leave it locked for ever.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[int, Limit] = {}
        """By thread: each runs one task at a time."""
        self._wakes_at = math.inf
        self._started = False
        self._stopped = False

    def begin(self, seconds: float) -> Limit:
        """The task of this thread has so much time. Costs a microsecond; wakes the thread only for a limit that comes
        before all others."""
        limit = Limit(time.monotonic() + seconds)
        with self._lock:
            self._running[limit.thread] = limit
            if limit.at < self._wakes_at:
                self._wakes_at = limit.at
                self._changed.notify()
            if not self._started and not self._stopped:
                self._started = True
                self._threads.start("timekeeper", self._loop)
        return limit

    def end(self, limit: Limit) -> None:
        """It has ended: whatever has not reached it by now never does. Idempotent."""
        with self._lock:
            if self._running.get(limit.thread) is limit:
                del self._running[limit.thread]
                overdue.pop(limit.thread, None)
                if limit.fired:
                    _interrupt(limit.thread, None)

    def stop(self) -> None:
        """End the thread. Idempotent; does not wait."""
        with self._lock:
            self._stopped = True
            self._changed.notify()

    def join(self, deadline: Deadline) -> list[str]:
        """After ``stop``: wait for it."""
        return self._threads.join(deadline)

    def _loop(self) -> None:
        with self._lock:
            while not self._stopped:
                now = time.monotonic()
                self._wakes_at = min([self._look(limit, now) for limit in self._running.values()], default=math.inf)
                wait = None if self._wakes_at == math.inf else min(self._wakes_at - now, threading.TIMEOUT_MAX)
                self._changed.wait(wait)

    def _look(self, limit: Limit, now: float) -> float:
        """Strike if it is time; returns when to look at it again."""
        if limit.fired:
            return math.inf
        if limit.at > now:
            return limit.at
        if not _can_be_struck(limit.thread):
            overdue[limit.thread] = limit
            return now + AGAIN
        overdue.pop(limit.thread, None)
        limit.fired = True
        _interrupt(limit.thread, TimeLimitExceeded)
        return math.inf


def _can_be_struck(thread: int) -> bool:
    """It is in code that an exception does no harm to. Not in ours, which a task runs when it calls another one, nor in
    that of locks: one that is struck there may stay locked. The exception is raised where the thread is now: it has
    not got the interpreter, and looks for exceptions first when it gets it."""
    frame = sys._current_frames().get(thread)  # pyright: ignore[reportPrivateUsage]  # its only name
    if frame is None:
        return False
    module: object = frame.f_globals.get("__name__", "")
    if module == "threading" and frame.f_code.co_name == "wait":  # prepared for it
        return True
    return isinstance(module, str) and module not in FRAGILE and module.partition(".")[0] != PACKAGE


def _interrupt(thread: int, error: type[BaseException] | None) -> None:
    """Raise it in another thread; None: take back what has not been raised yet."""
    exception = ctypes.py_object(error) if error is not None else ctypes.c_void_p(None)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
