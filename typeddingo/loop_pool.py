"""Workers of an ``async def``: places on the app's event loop. Comes from a bridge (``put``), goes to ``execute``."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import TypeVar, cast

from typeddingo._io.loop import LoopThread, current_coroutine
from typeddingo._io.threads import Deadline
from typeddingo.context import Slot, current_slot
from typeddingo.pool import Pool
from typeddingo.urgent import Urgent

__all__ = ["LoopPool"]

J = TypeVar("J")


class LoopPool(Pool[J]):
    """A worker is the right to run one coroutine at a time on the app's event loop."""

    def __init__(
        self,
        loop: LoopThread,
        slot: Callable[[], Slot[J]],
        work: Callable[[Slot[J]], Callable[[J], Awaitable[None]]],
        refuse: Callable[[J], None],
    ) -> None:
        self._loop = loop
        self._new_slot = slot
        self._work = work
        self._refuse = refuse
        self._jobs: deque[J] = deque()
        self._urgent: Urgent[J] = Urgent()
        self._idle: list[tuple[Slot[J], Callable[[J], Awaitable[None]]]] = []
        self._busy: dict[asyncio.Task[None], Slot[J]] = {}
        self._lock = threading.Lock()
        self._quiet = threading.Event()
        self._spared: object = None
        """The slot of the coroutine that is closing the app: nobody waits for it."""
        self._woken = False
        self._used = False
        """The loop has been told of something: one that has not is not started just to be ended."""
        self.put: Callable[[J], None] = self._put

    def grow(self, count: int) -> int:
        for _ in range(count):
            slot = self._new_slot()
            self._idle.append((slot, self._work(slot)))
        self.size += count
        if self._jobs or self._urgent.heap:
            self._wake()
        return 0

    def close(self) -> list[J]:
        self.closed = True
        jobs: list[J] = []
        with contextlib.suppress(IndexError):
            while True:
                jobs.append(self._next())
        if self._used:
            self._wake()
        else:
            self._quiet.set()
        return jobs

    def running(self) -> list[J]:
        mine = current_slot.get(None)
        return [job for slot in list(self._busy.values()) if slot is not mine and (job := slot.job) is not None]

    def waiting(self) -> int:
        return len(self._jobs) + len(self._urgent.heap)

    def join(self, deadline: Deadline) -> None:
        if self._used and not self._loop.is_current:
            self._spared = current_slot.get(None)
            self._wake()
            self._quiet.wait(deadline.left)

    def put_urgent(self, job: J, priority: int) -> None:
        with self._lock:
            self._urgent.put(job, priority)
        self._wake()

    def cancel(self, wanted: Callable[[J], bool]) -> None:
        """Cancel the coroutines that run such jobs. From any thread; does not wait."""
        self._loop.call(functools.partial(self._cancel, wanted))

    def _cancel(self, wanted: Callable[[J], bool]) -> None:
        for task, slot in list(self._busy.items()):
            coroutine = task.get_coro()
            # One that has not begun would never learn of it: it looks for itself when it does.
            begun = isinstance(coroutine, CoroutineType) and coroutine.cr_suspended
            if begun and slot.job is not None and wanted(slot.job):
                task.cancel()

    def _put(self, job: J) -> None:
        self._jobs.append(job)
        self._wake()

    def _next(self) -> J:
        """The next job. Raises ``IndexError`` when there is none."""
        if not self._urgent.heap:
            return self._jobs.popleft()
        with self._lock:
            if not self._jobs or not self._urgent.heap:
                return self._urgent.pop() if self._urgent.heap else self._jobs.popleft()
            return self._urgent.swap(self._jobs.popleft())

    def _wake(self) -> None:
        # One call a batch: a burst of puts finds the flag set and leaves the loop alone.
        if not self._woken:
            self._woken = self._used = True
            if not self._loop.call(self._pump):
                self._quiet.set()

    def _pump(self) -> None:
        self._woken = False
        with contextlib.suppress(IndexError):
            while self._idle:
                job = self._next()
                if self.closed:
                    self._refuse(job)
                    continue
                slot, run = self._idle.pop()
                slot.job = job
                task = asyncio.get_running_loop().create_task(self._sit(slot, run, job))
                self._busy[task] = slot
        if self.closed and all(slot is self._spared for slot in self._busy.values()):
            self._quiet.set()

    async def _sit(self, slot: Slot[J], run: Callable[[J], Awaitable[None]], job: J) -> None:
        me = cast("asyncio.Task[None]", asyncio.current_task())
        current_slot.set(slot)
        current_coroutine.set(me)
        try:
            await run(job)
        finally:
            slot.job = None
            del self._busy[me]
            self._idle.append((slot, run))
            if self._jobs or self._urgent.heap or self.closed:
                self._pump()
