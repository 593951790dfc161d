"""The workloads, as the caller's process runs them. Comes from ``__main__``, goes to a ``Driver``.

Each is measured for a time, not for a count: what does 400 a second and what does 40,000 take equally long.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from time import monotonic, perf_counter
from typing import Any

from benchmarks.peers.driver import Driver

__all__ = ["Figures", "Workloads"]

Figures = dict[str, Any]
MOST_FILLED = 10_000
MOST_AT_ONCE = 10_000
SLOW = 0.1
"""Seconds that a slow task of W7 sleeps."""


class Workloads:
    """Of one system. What was sent before a worker runs is kept for ``drain``."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._sent: list[Any] = []
        self._first = 0.0
        """When the first result had arrived."""

    def mark(self) -> Figures:
        """A task before the worker is started."""
        self._sent = [self.driver.send("add", (1, 2))]
        return {}

    def started(self) -> Figures:
        """When the first task that was sent had its result; on one machine all processes see the same clock."""
        self.driver.wait(self._sent[0])
        self._first = perf_counter()
        return {"at": monotonic()}

    def fill(self, task: str, seconds: float) -> Figures:
        """W1, one call after the other, with no worker there; then for as long many at once, for W2."""
        driver, row = self.driver, self.driver.row(task)
        sent: list[Any] = []
        begun = now = perf_counter()
        while now - begun < seconds and len(sent) < MOST_FILLED:
            sent += [driver.send(task, row) for _ in range(20)]
            now = perf_counter()
        measured = {"rate": len(sent) / (now - begun), "count": len(sent)}
        while perf_counter() - now < seconds and len(sent) < MOST_FILLED:
            sent += driver.send_many(task, [row] * 500)
        self._sent += sent
        return measured

    def drain(self) -> Figures:
        """W2, what ``fill`` has left, results kept: from its first result to its last."""
        self.driver.wait(self._sent[-1])
        count = len(self._sent) - 1
        return {"rate": count / (perf_counter() - self._first), "count": count}

    def bulk(self, task: str, seconds: float) -> Figures:
        """W1, many at once in the system's own way; all of them are confirmed at the end, where it confirms."""
        row = self.driver.row(task)
        begun = perf_counter()
        self.driver.send_many(task, [row] * 500)
        count = int(min(MOST_AT_ONCE, max(500.0, seconds * 500 / (perf_counter() - begun))))
        rows = [row] * count
        begun = perf_counter()
        handles = self.driver.send_many(task, rows)
        return {"rate": len(handles) / (perf_counter() - begun), "count": count}

    def round_trips(self, task: str, window: int, seconds: float) -> Figures:
        """W3: sends ``window`` tasks, waits for all their results, and again."""
        driver, rows = self.driver, [self.driver.row(task)] * window
        driver.wait_many(driver.send_many(task, rows))
        return _repeat(lambda: len(driver.wait_many(driver.send_many(task, rows))), seconds)

    def idle(self, count: int, pause: float) -> Figures:
        """W4: one round trip at a time on an idle system; all latencies, in seconds."""
        taken: list[float] = []
        for _ in range(count + 5):
            time.sleep(pause)
            begun = perf_counter()
            self.driver.wait(self.driver.send("add", (1, 2)))
            taken.append(perf_counter() - begun)
        return {"latencies": taken[5:]}

    def threads(self, count: int, seconds: float) -> Figures:
        """W6: threads, each with one round trip at a time."""
        if not self.driver.threads:
            return {}
        done = [0] * count
        until = perf_counter() + seconds

        def call(number: int) -> None:
            while perf_counter() < until:
                self.driver.wait(self.driver.send("add", (1, 2)))
                done[number] += 1

        callers = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(count)]
        begun = perf_counter()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(seconds + 30)
        return {"rate": sum(done) / (perf_counter() - begun), "count": sum(done)}

    def coroutines(self, count: int, seconds: float) -> Figures:
        """W6: coroutines of one event loop, each with one round trip at a time."""
        if not self.driver.asyncio:
            return {}
        done = 0

        async def call(until: float) -> None:
            nonlocal done
            while perf_counter() < until:
                await self.driver.round_trip("add", (1, 2))
                done += 1

        async def callers() -> float:
            begun = perf_counter()
            await asyncio.gather(*(call(begun + seconds) for _ in range(count)))
            return perf_counter() - begun

        return {"rate": done / taken, "count": done} if (taken := self.driver.run(callers())) else {}

    def mixed(self, slow: int, fast: int, count: int) -> Figures:
        """W7: latencies of ``fast`` tasks that are sent between ``slow`` ones, in seconds. The worker has a free slot
        for each: where there are too few, nobody can keep fast tasks from waiting."""
        driver, taken = self.driver, list[float]()
        driver.wait_many([driver.send("nap", (0.0,)) for _ in range(20)])
        for _ in range(count):
            waiting: list[Any] = []
            begun: list[tuple[Any, float]] = []
            for place in range(max(slow, fast)):
                if place < slow:
                    waiting.append(driver.send("nap", (SLOW,)))
                if place < fast:
                    now = perf_counter()
                    begun.append((driver.send("nap", (0.0,)), now))
            for handle, now in begun:
                driver.wait(handle)
                taken.append(perf_counter() - now)
            driver.wait_many(waiting)
            time.sleep(0.01)
        return {"latencies": taken}

    def deepen(self, depth: int, sample: int) -> Figures:
        """W8, with no worker there: ``depth`` tasks in the queue, and before them as many as are measured, with which
        the worker gets warm; what the last ones cost to send."""
        send = self.driver.send_many
        rows = [(1, 2)] * sample
        self._sent = send("add", rows)
        self._sent = [self._sent[0], self._sent[-1], send("add", rows)[-1]]
        for start in range(0, depth - 2 * sample, sample):
            self.driver.forget("add", rows[: depth - 2 * sample - start])
        parts = [rows[part::5] for part in range(5)]
        taken = [_seconds(partial(send, "add", part)) / len(part) for part in parts if part]
        return {"enqueue": median(taken)}

    def shallow(self, sample: int) -> Figures:
        """W8: what the first tasks of the deep queue cost to run."""
        self.driver.wait(self._sent[1])
        begun = perf_counter()
        self.driver.wait(self._sent[2])
        return {"drain": (perf_counter() - begun) / sample}

    def soak(self, count: int) -> Figures:
        """W9: ``count`` round trips in windows of 1,000."""
        rows = [(1, 2)] * 1_000
        begun = perf_counter()
        for _ in range(max(1, count // 1_000)):
            self.driver.wait_many(self.driver.send_many("add", rows))
        return {"seconds": perf_counter() - begun}


def _seconds(once: Callable[[], object]) -> float:
    begun = perf_counter()
    once()
    return perf_counter() - begun


def _repeat(once: Callable[[], int], seconds: float) -> Figures:
    begun = now = perf_counter()
    count = 0
    while now - begun < seconds:
        count += once()
        now = perf_counter()
    return {"rate": count / (now - begun), "count": count}
