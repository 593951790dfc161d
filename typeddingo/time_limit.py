"""Ends tasks that run for too long. Comes from the worker that runs one, goes into its thread or coroutine.

A coroutine is cancelled by its loop. A thread gets an exception, which it meets when it next runs Python code: one that
waits inside a C function (a query, ``time.sleep``) meets it when that returns.
"""

from __future__ import annotations

import ctypes
import gc
import math
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from typeddingo._io.threads import Deadline, Threads
from typeddingo.errors import TimeLimitExceeded

__all__ = ["Limit", "Timekeeper", "limited", "limited_async", "meet_limit", "overdue"]


AGAIN = 0.002
"""Seconds before another look at a thread that could not be struck."""
SOON = 100
"""Rounds of a loop in which what is raised in one's own thread has come."""
PACKAGE = __name__.partition(".")[0]
TRANSPARENT = {f"{PACKAGE}.task": frozenset({"__call__", "_run"})}
"""Ours, and yet the task's own code goes on above it: a task that calls another one here."""
FRAGILE = frozenset({"acquire", "release", "__enter__", "__exit__", "_acquireLock", "_releaseLock", "__del__"})
"""Functions, of whatever module, that take a lock, give it back, or whose exceptions nobody hears of."""
LOCKS = frozenset({"threading", "importlib._bootstrap", "_weakrefset", "weakref"})
"""Modules that take a lock and give it back without a ``with``: not struck there ..."""
PREPARED = frozenset({"wait", "wait_for", "join"})
"""... but in the functions of ``threading`` that wait, which expect a KeyboardInterrupt at any time. Not in what
``join`` calls before Python 3.13: it takes a thread that still runs for one that has ended."""

overdue: dict[int, Limit] = {}
"""By thread: the limits that are over, of tasks that were in our code when they were to be struck."""


def meet_limit() -> None:
    """The way into this library: a task whose time is over goes no further. ``if overdue`` comes before, to cost
    nothing."""
    if (limit := overdue.pop(threading.get_ident(), None)) is not None and not limit.fired:
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

    __slots__ = ("at", "fired", "state", "thread")

    def __init__(self, at: float) -> None:
        self.at: float = at
        self.thread: int = threading.get_ident()
        self.state: int = _state_of_this_thread()
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
                self._threads.start("timekeeper", self._loop)
                self._started = True
        return limit

    def end(self, limit: Limit) -> None:
        """It has ended: whatever has not reached it by now never does. Idempotent."""
        with self._lock:
            if self._running.get(limit.thread) is limit:
                del self._running[limit.thread]
                overdue.pop(limit.thread, None)
                if limit.fired:
                    _raise_nothing()

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
        if _struck(limit):
            overdue.pop(limit.thread, None)
            return math.inf
        overdue[limit.thread] = limit
        return now + AGAIN


def _struck(limit: Limit) -> bool:
    """Raise ``TimeLimitExceeded`` where the thread is now, if that does no harm. It has not got the interpreter, and
    looks for exceptions first when it gets it.

    Between the last look and the blow this thread must not lose the interpreter: a moment later the other one may be
    anywhere. That happens at the beginning of a function, at the end of a call and where a loop turns back, so there is
    none of the three: what must be called is called by two iterators. Nor does the garbage collector run, which may
    call anything.
    """
    try:
        found = _frame_of(limit.state)
    except ValueError:  # it runs no Python code
        return False
    if not _can_be_struck(found):
        return False
    at, struck, collects = found.f_lasti, False, gc.isenabled()
    look, blow = map(_frame_of, (limit.state,)), map(_raise_in, (limit.thread,), (TimeLimitExceeded,))
    gc.disable()
    try:
        for frame in look:
            if frame is found and found.f_lasti == at and not limit.fired:
                limit.fired = True
                for _ in blow:
                    struck = True
    except ValueError:
        return False
    finally:
        if collects:
            gc.enable()
    return struck


class _Nothing(BaseException):
    """Takes the place of what was to be raised."""


def _raise_nothing() -> None:
    """What was to be raised in this thread, and has not been, never is. To take it back is not enough: before Python
    3.13 the interpreter goes on looking for it at every call, and with a profiler or debugger never gets past. The
    garbage collector must not run meanwhile: a finalizer would meet it in our place."""
    collects = gc.isenabled()
    gc.disable()
    try:
        _raise_in(threading.get_ident(), _Nothing)
        for _ in range(SOON):  # it comes at the end of the call or, at the latest, here
            pass
    except _Nothing:
        pass
    finally:
        if collects:
            gc.enable()


def _can_be_struck(top: FrameType) -> bool:
    """The task's own code runs there, or that of another library which it has called; nothing of ours lies between:
    we might be in the middle of something, on a connection say."""
    module, name = top.f_globals.get("__name__", ""), top.f_code.co_name
    if module in LOCKS:
        if module != "threading" or name not in PREPARED:
            return False
        if name == "wait" and "waiter" in top.f_locals and "gotit" not in top.f_locals:  # has let go of its lock
            return False
    elif name in FRAGILE:
        return False
    frame: FrameType | None = top
    while frame is not None:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module == __name__ and name == "run":
            return frame is not top
        if module == "threading" and name == "start":
            return False  # until it runs, a new thread has the number of the one that starts it, and would be struck
        if isinstance(module, str) and module.partition(".")[0] == PACKAGE and name not in TRANSPARENT.get(module, ()):
            return False
        frame = frame.f_back
    return False  # it has ended, or not begun


# Our own, because others may have set the types of those in ctypes.pythonapi. Not sys._current_frames(): it keeps a
# lock of the interpreter while it allocates, and has been seen to wait for itself, for ever, with the interpreter held.
_state_of_this_thread = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThreadState_Get", ctypes.pythonapi))
_frame_of = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(("PyThreadState_GetFrame", ctypes.pythonapi))
"""The innermost frame of a thread, by its state, which is there as long as the thread. ``ValueError``: it has none."""
_raise_in = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
