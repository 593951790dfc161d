"""The workers of a task: delivery → invoke → report → settle. Comes from a listener or a mapper's lane, goes to a desk.

A task is settled after its report is stored, so one whose worker dies runs again: at least once.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from time import perf_counter
from typing import Protocol

from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Receipt, settle_all
from typeddingo.cancelled import TaskKey
from typeddingo.context import Slot, current_slot
from typeddingo.desk import Arrival, Desk
from typeddingo.execute import perform, perform_async
from typeddingo.isolation.abandoned import Abandoned
from typeddingo.loop_pool import LoopPool
from typeddingo.message import Report
from typeddingo.outbox import Flusher
from typeddingo.runtime import Runtime
from typeddingo.task_run import TaskRun

__all__ = ["MAX_BATCH", "AsyncWorkers", "IsolatedWorker", "Source", "Worker"]

MAX_BATCH = 200
"""Tasks that a worker takes at once, when they are very short."""
BATCH_SECONDS = 0.005
"""The work that a batch aims at: enough to share its round trips, too little for one to wait long behind another."""
SLOW_SECONDS = 0.001
"""A task that has run for so long is not waited for by the reports of those before it."""
RETRY_SECONDS = 0.5
"""Pause after a reporter that could not be reached."""


class Source(Protocol):
    """Where workers take from: a listener, or a lane that a mapper fills."""

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]: ...

    @property
    def closed(self) -> bool: ...


class Worker:
    """A thread that runs the tasks of a ``def``."""

    def __init__(self, runtime: Runtime, desk: Desk, source: Source, flusher: Flusher) -> None:
        self.slot: Slot[Arrival] = desk.slot()
        self._runtime = runtime
        self._desk = desk
        self._source = source
        self._flusher = flusher
        self._perform = perform(desk.entry, self.slot, runtime.timekeeper)
        self._retried = desk.entry.retry is not None
        self._todo: deque[Delivery] = deque()
        self._busy_since = 0.0
        flusher.look_after(self._help_if_stuck)

    def run(self) -> None:
        """Until the source is closed."""
        current_slot.set(self.slot)
        size = 1
        while True:
            batch = self._source.take(size)
            if not batch:
                if self._source.closed:
                    return
                continue
            size = self._run_batch(batch, size)
            if not self._desk.flush():
                self._runtime.stop.wait(RETRY_SECONDS)

    def _run_batch(self, batch: Sequence[Delivery], asked: int) -> int:
        """Run what is not given back meanwhile; returns the size of the next batch. A small one is no reason to ask for
        less: at the start of a burst tasks come one by one."""
        started = self._busy_since = perf_counter()
        todo = self._todo
        todo.extend(batch)
        if len(batch) > 1:
            self._flusher.arm()  # the batch may be stuck behind a slow task: somebody must look
        try:
            while True:
                delivery = todo.popleft()
                if self._runtime.closing:
                    todo.appendleft(delivery)
                    _give_back(_emptied(todo))
                else:
                    self._run(delivery)
        except IndexError:
            mean = (perf_counter() - started) / len(batch)
            return max(1, min(MAX_BATCH, max(asked, len(batch) * 2), int(BATCH_SECONDS / mean)))

    def _run(self, delivery: Delivery) -> None:
        self._busy_since = perf_counter()
        if (arrival := self._desk.receive(delivery)) is not None:
            self.slot.job = arrival
            report = self._perform(arrival[0], arrival[1])
            self.slot.job = None
            again = None
            if self._retried:
                again = self._desk.finish_or_retry(arrival, report, self.slot.verdict)
            else:
                self._desk.finish(arrival, report)
            if self._runtime.on_task is not None:
                self._runtime.on_task(_run(arrival, report, self._busy_since, again))

    def _help_if_stuck(self) -> bool:
        """The flusher's look at this worker: when it runs a slow task, the reports of those before it leave, and what
        waits behind it goes to somebody else."""
        busy = perf_counter() - self._busy_since
        if self._todo and busy > BATCH_SECONDS:
            _give_back(_emptied(self._todo))
        sent = self.slot.job is None or (busy > SLOW_SECONDS and self._desk.flush_if_free())
        return bool(self._todo) or not sent


class IsolatedWorker(Worker):
    """A thread whose tasks run in a child process."""

    def __init__(self, runtime: Runtime, desk: Desk, source: Source, flusher: Flusher) -> None:
        from typeddingo.execute_isolated import in_child  # few apps have any

        super().__init__(runtime, desk, source, flusher)
        self._perform = in_child(desk.entry, self.slot, runtime.children)

    def _run(self, delivery: Delivery) -> None:
        try:
            super()._run(delivery)
        except Abandoned:
            arrival, self.slot.job = self.slot.job, None
            if arrival is not None:
                self._desk.give_back(arrival)


class AsyncWorkers:
    """The workers of an ``async def``: coroutines on the app's loop, and one thread that feeds them."""

    def __init__(self, runtime: Runtime, desk: Desk, source: Source, count: int) -> None:
        self._runtime = runtime
        self._desk = desk
        self._source = source
        self._free = threading.Semaphore(count)
        self._abandoned = False
        self._pool: LoopPool[Arrival] = LoopPool(runtime.loop, desk.slot, self._work, self._give_back)
        self._pool.grow(count)

    def feed(self) -> None:
        """Take as many tasks as there are free workers, until the source is closed."""
        while True:
            room = self._await_room()
            batch = self._source.take(room)
            for delivery in batch:
                if (arrival := self._desk.receive(delivery)) is None:
                    self._desk.flush_soon()
                    self._free.release()
                else:
                    self._pool.put(arrival)
            if room > len(batch):
                self._free.release(room - len(batch))
            if not batch and self._source.closed:
                return

    def cancel(self, key: TaskKey) -> None:
        """End the coroutine that runs this task, if one does. From any thread; does not wait."""
        self._pool.cancel(lambda arrival: key in arrival[0].cancelled_as)

    def close(self) -> None:
        """Start no more; what waits is given back."""
        for arrival in self._pool.close():
            self._give_back(arrival)

    def join(self, deadline: Deadline) -> None:
        self._pool.join(deadline)

    def abandon(self) -> list[Arrival]:
        """The deadline has passed: what still runs is given back, its coroutines are about to be cancelled."""
        self._abandoned = True
        return self._pool.running()

    def _await_room(self) -> int:
        self._free.acquire()
        room = 1
        while room < MAX_BATCH and self._free.acquire(blocking=False):
            room += 1
        return room

    def _work(self, slot: Slot[Arrival]) -> Callable[[Arrival], Coroutine[object, None, None]]:
        work = perform_async(self._desk.entry, slot, self._runtime.timekeeper)

        retried = self._desk.entry.retry is not None

        async def run(arrival: Arrival) -> None:
            started = perf_counter()
            report = await work(arrival[0], arrival[1])
            if self._abandoned:
                self._give_back(arrival)
                return
            again = None
            if retried:
                again = self._desk.finish_or_retry(arrival, report, slot.verdict)
            else:
                self._desk.finish(arrival, report)
            self._desk.flush_soon()
            self._free.release()
            if self._runtime.on_task is not None:
                self._runtime.on_task(_run(arrival, report, started, again))

        return run

    def _give_back(self, arrival: Arrival) -> None:
        self._desk.give_back(arrival)
        self._free.release()


def _emptied(todo: deque[Delivery]) -> list[Delivery]:
    """What was in it, taken from its end: another thread may be taking from its front."""
    taken: list[Delivery] = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(todo.pop())
    return taken[::-1]


def _give_back(deliveries: Sequence[Delivery]) -> None:
    settle_all([(delivery, Receipt.GIVE_BACK) for delivery in deliveries])


def _run(arrival: Arrival, report: Report[object], started: float, again: float | None) -> TaskRun:
    task, _, delivery, _, _ = arrival
    error = report.failure.exception_type if report.failure else ""
    attempt = delivery.retries + delivery.attempt
    return TaskRun(task.name, task.id, report.status, perf_counter() - started, attempt, error, again)
