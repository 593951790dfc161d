"""The scheduler by hand: no thread, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from typeddingo import ConfigError, ConnectionLost, Event, QueueFull
from typeddingo.broker import Parcel
from typeddingo.brokers._local_timetable import LocalTimetable
from typeddingo.config import Config
from typeddingo.message import Meta
from typeddingo.result import Result
from typeddingo.rhythm import CatchUp, Cron, Every
from typeddingo.runtime import Runtime
from typeddingo.scheduler import LONG_PAUSE, LOOK, PAUSE, Planned, Scheduler
from typeddingo.timetable import Look, ScheduleKey, Seat, Timetable

START = 1_790_000_000.0


class World:
    """One clock, one timetable, any number of schedulers."""

    def __init__(self) -> None:
        self.now = START
        self.sent: list[str] = []
        self.timetable: Timetable = LocalTimetable(self._store, lambda: self.now)
        self.trouble: Exception | None = None
        self.events: list[Event] = []

    def _store(self, parcels: Sequence[Parcel]) -> None:
        self.sent += [parcel.meta.id for parcel in parcels]

    def scheduler(self, seconds: float = 10.0, catch_up: CatchUp = "last", name: str = "tick") -> Scheduler:
        runtime = Runtime(Config(), Result)
        runtime.events.subscribe(self.events.append)
        made = Scheduler(runtime, lambda: self.timetable, lambda: self.now)
        key = ScheduleKey(name, "task")
        plan = Planned(key, Every(seconds), catch_up, lambda id: Parcel(Meta("task", id), b""))
        made.serve([plan], start=False)
        return made


class Troubled(Timetable):
    """A server that does not always answer."""

    def __init__(self, world: World, inner: Timetable) -> None:
        self._world = world
        self._inner = inner
        self.ours = True
        self.room = 100
        self.wakes: list[Callable[[], object]] = []

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        self.wakes.append(wake)
        return _TroubledSeat(self._world, self, self._inner.take_part(key, wake))

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        return self._inner.last_fired(keys)


class _TroubledSeat(Seat):
    def __init__(self, world: World, table: Troubled, inner: Seat) -> None:
        self._world = world
        self._table = table
        self._inner = inner

    def look(self) -> Look:
        if self._world.trouble is not None:
            raise self._world.trouble
        return self._inner.look()._replace(ours=self._table.ours)

    def fire(self, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        if len(parcels) > self._table.room:
            raise QueueFull("there is no room for all")
        return self._inner.fire(before, to, parcels)

    def leave(self) -> None:
        self._inner.leave()


@pytest.fixture
def world() -> World:
    return World()


def test_it_fires_when_it_is_due_and_waits_just_until_then(world: World) -> None:
    scheduler = world.scheduler(10)
    assert scheduler.attend() == 10
    world.now += 9.5
    assert scheduler.attend() == pytest.approx(0.5)
    assert world.sent == []
    world.now += 0.5
    assert scheduler.attend() == 10
    assert world.sent == ["tick@2026-09-21T14:13:30Z"]


def test_many_of_them_fire_once(world: World) -> None:
    schedulers = [world.scheduler(10) for _ in range(5)]
    for _ in range(200):
        world.now += 1.0
        for scheduler in schedulers:
            scheduler.attend()
    assert len(world.sent) == len(set(world.sent)) == 20


@pytest.mark.parametrize(("catch_up", "count"), [("none", 0), ("last", 1), ("all", 6)])
def test_what_nobody_was_there_for_is_made_up_for_as_was_said(world: World, catch_up: CatchUp, count: int) -> None:
    world.scheduler(3600, catch_up).attend()
    world.now += 6 * 3600 + 1800
    later = world.scheduler(3600, catch_up)
    later.attend()
    assert len(world.sent) == count
    world.now = Every(3600).after(world.now)
    later.attend()
    assert len(world.sent) == count + 1


def test_a_clock_that_is_put_back_fires_nothing_twice(world: World) -> None:
    scheduler = world.scheduler(10)
    scheduler.attend()
    world.now += 25
    scheduler.attend()
    fired = list(world.sent)
    world.now -= 20
    for _ in range(20):
        world.now += 1
        scheduler.attend()
    assert world.sent == fired
    for _ in range(40):  # the scheduler's own clock was put back too: in life it is monotonic
        world.now += 1
        scheduler.attend()
    assert len(world.sent) > len(fired)
    assert len(set(world.sent)) == len(world.sent)


def test_a_clock_that_is_far_behind_is_told_of(world: World) -> None:
    world.scheduler(10).attend()
    world.now -= 3600
    late = world.scheduler(10)
    late.attend()
    late.attend()
    warnings = [event for event in world.events if "which the clock here has not come to" in event.message]
    assert len(warnings) == 1


def test_a_server_that_is_away_is_asked_again_and_told_of_once(world: World) -> None:
    table = world.timetable = Troubled(world, world.timetable)
    scheduler = world.scheduler(10, "all")
    scheduler.attend()
    assert table.wakes
    world.trouble = ConnectionLost("gone")
    for _ in range(25):
        world.now += PAUSE
        assert scheduler.attend() <= 10
    assert world.sent == []
    assert len([event for event in world.events if "could not fire, trying again: gone" in event.message]) == 1
    world.trouble = None
    world.now += PAUSE
    scheduler.attend()
    assert len(world.sent) == 2


@pytest.mark.parametrize(
    ("trouble", "pause"),
    [(QueueFull("full"), PAUSE), (ConfigError("no"), LONG_PAUSE), (RuntimeError("a bug"), PAUSE)],
    ids=["full", "refused", "bug"],
)
def test_whatever_goes_wrong_it_is_tried_again(world: World, trouble: Exception, pause: float) -> None:
    world.timetable = Troubled(world, world.timetable)
    scheduler = world.scheduler(10)
    world.trouble = trouble
    assert scheduler.attend() == pause
    world.trouble = None
    world.now += pause
    assert scheduler.attend() <= 10
    world.now += 10
    scheduler.attend()
    assert len(world.sent) == 1


def test_while_another_process_fires_it_waits_until_it_is_woken(world: World) -> None:
    table = world.timetable = Troubled(world, world.timetable)
    table.ours = False
    scheduler = world.scheduler(10)
    assert scheduler.attend() == LOOK
    world.now += 11
    scheduler.attend()
    assert world.sent == []
    table.ours = True
    table.wakes[0]()
    scheduler.attend()
    world.now += 10
    scheduler.attend()
    assert len(world.sent) == 1


def test_once_closed_it_does_nothing(world: World) -> None:
    scheduler = world.scheduler(10)
    scheduler.attend()
    scheduler.close()
    scheduler.close()
    world.now += 100
    scheduler.attend()
    assert world.sent == []


def test_a_line_of_cron_that_never_comes_again_is_waited_for_without_haste(world: World) -> None:
    assert Cron("0 0 29 2 *").after(START) is not None
    scheduler = world.scheduler(86_400)
    assert scheduler.attend() == LOOK


def test_more_than_fits_into_the_queue_at_once_comes_one_by_one(world: World) -> None:
    table = world.timetable = Troubled(world, world.timetable)
    table.room = 1
    scheduler = world.scheduler(10, "all")
    scheduler.attend()
    world.now += 55
    scheduler.attend()
    assert world.sent == []
    world.now += PAUSE
    scheduler.attend()
    assert len(world.sent) == len(set(world.sent)) == 5
