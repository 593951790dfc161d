"""Many threads on one app for a while: every handler once, nothing lost, no thread left, no memory kept.

``TYPEDDINGO_SOAK_SECONDS`` says for how long: 3 by default, 30 in the full run.
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time
import tracemalloc
from collections import Counter

import pytest

from tests.acceptance.conftest import MakeApp, by_reference, mapped, named, through_codec
from tests.leftovers import running
from typeddingo import App, Option, Result
from typeddingo.task import SyncTask
from typeddingo.window import Window

SOAK_SECONDS = float(os.environ.get("TYPEDDINGO_SOAK_SECONDS", "3"))
THREADS = 32


def add(a: int, b: int) -> int:
    if a < 0:
        raise ValueError("negative")
    return a + b


class Caller:
    """One thread that calls, waits and registers handlers in every order there is."""

    def __init__(self, task: SyncTask[[int, int], int], seed: int, end: float) -> None:
        self.calls = 0
        self.wrong: list[str] = []
        self._fired: Counter[int] = Counter()
        self._expected: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._monitored = task.with_options(monitor_progress=True)
        self._task = task
        self._end = end
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while time.monotonic() < self._end:
            self._burst(self._random.randrange(1, 30))

    def _burst(self, size: int) -> None:
        """A few calls at a time, then a look at all of them."""
        waiting: list[tuple[Result[int], int, int, int]] = []
        for _ in range(size):
            self.calls += 1
            number = self.calls if self._random.random() < 0.9 else -self.calls
            task = self._monitored if self._random.random() < 0.2 else self._task
            result = task.call(number, 1)
            expected = number + 1 if number > 0 else -1
            moment = self._random.randrange(3)  # handlers before the end, while waiting, after the end
            if moment < 2:
                self._register(result, number)
            waiting.append((result, number, expected, moment))
        for result, number, expected, moment in waiting:
            report = result.wait(60)
            got = report.value if report.ok else -1
            if got != expected:
                self.wrong.append(f"{number}: {got}")
            if moment == 2:
                self._register(result, number)
        with self._lock:
            if self._fired != self._expected:
                self.wrong.append(f"handlers: {self._fired - self._expected} {self._expected - self._fired}")
            self._fired.clear()
            self._expected.clear()

    def _register(self, result: Result[int], number: int) -> None:
        with self._lock:
            self._expected[number] += 1

        def fire(_: object) -> None:
            with self._lock:
                self._fired[number] += 1

        result.on_ok(fire).on_nok(fire)


@pytest.mark.slow
@pytest.mark.timeout(SOAK_SECONDS * 3 + 60)
@pytest.mark.parametrize("make", [by_reference, through_codec, mapped, named])
def test_many_threads_call_wait_and_register_and_every_handler_fires_once(make: MakeApp) -> None:
    with make() as app:
        # What is remembered of tasks that are done is bounded, and full from the start here.
        app._runtime.window = Window(room=2)  # pyright: ignore[reportPrivateUsage]  # no setting of users
        task = app.register("add", add, option=Option())
        app.allocate(task, 3)
        tracemalloc.start()
        try:
            soak(app, task, min(1.0, SOAK_SECONDS / 3))  # what is made once is made now
            before = settled_memory()
            calls = soak(app, task, SOAK_SECONDS)
            grown = settled_memory() - before
        finally:
            tracemalloc.stop()
    assert calls > 1000
    assert grown < 200_000, f"{grown} bytes are kept after {calls} calls"
    assert running() == []


def soak(app: App, task: SyncTask[[int, int], int], seconds: float) -> int:
    """Returns how many calls were made; fails on the first that went wrong."""
    callers = [Caller(task, seed, time.monotonic() + seconds) for seed in range(THREADS)]
    for caller in callers:
        caller.thread.start()
    for caller in callers:
        caller.thread.join(seconds + 60)
        assert not caller.thread.is_alive()
    assert [caller.wrong for caller in callers if caller.wrong] == []
    return sum(caller.calls for caller in callers)


def settled_memory() -> int:
    """Bytes in Python's hands, garbage left out."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
