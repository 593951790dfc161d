"""Things that are due later, handed on when they are. One thread an owner, started with the first of them."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from typeddingo._io.threads import Deadline, Threads

__all__ = ["Timer"]

J = TypeVar("J")


class Timer(Generic[J]):
    """Thread-safe. ``fire`` gets each job in the timer's thread, in the order in which they are due; must not block.

    ``clock`` gives monotonic seconds; who injects one calls ``look`` when it has moved.
    """

    def __init__(
        self,
        name: str,
        threads: Threads,
        fire: Callable[[J], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._threads = threads
        self._fire = fire
        self._clock = clock
        # Re-entrant: a finalizer that puts something off may run inside any of these methods.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._heap: list[tuple[float, int, J]] = []
        self._numbers = itertools.count()
        self._started = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, job: J, seconds: float) -> bool:
        """Fire it so many seconds from now. False: the timer is closed, and has not taken it."""
        with self._lock:
            if self._closed:
                return False
            heapq.heappush(self._heap, (self._clock() + seconds, next(self._numbers), job))
            if not self._started:
                self._started = True
                self._threads.start(self._name, self._loop)
            elif self._heap[0][2] is job:
                self._changed.notify()
        return True

    def take_out(self, wanted: Callable[[J], bool]) -> list[J]:
        """Those that shall not fire after all."""
        with self._lock:
            out = [job for _, _, job in self._heap if wanted(job)]
            if out:
                self._heap = [item for item in self._heap if not wanted(item[2])]
                heapq.heapify(self._heap)
        return out

    def look(self) -> None:
        """The clock has moved."""
        with self._lock:
            self._changed.notify()

    def close(self) -> list[J]:
        """Fire no more; returns what was not due yet. Idempotent; does not wait."""
        with self._lock:
            self._closed = True
            left, self._heap = [job for _, _, job in sorted(self._heap, key=_when)], []
            self._changed.notify()
        return left

    def join(self, deadline: Deadline) -> list[str]:
        """After ``close``: wait for the thread."""
        return self._threads.join(deadline)

    def _loop(self) -> None:
        while True:
            with self._lock:
                while not self._closed and not (self._heap and self._heap[0][0] <= self._clock()):
                    wait = self._heap[0][0] - self._clock() if self._heap else None
                    self._changed.wait(None if wait is None else min(max(0.0, wait), threading.TIMEOUT_MAX))
                if self._closed:
                    return
                due: list[J] = []
                now = self._clock()
                while self._heap and self._heap[0][0] <= now:
                    due.append(heapq.heappop(self._heap)[2])
            for job in due:
                self._fire(job)


def _when(item: tuple[float, int, object]) -> tuple[float, int]:
    return item[0], item[1]
