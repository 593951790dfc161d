"""What runs by the clock, in every way a task can travel."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

import pytest

from tests.leftovers import running
from tests.life.conftest import WAYS
from tests.life.test_retries import start
from typeddingo import (
    App,
    ConfigError,
    Confirmation,
    Context,
    Listener,
    LocalBackend,
    LocalBroker,
    NamedBroker,
    Option,
    Parcel,
    Role,
    Tasks,
    current_context,
)
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.testing import eventually


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    """As the others', also where a broker cannot put tasks off: a schedule does not need that."""
    with request.param(request) as app:
        yield app
    eventually(lambda: running() == [], f"no thread is left: {running()}")


class Runs:
    """What was run, and when it was due."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ids: list[str] = []
        self.late: list[float] = []

    def note(self) -> None:
        id = current_context().id
        due = datetime.fromisoformat(id.partition("@")[2])
        with self._lock:
            self.ids.append(id)
            self.late.append((datetime.now(UTC) - due).total_seconds())


def test_it_runs_again_and_again_each_moment_once_and_not_late(app: App) -> None:
    runs = Runs()

    @app.every(seconds=0.2, catch_up="all")
    @app.task(name="tick")
    def tick() -> None:
        runs.note()

    start(app, "tick")
    eventually(lambda: len(runs.ids) >= 6)
    assert len(set(runs.ids)) == len(runs.ids)
    due = sorted(datetime.fromisoformat(id.partition("@")[2]) for id in runs.ids)
    assert {after - before for before, after in pairwise(due)} == {timedelta(seconds=0.2)}
    assert min(runs.late) > -0.05, "never early"
    assert sorted(runs.late)[len(runs.late) // 2] < 1.0


def test_a_line_of_cron_with_seconds_runs(app: App) -> None:
    runs = Runs()

    @app.cron("* * * * * *", tz="Europe/Berlin")
    @app.task(name="secondly", context=True)
    async def secondly(context: Context, mark: str = "!") -> str:
        runs.note()
        return context.id + mark

    start(app, "secondly")
    eventually(lambda: len(runs.ids) >= 2)
    assert len(set(runs.ids)) == len(runs.ids)


def test_a_task_may_have_several_schedules_and_each_has_a_name(app: App) -> None:
    runs = Runs()

    @app.every(seconds=0.2, name="often")
    @app.every(seconds=0.3)
    @app.every(hours=1)
    @app.task(name="tick")
    def tick() -> None:
        runs.note()

    start(app, "tick")
    eventually(lambda: {id.partition("@")[0] for id in runs.ids} >= {"often", "tick-2"})
    listed = {schedule.name: schedule for schedule in app.schedules()}
    assert set(listed) == {"often", "tick", "tick-2"}
    assert {schedule.task for schedule in listed.values()} == {"tick"}
    assert listed["tick"].spec == "every 3600s"
    assert listed["tick"].next is not None
    assert listed["tick"].next > datetime.now(UTC)
    eventually(lambda: any(schedule.last is not None for schedule in app.schedules() if schedule.name == "often"))


def test_a_schedule_that_is_declared_while_workers_run_starts_too(app: App) -> None:
    runs = Runs()

    @app.task(name="tick")
    def tick() -> None:
        runs.note()

    start(app, "tick")
    assert app.every(seconds=0.2)(tick) is tick
    eventually(lambda: len(runs.ids) >= 2)


def test_a_collection_of_tasks_brings_its_schedules_along(app: App) -> None:
    runs, tasks = Runs(), Tasks()

    @tasks.every(seconds=0.2)
    @tasks.task(name="early")
    def early() -> None:
        runs.note()

    app.include(tasks)

    @tasks.every(seconds=0.2)
    @tasks.task(name="late")
    def late() -> None:
        runs.note()

    start(app, "early", "late")
    eventually(lambda: {id.partition("@")[0] for id in runs.ids} == {"early", "late"})


def test_one_that_fails_comes_again(app: App) -> None:
    runs = Runs()

    @app.every(seconds=0.2)
    @app.task(name="moody")
    def moody() -> None:
        runs.note()
        raise ValueError("on purpose")

    start(app, "moody")
    eventually(lambda: len(runs.ids) >= 3)


def test_after_close_nothing_fires(app: App) -> None:
    runs = Runs()

    @app.every(seconds=0.1)
    @app.task(name="tick")
    def tick() -> None:
        runs.note()

    start(app, "tick")
    eventually(lambda: len(runs.ids) >= 2)
    began = time.monotonic()
    app.close()
    assert time.monotonic() - began < 5
    before = len(runs.ids)
    time.sleep(0.3)  # what would fire does so three times in this
    assert len(runs.ids) == before


def test_an_app_that_has_no_workers_of_it_does_not_fire() -> None:
    broker = LocalBroker()
    app = App("remote")
    app.use(broker)

    @app.every(seconds=0.1)
    @app.task(name="tick")
    def tick() -> None: ...

    with app:
        time.sleep(0.3)  # as above
        assert broker.waiting() == 0
        assert [schedule.last for schedule in app.schedules()] == [None]


def test_the_options_of_the_handle_go_with_it() -> None:
    seen: list[Option] = []
    with App("local") as app:

        @app.task(name="tick")
        def tick() -> None:
            seen.append(current_context().option)

        app.every(seconds=0.1)(tick.with_options(priority=7))
        eventually(lambda: seen)
    assert seen[0].priority == 7
    assert seen[0].ignore_report


# What is refused.


def test_a_task_that_must_be_given_arguments_is_refused() -> None:
    app = App("local")

    @app.task(name="greet")
    def greet(name: str) -> str:
        return name

    with pytest.raises(ConfigError, match="task 'greet' cannot have a schedule, which calls it without arguments"):
        app.every(seconds=5)(greet)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # what is refused
    assert app.schedules() == []


def test_a_schedule_goes_on_a_task_of_the_same_app() -> None:
    app, other = App("local"), App("local")

    @other.task(name="theirs")
    def theirs() -> None: ...

    with pytest.raises(ConfigError, match="task 'theirs' belongs to no app yet, or to another one"):
        app.every(seconds=5)(theirs)
    with pytest.raises(ConfigError, match=r"a schedule goes above @app\.task"):
        app.every(seconds=5)(lambda: None)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # what is refused


def test_a_name_is_given_once_and_is_not_too_long() -> None:
    app = App("local")

    @app.every(seconds=5, name="a")
    @app.task(name="tick")
    def tick() -> None: ...

    with pytest.raises(ConfigError, match="a schedule called 'a' is there already"):
        app.every(seconds=6, name="a")(tick)
    with pytest.raises(ConfigError, match="longer than 90 bytes"):
        app.every(seconds=6, name="x" * 91)(tick)
    for name in ("", "a\n", cast("str", 3)):
        with pytest.raises(ConfigError, match="name: expected a text that can be printed"):
            app.every(seconds=6, name=name)(tick)
    with pytest.raises(ConfigError, match="catch_up: expected 'none', 'last', 'all', got 'some'"):
        app.every(seconds=6, catch_up="some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="every: expected numbers"):
        app.every(seconds=6, minutes="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Forgetful(NamedBroker):
    """Somebody's broker that remembers nothing."""

    def __init__(self) -> None:
        self._inner = LocalNamedBroker()

    def expect(self, roles: Role) -> None: ...

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return self._inner.send(parcels)

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return self._inner.add_listener(name, prefetch)

    def stop_all_listeners(self) -> None:
        self._inner.stop_all_listeners()

    def close(self) -> None:
        self._inner.close()


def test_a_broker_that_cannot_remember_is_named_when_workers_start() -> None:
    with App("remote") as app:
        app.use(Forgetful())
        app.use(LocalBackend())

        @app.every(seconds=5)
        @app.task(name="tick")
        def tick() -> None: ...

        with pytest.raises(ConfigError, match="remembers what has fired, and Forgetful does not"):
            app.allocate("tick", 1)


def test_layout_dingo_has_no_place_for_schedules(redis_url: str) -> None:
    with App(f"{redis_url}?layout=dingo") as app:

        @app.every(seconds=5)
        @app.task(name="tick")
        def tick() -> None: ...

        with pytest.raises(ConfigError, match="schedules need the native layout"):
            app.allocate("tick", 1)
