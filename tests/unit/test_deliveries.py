"""What a worker makes of a delivery: what lies beside its frame, what is reported, and how it is settled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.leftovers import running
from tests.unit.by_hand import SECONDS, until
from typeddingo import (
    Ack,
    App,
    BrokerBlocked,
    Config,
    Confirmation,
    ConnectionLost,
    Context,
    Delivery,
    Listener,
    Parcel,
    Receipt,
    Status,
    patience,
)
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.outbox import Flusher
from typeddingo.task_run import TaskRun


class Seen(LocalNamedBroker):
    """A broker that shows what passes through it; ``attempt`` is what it says of every delivery."""

    def __init__(self, *, beside: bool = False, attempt: int = 1) -> None:
        super().__init__()
        self.sent: list[Parcel] = []
        self.settled: list[list[tuple[bytes, Receipt]]] = []
        self._beside = beside
        self._attempt = attempt

    @property
    def carries_reply_to(self) -> bool:
        return self._beside

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        self.sent += parcels
        return super().send(parcels)

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        listener = super().add_listener(name, prefetch)
        take, settle = listener.take, listener.settle

        def taken(count: int, timeout: float | None = None) -> Sequence[Delivery]:
            deliveries = take(count, timeout)
            for delivery in deliveries:
                delivery.attempt = self._attempt
            return deliveries

        def settled(receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
            self.settled.append([(delivery.body, receipt) for delivery, receipt in receipts])
            settle(receipts)

        listener.take = taken  # type: ignore[method-assign]  # one more step
        listener.settle = settled  # type: ignore[method-assign]  # as above
        return listener


class Slow(LocalBackend):
    """A backend with an address, whose reporting waits for as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.waits = threading.Event()
        self.is_away = False
        self.reported: list[Parcel] = []

    @property
    def reply_to(self) -> str:
        return "here"

    def report(self, parcels: Sequence[Parcel]) -> None:
        if self.is_away:
            raise ConnectionLost("away")
        if not self.open.is_set():
            self.waits.set()
            assert self.open.wait(SECONDS)
        self.reported += parcels
        super().report(parcels)


@pytest.fixture
def backend() -> Slow:
    return Slow()


@pytest.fixture
def make(backend: Slow) -> Iterator[Callable[[Seen, Config], App]]:
    apps: list[App] = []

    def make(broker: Seen, config: Config) -> App:
        app = App("remote", config=config)
        app.use(broker)
        app.use(backend)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()
    assert running() == []


Make = Callable[[Seen, Config], App]


def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize("beside", [True, False], ids=["beside the frame", "in the frame"])
def test_the_address_of_reports_travels_once(make: Make, backend: Slow, beside: bool) -> None:
    broker = Seen(beside=beside)
    app = make(broker, Config())
    app.register("add", add).call(1, 2)
    (parcel,) = broker.sent
    assert parcel.meta.reply_to == "here"
    assert (b'"T":"here"' in parcel.body) == (not beside)


def test_a_task_knows_how_often_it_was_delivered(make: Make) -> None:
    app = make(Seen(attempt=3), Config())

    @app.task(context=True, name="attempt")
    def attempt(context: Context) -> int:
        return context.attempt

    app.allocate(attempt)
    assert attempt.call().get(SECONDS) == 3


@pytest.mark.parametrize("ack", list(Ack))
def test_a_delivery_is_settled_once(make: Make, ack: Ack) -> None:
    broker = Seen()
    app = make(broker, Config(ack=ack))
    task = app.register("add", add)
    app.allocate(task)
    results = [task.call(number, 1) for number in range(5)]
    assert [result.get(SECONDS) for result in results] == [1, 2, 3, 4, 5]
    app.close()
    receipts = [receipt for batch in broker.settled for _, receipt in batch]
    assert receipts == [Receipt.OK] * 5


def test_what_a_worker_has_not_begun_goes_back_in_one_piece_and_in_order_when_its_app_closes(make: Make) -> None:
    broker = Seen()
    app = make(broker, Config())
    begun, go_on = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if number < 0:
            begun.set()
            assert go_on.wait(SECONDS)

    task = app.register("work", work)
    with app.batch():
        quick = [task.call(number) for number in range(200)]
    app.allocate(task)
    for result in quick:
        result.get(SECONDS)  # short tasks: from now on it takes many at once
    broker.settled.clear()
    bodies = len(broker.sent)
    with app.batch():
        task.call(-1)
        for number in range(10):
            task.call(number)
    assert begun.wait(SECONDS)
    closing = threading.Thread(target=app.close)
    closing.start()
    go_on.set()
    closing.join(SECONDS)
    back = [[body for body, receipt in batch if receipt is Receipt.GIVE_BACK] for batch in broker.settled]
    back = [batch for batch in back if batch]
    given = [body for batch in back for body in batch]
    order = [parcel.body for parcel in broker.sent[bodies + 1 :]]
    assert len(back) <= 1, "one batch, if the worker held more than it ran"
    assert given == order[len(order) - len(given) :] or given == order[: len(given)]


