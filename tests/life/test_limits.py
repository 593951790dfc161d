"""How often, and how many at a time, a task may run: over all workers, in the order of the calls, at nearly full rate.

A ledger of starts and ends judges, not what the limiters say of themselves.
"""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence

import pytest

from tests.unit.by_hand import SECONDS
from typeddingo import App, ConfigError, Result
from typeddingo.backends.local import LocalBackend
from typeddingo.broker import Confirmation, Parcel
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.testing import eventually

SLACK = 0.05
"""Seconds: a start is allowed, and noted a little later."""
LONG = 30.0


class Ledger:
    """When each run began and ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.starts: list[float] = []
        self.order: list[int] = []
        self.ends: list[float] = []
        self._running = 0
        self.most = 0

    def begin(self, number: int = 0) -> None:
        with self._lock:
            self.starts.append(time.monotonic())
            self.order.append(number)
            self._running += 1
            self.most = max(self.most, self._running)

    def end(self) -> None:
        with self._lock:
            self._running -= 1
            self.ends.append(time.monotonic())

    def busiest(self, window: float) -> int:
        """The most starts in any stretch of so many seconds."""
        return max(at + 1 - bisect_left(self.starts, start - window) for at, start in enumerate(self.starts))

    @property
    def took(self) -> float:
        return self.starts[-1] - self.starts[0]


def wait_for(results: list[Result[None]]) -> None:
    for result in results:
        result.get(LONG)


def test_it_starts_no_oftener_than_its_limit_and_nearly_as_often(app: App) -> None:
    ledger = Ledger()

    @app.task(name="tick", limit="10/s")
    def tick(number: int) -> None:
        ledger.begin(number)

    app.allocate("tick", 4)
    wait_for([tick.call(number) for number in range(35)])
    assert ledger.busiest(1.0 - SLACK) <= 10
    assert ledger.took <= 3.0 / 0.6  # a machine may be busy
    # Of a burst a few stay behind in the batch of a worker, before anybody has asked for them.
    in_order = sum(abs(at - number) <= 10 for at, number in enumerate(ledger.order))
    assert in_order >= 0.8 * 35, " ".join(map(str, ledger.order))


def test_no_more_run_at_a_time_than_may_and_nearly_as_many(app: App) -> None:
    ledger = Ledger()

    @app.task(name="work", max_running=2)
    def work(number: int) -> None:
        ledger.begin(number)
        time.sleep(0.2)
        ledger.end()

    app.allocate("work", 5)
    began = time.monotonic()
    wait_for([work.call(number) for number in range(20)])
    assert ledger.most == 2
    assert time.monotonic() - began <= 2.0 / 0.5


def test_coroutines_are_limited_too(app: App) -> None:
    ledger = Ledger()

    @app.task(name="work", max_running=2, limit="20/s")
    async def work(number: int) -> None:
        ledger.begin(number)
        await asyncio.sleep(0.1)
        ledger.end()

    app.allocate("work", 10)
    wait_for([work.call(number) for number in range(20)])
    assert ledger.most == 2
    assert ledger.busiest(1.0 - SLACK) <= 20


def test_each_key_has_its_own_limits(app: App) -> None:
    ledgers = {"a": Ledger(), "b": Ledger()}

    @app.task(name="work", max_running=1)
    def work(whose: str, number: int) -> None:
        ledgers[whose].begin(number)
        time.sleep(0.1)
        ledgers[whose].end()

    @work.key
    def _(whose: str, number: int) -> str:
        return whose

    app.allocate("work", 4)
    wait_for([work.call(whose, number) for number in range(4) for whose in "ab"])
    assert [ledger.most for ledger in ledgers.values()] == [1, 1]
    a, b = ledgers.values()
    assert a.starts[0] < b.ends[-1]
    assert b.starts[0] < a.ends[-1]


def test_who_waits_holds_no_worker(app: App) -> None:
    @app.task(name="slow", limit="1/min")
    def slow() -> None: ...

    @app.task(name="other")
    def other() -> int:
        return 1

    app.allocate("slow", 1)
    app.allocate("other", 1)
    slow.call().get(SECONDS)
    waiting = [slow.call() for _ in range(3)]
    assert other.call().get(SECONDS) == 1
    assert not any(result.done for result in waiting)


def test_one_that_waits_is_not_counted_as_retried(app: App) -> None:
    ran: list[int] = []

    @app.task(name="flaky", max_running=1, retries=1, backoff=0.01)
    def flaky(number: int) -> None:
        ran.append(number)
        if ran.count(number) == 1:
            raise ValueError("not yet")

    app.allocate("flaky", 4)
    wait_for([flaky.call(number) for number in range(4)])
    assert sorted(ran) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_failed_makes_room(app: App) -> None:
    @app.task(name="fail", max_running=1)
    def fail() -> None:
        raise ValueError("no")

    app.allocate("fail", 2)
    assert [result.wait(LONG).failed for result in [fail.call() for _ in range(5)]] == [True] * 5


# settings


@pytest.mark.parametrize("limit", ["10", "ten/s", "0/s", "1/0s", "-1/s", "1/week", 10, "1/s\n2"])
def test_a_limit_is_a_number_and_a_time(limit: str) -> None:
    with App("local") as app, pytest.raises(ConfigError, match="limit: expected"):
        app.task(limit=limit)


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "2"])
def test_the_most_that_run_is_a_number(most: int) -> None:
    with App("local") as app, pytest.raises(ConfigError, match="max_running: expected"):
        app.task(max_running=most)


def test_a_task_that_is_delivered_again_while_it_runs_keeps_its_place() -> None:
    sent: list[Parcel] = []

    class Repeats(LocalNamedBroker):
        def send(self, parcels: Sequence[Parcel]) -> Confirmation:
            sent.extend(parcels)
            return super().send(parcels)

    ledger, release, broker = Ledger(), threading.Event(), Repeats()
    with App("remote") as app:
        app.use(broker)
        app.use(LocalBackend())

        @app.task(name="work", max_running=1)
        def work(number: int) -> None:
            ledger.begin(number)
            release.wait(LONG)
            ledger.end()

        app.allocate(work, 4)
        first = work.call(1)
        eventually(lambda: ledger.order == [1], "it runs")
        LocalNamedBroker.send(broker, sent[:1]).wait(LONG)
        time.sleep(0.2)  # nothing tells when it has been handed out again
        second = work.call(2)
        time.sleep(0.2)  # for a start that must not be
        assert ledger.order == [1]
        release.set()
        wait_for([first, second])
        assert (ledger.most, ledger.order) == (1, [1, 2])
