"""Ends tasks that run for too long. Comes from the worker that runs one, goes into its thread or coroutine.

A coroutine is cancelled by its loop. A thread gets an exception, which it meets when it next runs Python code: one that
waits inside a C function (a query, ``time.sleep``) meets it when that returns.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from typeddingo._io.threads import Deadline, Threads
from typeddingo.errors import TimeLimitExceeded

__all__ = ["Limit", "Timekeeper", "limited", "limited_async"]


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
        self._changed = threading.Condition(threading.Lock())
        self._running: dict[int, Limit] = {}
        """By thread: each runs one task at a time."""
        self._wakes_at = math.inf
        self._started = False
        self._stopped = False

    def begin(self, seconds: float) -> Limit:
        """The task of this thread has so much time. Costs a microsecond; wakes the thread only for a limit that comes
        before all others."""
        limit = Limit(time.monotonic() + seconds)
        with self._changed:
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
        with self._changed:
            if self._running.get(limit.thread) is limit:
                del self._running[limit.thread]
                if limit.fired:
                    _interrupt(limit.thread, None)

    def stop(self) -> None:
        """End the thread. Idempotent; does not wait."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def join(self, deadline: Deadline) -> list[str]:
        """After ``stop``: wait for it."""
        return self._threads.join(deadline)

    def _loop(self) -> None:
        with self._changed:
            while not self._stopped:
                now, next_at = time.monotonic(), math.inf
                for limit in self._running.values():
                    if limit.fired:
                        continue
                    if limit.at <= now:
                        limit.fired = True
                        _interrupt(limit.thread, TimeLimitExceeded)
                    else:
                        next_at = min(next_at, limit.at)
                self._wakes_at = next_at
                self._changed.wait(None if next_at == math.inf else min(next_at - now, threading.TIMEOUT_MAX))


def _interrupt(thread: int, error: type[BaseException] | None) -> None:
    """Raise it in another thread; None: take back what has not been raised yet."""
    import ctypes  # few apps need it

    exception = ctypes.py_object(error) if error is not None else ctypes.c_void_p(None)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