def test_a_report_that_found_its_channel_busy_leaves_later_by_itself(make: Make, backend: Slow) -> None:
    app = make(Seen(), Config())
    begun = {1: threading.Event(), 2: threading.Event()}
    go_on = threading.Event()

    @app.task(context=True, name="steps")
    def steps(context: Context, number: int) -> None:
        context.progress(number)
        begun[number].set()
        assert go_on.wait(SECONDS)

    # One channel for both workers of ``steps``; the first report that leaves it is held up.
    app.allocate(steps, 2, 0)
    backend.open.clear()
    first = steps.with_options(monitor_progress=True).call(1)
    assert backend.waits.wait(SECONDS)
    second = steps.with_options(monitor_progress=True).call(2)
    assert begun[2].wait(SECONDS)
    backend.open.set()
    arrived = (report.progress for report in second.reports(SECONDS) if report.status is Status.PROGRESS)
    assert next(progress for progress in arrived if progress is not None) == (2, None), "although its task still runs"
    go_on.set()
    first.get(SECONDS)
    second.get(SECONDS)


def test_a_report_that_hurries_while_another_leaves_is_not_forgotten(make: Make, backend: Slow) -> None:
    app = make(Seen(), Config())
    ended: list[TaskRun] = []
    app._runtime.on_task = ended.append  # pyright: ignore[reportPrivateUsage]  # called when a report has hurried

    async def later(number: int) -> int:
        return number

    task = app.register("later", later)
    app.allocate(task, 2)
    backend.open.clear()
    first = task.call(1)
    assert backend.waits.wait(SECONDS)
    second = task.call(2)
    until(lambda: len(ended) == 2)
    backend.open.set()
    assert [first.get(SECONDS), second.get(SECONDS)] == [1, 2]


def test_the_report_of_a_quick_task_does_not_wait_for_a_slow_one_behind_it(make: Make) -> None:
    app = make(Seen(), Config())
    begun, go_on = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number < 0:
            begun.set()
            assert go_on.wait(SECONDS)
        return number

    task = app.register("work", work)
    quick = task.map(range(300))  # taken in ever larger batches: the slow one is in one with the last of them
    slow = task.call(-1)
    app.allocate(task)
    assert begun.wait(SECONDS)
    assert [result.get(SECONDS) for result in quick] == list(range(300))
    go_on.set()
    assert slow.get(SECONDS) == -1


def test_closing_does_not_wait_for_a_reporter_that_stays_away(make: Make, backend: Slow) -> None:
    app = make(Seen(), Config())
    task = app.register("add", add)
    backend.is_away = True
    app.allocate(task)
    task.call(1, 2)
    until(lambda: any(thread.name.endswith("-worker-add") for thread in threading.enumerate()))
    deadline = Deadline(5.0)
    app.close(timeout=20)
    assert not deadline.passed


def test_a_hundred_coroutines_cost_one_thread(make: Make) -> None:
    app = make(Seen(), Config())

    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return number

    before = threading.active_count()
    task = app.register("later", later)
    assert app.allocate(task, 100) == 0
    assert threading.active_count() == before + 1
    assert [result.get(SECONDS) for result in task.map(range(300))] == list(range(300))


def test_an_async_task_that_nobody_called_starts_no_loop_to_end_it(
    backend: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App("remote")
    app.use(LocalNamedBroker())
    app.use(backend)

    async def later() -> None: ...

    app.allocate(app.register("later", later))
    started: list[str] = []
    start = threading.Thread.start

    def seen(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", seen)
    app.close()
    assert [name for name in started if name.endswith("-loop")] == []
    assert running() == []


def test_a_task_whose_report_cannot_be_stored_for_long_is_given_back(
    make: Make, backend: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.05)
    blocked = [True]

    def report(parcels: Sequence[Parcel]) -> None:
        if blocked:
            time.sleep(0.1)  # longer than patience lasts
            blocked.pop()
            raise BrokerBlocked("it takes nothing at the moment")
        Slow.report(backend, parcels)

    monkeypatch.setattr(backend, "report", report)
    broker = Seen()
    app = make(broker, Config())
    task = app.register("add", add)
    app.allocate(task)
    assert task.call(1, 2).get(SECONDS) == 3
    until(lambda: [receipt for batch in broker.settled for _, receipt in batch] == [Receipt.GIVE_BACK, Receipt.OK])


def test_what_ends_while_the_last_reports_are_sent_is_reported_too(backend: Slow) -> None:
    done: list[int] = []
    first, go_on = threading.Event(), threading.Event()

    def chore() -> bool:
        if not done:
            first.set()
            assert go_on.wait(SECONDS)
            done.append(1)
            return True
        done.append(2)
        return False

    flusher = Flusher(Threads("test"))
    flusher.look_after(chore)
    flusher.arm(soon=True)
    assert first.wait(SECONDS)
    flusher.stop()
    go_on.set()
    assert flusher.join(Deadline(SECONDS)) == []
    assert done[:2] == [1, 2]
