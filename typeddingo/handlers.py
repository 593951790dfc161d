"""The handlers of one result: each fires once, in one thread at a time. Comes from ``on_ok`` …, fired by ``Result``."""

from __future__ import annotations

import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from typeddingo._io.forking import hold_while_forking
from typeddingo._io.wakeups import Wakeup, wake

__all__ = ["Handlers", "firing", "mutex"]

mutex: threading.RLock = threading.RLock()
"""Guards the state of every result: a section is a handful of bytecodes, and no user code runs inside one. Shared
because a lock a result would be a third of a result's cost; reentrant because a signal handler or a destructor may
end a result while its thread is inside a section."""
hold_while_forking(mutex)


class _Here(threading.local):
    depth = 0


_here = _Here()


@contextmanager
def firing() -> Generator[None]:
    """Marks this thread as running a handler: it waits for no other handler, so that none can wait in a ring."""
    _here.depth += 1
    try:
        yield
    finally:
        _here.depth -= 1


class Handlers:
    """What was registered before the end and has not fired. Thread-safe."""

    __slots__ = ("_finished", "_pending", "_sleepers")

    def __init__(self) -> None:
        self._pending: deque[Callable[[], object]] = deque()
        self._finished: LockType | None = None
        """Held while somebody fires; None while nobody does."""
        self._sleepers: list[Wakeup] = []

    def __bool__(self) -> bool:
        return bool(self._pending) or self._finished is not None

    def add(self, fire: Callable[[], object]) -> None:
        """Keep a handler for the end. ``fire`` must not raise an ``Exception``."""
        self._pending.append(fire)

    def fire(self) -> bool:
        """Fire everything that is pending, here. False when another call is doing so just now.
        What a handler raises that is no ``Exception`` passes through; the rest stays pending."""
        with mutex:
            if self._finished is not None:
                return False
            if not self._pending:
                return True
            finished = self._finished = allocate_lock()
            finished.acquire()
        try:
            with firing():
                while self._pending:
                    self._pending.popleft()()
        finally:
            with mutex:
                self._finished = None
                sleepers, self._sleepers = self._sleepers, []
            finished.release()
            for sleeper in sleepers:
                wake(sleeper)
        return True

    def finish(self, timeout: float) -> None:
        """Fire what is pending, or wait at most ``timeout`` seconds (-1: for ever) for the thread that fires."""
        while not self.fire() and not _here.depth:
            if (finished := self._finished) is None:
                continue
            if not finished.acquire(timeout=timeout):
                return
            finished.release()

    def sleep(self, sleeper: Wakeup) -> bool:
        """Wake ``sleeper`` when the call that fires is through. False when there is nothing to wait for."""
        with mutex:
            if self._finished is None or _here.depth:
                return False
            self._sleepers.append(sleeper)
            return True
