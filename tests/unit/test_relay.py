"""The next step of a pipeline leaves before its own is settled, whatever the broker says to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.unit.by_hand import SECONDS
from typeddingo import App, LocalBackend, TaskFailed, each
from typeddingo.broker import Confirmation, Parcel, Part
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.errors import ConnectionLost, PayloadTooLarge, SendError
from typeddingo.role import Role


class Moody(LocalNamedBroker):
    """Answers some sends and joins with errors, as they are given: by the name of the task, the first one first."""

    def __init__(self, max_length: int | None = None) -> None:
        super().__init__(max_length=max_length)
        self.errors: dict[str, list[Exception]] = {}
        self.sent: Counter[str] = Counter()

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        for parcel in parcels:
            if errors := self.errors.get(parcel.meta.name):
                raise errors.pop(0)
        confirmation = super().send(parcels)
        self.sent.update(parcel.meta.name for parcel in parcels)
        return confirmation

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        if errors := self.errors.get("join"):
            raise errors.pop(0)
        return super().join(parts)


class Shop:
    def __init__(self, app: App) -> None:
        self.runs: Counter[str] = Counter()

        @app.task(name="first")
        def first(number: int) -> list[int]:
            self.runs["first"] += 1
            return list(range(number))

        @app.task(name="second")
        def second(number: int) -> int:
            self.runs["second"] += 1
            return number + 1

        @app.task(name="third")
        def third(numbers: list[int]) -> int:
            self.runs["third"] += 1
            return sum(numbers)

        self.pipeline = first | each(second) | third
        self.short = first | third
        for task in (first, second, third):
            app.allocate(task, 1)


@pytest.fixture
def broker() -> Moody:
    return Moody()


def open_app(broker: Moody) -> App:
    app = App("remote")
    app.use(broker)
    app.use(LocalBackend())
    return app


def test_a_broker_that_is_away_for_a_moment_is_asked_again(broker: Moody) -> None:
    with open_app(broker) as app:
        shop = Shop(app)
        broker.errors = {name: [ConnectionLost("away")] * 2 for name in ("second", "third", "join")}
        assert shop.pipeline.call(4).get(SECONDS) == 10
        assert shop.runs == {"first": 1, "second": 4, "third": 1}


@pytest.mark.parametrize("where", ["second", "third", "join"])
def test_one_that_is_away_for_long_gets_the_task_back(
    broker: Moody, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then the step runs again."""
    monkeypatch.setattr("typeddingo.patience.PATIENCE", 0.0)
    with open_app(broker) as app:
        shop = Shop(app)
        broker.errors = {where: [ConnectionLost("away")] * 2}
        assert shop.pipeline.call(4).get(SECONDS) == 10
        assert sum(shop.runs.values()) > 6
        assert shop.runs["third"] == 1


def test_a_step_that_is_refused_for_good_ends_the_pipeline_by_its_name(broker: Moody) -> None:
    with open_app(broker) as app:
        shop = Shop(app)
        broker.errors = {"third": [PayloadTooLarge("too much of it")]}
        with pytest.raises(TaskFailed, match="step 2 of 2: too much of it") as failed:
            shop.short.call(4).get(SECONDS)
        assert failed.value.task == "third"
        assert shop.short.call(4).get(SECONDS) == 6  # the worker lives


def test_a_list_that_cannot_be_joined_ends_the_pipeline(broker: Moody) -> None:
    with open_app(broker) as app:
        shop = Shop(app)
        broker.errors = {"join": [SendError("no")] * 4}
        assert shop.pipeline.call(4).wait(SECONDS).failed


def test_a_list_that_is_longer_than_the_queue_trickles_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typeddingo.patience.PATIENCE", 1.0)
    with open_app(Moody(max_length=5)) as app:
        shop = Shop(app)
        assert shop.pipeline.call(20).get(SECONDS) == sum(range(20)) + 20
        assert shop.runs == {"first": 1, "second": 20, "third": 1}


def test_without_a_producer_the_worker_says_so() -> None:
    tasks, backend = LocalNamedBroker(), LocalBackend()
    with App("remote") as caller, App("remote") as worker:
        caller.use(tasks, Role.PRODUCER)
        caller.use(backend, Role.STORE)
        worker.use(tasks, Role.NAMED_CONSUMER)
        worker.use(backend, Role.REPORTER)
        Shop(worker)

        @caller.task(name="first")
        def first(number: int) -> list[int]:
            raise NotImplementedError

        @caller.task(name="third")
        def third(numbers: list[int]) -> int:
            raise NotImplementedError

        with pytest.raises(TaskFailed, match="step 2 of 2: no producer is attached") as failed:
            (first | third).call(3).get(SECONDS)
        assert failed.value.task == "third"
