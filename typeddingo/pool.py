"""Workers of one task in this process. Comes from a bridge (``put``), goes to ``execute``.

Two kinds with one face: threads for functions, here, and places on the app's event loop for ``async def``.
"""

from __future__ import annotations

import abc
import functools
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

from typeddingo._io.threads import Deadline, Threads
from typeddingo.context import Slot, current_slot
from typeddingo.urgent import Urgent

__all__ = ["Pool", "ThreadPool"]

J = TypeVar("J")

_URGENT = object()
"""Stands in a queue for one job that is among the urgent."""


class Pool(abc.ABC, Generic[J]):
    """Thread-safe. ``size`` workers take jobs in order, one at a time each."""

    put: Callable[[J], None]
    """Hand over a job. Never blocks; a job put after ``close`` stays until the next ``close`` returns it."""
    size = 0
    closed = False

    @abc.abstractmethod
    def put_urgent(self, job: J, priority: int) -> None:
        """Hand over a job with a priority above 0. See ``Urgent``."""

    @abc.abstractmethod
    def grow(self, count: int) -> int:
        """Start ``count`` more workers; returns how many could not be started."""

    def cancel(self, wanted: Callable[[J], bool]) -> None:  # threads cannot
        """End the jobs that run and for which ``wanted`` is true, if that can be. From any thread; does not wait."""

    @abc.abstractmethod
    def close(self) -> list[J]:
        """Start no more jobs; workers end after the one they run. Returns the jobs that will not start. Idempotent."""

    @abc.abstractmethod
    def running(self) -> list[J]:
        """The jobs that workers are running right now, but for the one this is called from."""

    @abc.abstractmethod
    def waiting(self) -> int:
        """How many jobs wait for a worker."""

    @abc.abstractmethod
    def join(self, deadline: Deadline) -> None:
        """After ``close``: wait until nothing runs. Does not wait for the caller itself."""


class ThreadPool(Pool[J]):
    """A thread a worker. ``refuse`` gets a job that was taken while the pool was being closed."""

    def __init__(
        self,
        name: str,
        threads: Threads,
        slot: Callable[[], Slot[J]],
        work: Callable[[Slot[J]], Callable[[J], None]],
        refuse: Callable[[J], None],
    ) -> None:
        self._name = name
        self._threads = threads
        self._new_slot = slot
        self._work = work
        self._refuse = refuse
        self._slots: list[Slot[J]] = []
        # SimpleQueue is one C call a hand-over and wakes a thread only when one sleeps: nothing written in Python
        # comes near (0.06 µs against 0.5 µs for a deque with a condition).
        self._queue: SimpleQueue[J | None] = SimpleQueue()
        self.put: Callable[[J | None], None] = self._queue.put
        self._lock = threading.Lock()
        self._urgent: Urgent[J] = Urgent()

    def grow(self, count: int) -> int:
        for done in range(count):
            slot = self._new_slot()
            run = self._work(slot)  # here: what it raises is for whoever asked for a worker
            self._slots.append(slot)
            try:
                self._threads.start(f"{self._name}-{len(self._slots)}", functools.partial(self._loop, slot, run))
            except RuntimeError:  # the system has no more threads
                self._slots.remove(slot)
                return count - done
            self.size += 1
        return 0

    def put_urgent(self, job: J, priority: int) -> None:
        with self._lock:
            self._urgent.put(job, priority)
        self._queue.put(cast("J", _URGENT))  # one for each: who gets it, or any other job, takes the most urgent

    def close(self) -> list[J]:
        self.closed = True
        jobs: list[J] = []
        try:
            while True:
                if (job := self._queue.get_nowait()) is not None:
                    jobs.append(self._most_urgent(job) if self._urgent.heap else job)
        except Empty:
            self._queue.put(None)  # one is enough: each worker hands it on
        return jobs

    def running(self) -> list[J]:
        mine = current_slot.get(None)
        return [job for slot in self._slots if slot is not mine and (job := slot.job) is not None]

    def waiting(self) -> int:
        return self._queue.qsize()

    def join(self, deadline: Deadline) -> None:
        self._threads.join(deadline)

    def _loop(self, slot: Slot[J], run: Callable[[J], None]) -> None:
        current_slot.set(slot)
        get, urgent = self._queue.get, self._urgent.heap
        while (job := get()) is not None:
            if urgent:
                job = self._most_urgent(job)
            slot.job = job
            if self.closed:  # looked at after the slot is set: whoever closes sees the job in one of the two places
                self._refuse(job)
            else:
                try:
                    run(job)
                except Exception:  # our own mistake: the job ends, and its worker goes on
                    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
                    self._refuse(job)
            slot.job = job = None
        self._queue.put(None)

    def _most_urgent(self, job: J) -> J:
        """In the place of one that was taken from the queue."""
        with self._lock:
            if job is _URGENT:
                return self._urgent.pop()
            return self._urgent.swap(job) if self._urgent.heap else job
