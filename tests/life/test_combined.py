"""What a task may ask for goes together: limits, uniqueness, retries and isolation; alone and as a pipeline's step."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance import apart
from tests.acceptance.test_isolation import lives
from typeddingo import App, ErrorCode, Middleware, Outgoing, TaskFailed, each
from typeddingo.testing import eventually

LONG = 60.0
"""A child imports a program first."""

Interval = tuple[float, float]


def overlaps(intervals: list[Interval]) -> int:
    """How many begin while another one runs."""
    return sum(after[0] < before[1] for before, after in pairwise(sorted(intervals)))


class Intervals:
    """When the runs of a task began and ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.all: list[Interval] = []

    def spend(self, seconds: float) -> None:
        begin = time.monotonic()
        time.sleep(seconds)
        with self._lock:
            self.all.append((begin, time.monotonic()))


@pytest.mark.timeout(180)
def test_isolated_tasks_run_no_more_at_a_time_than_may(app: App) -> None:
    interval = app.register("interval", apart.interval, isolation="process", max_running=1)
    app.allocate(interval, 2)
    intervals = [result.get(LONG) for result in [interval.call(0.1) for _ in range(4)]]
    assert overlaps(intervals) == 0, intervals


@pytest.mark.timeout(180)
def test_equal_calls_of_an_isolated_task_run_once(app: App) -> None:
    pid = app.register("pid", apart.pid, isolation="process", unique_for=60)
    app.allocate(pid, 1)
    first, second = pid.call(), pid.call()
    assert first.id == second.id
    assert first.get(LONG) == second.get(LONG)


@pytest.mark.timeout(180)
def test_an_isolated_task_is_a_step_like_any_other(app: App) -> None:
    later = app.register("later", apart.later, isolation="process")

    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    @app.task(name="one_more")
    def one_more(number: int) -> int:
        return number + 1

    for task in (double, later, one_more):
        app.allocate(task, 1)
    assert (double | later | one_more).call(3).get(LONG) == 8


def test_a_step_that_is_limited_runs_no_more_at_a_time_than_may(app: App) -> None:
    ran = Intervals()

    @app.task(name="start")
    def start(number: int) -> int:
        return number

    @app.task(name="narrow", max_running=1)
    def narrow(number: int) -> int:
        ran.spend(0.05)
        return number + 1

    app.allocate(start, 2)
    app.allocate(narrow, 3)
    results = [(start | narrow).call(number) for number in range(5)]
    assert sorted(result.get(LONG) for result in results) == [1, 2, 3, 4, 5]
    assert overlaps(ran.all) == 0, ran.all


def test_the_runs_for_each_value_are_limited_together(app: App) -> None:
    ran = Intervals()

    @app.task(name="numbers")
    def numbers(count: int) -> list[int]:
        return list(range(count))

    @app.task(name="narrow", max_running=1)
    def narrow(number: int) -> int:
        ran.spend(0.05)
        return number

    @app.task(name="total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    for task in (numbers, narrow, total):
        app.allocate(task, 2)
    assert (numbers | each(narrow) | total).call(5).get(LONG) == 10
    assert overlaps(ran.all) == 0, ran.all


def test_every_pipeline_runs_its_own_steps_unique_or_not(app: App) -> None:
    ran: list[int] = []

    @app.task(name="start")
    def start(number: int) -> int:
        return number

    @app.task(name="once", unique_for=60)
    def once(number: int) -> int:
        ran.append(number)
        return number

    app.allocate(start, 1)
    app.allocate(once, 1)
    first, second = (start | once).call(1), (start | once).call(1)
    assert (first.get(LONG), second.get(LONG)) == (1, 1)
    assert ran == [1, 1]


def test_a_task_that_is_tried_again_lets_others_in_meanwhile(app: App) -> None:
    order: list[str] = []

    @app.task(name="moody", max_running=1, retries=1, backoff=0.2)
    def moody(name: str) -> str:
        order.append(name)
        if order.count(name) == 1 and name == "fails":
            raise ConnectionError("once")
        return name

    app.allocate(moody, 2)
    failing, other = moody.call("fails"), moody.call("other")
    assert (failing.get(LONG), other.get(LONG)) == ("fails", "other")
    assert sorted(order) == ["fails", "fails", "other"]


def test_a_task_that_waits_for_its_limit_can_be_cancelled(app: App) -> None:
    release, started, ran = threading.Event(), threading.Event(), list[int]()

    @app.task(name="narrow", max_running=1)
    def narrow(number: int) -> int:
        ran.append(number)
        started.set()
        release.wait(LONG)
        return number

    app.allocate(narrow, 2)
    first = narrow.call(1)
    assert started.wait(LONG)
    second = narrow.call(2)
    second.cancel()
    release.set()
    assert first.get(LONG) == 1
    with pytest.raises(TaskFailed) as caught:
        second.get(LONG)
    assert caught.value.code is ErrorCode.CANCELLED
    assert ran == [1]


def test_a_time_limit_makes_room_for_the_next(app: App) -> None:
    @app.task(name="slow", max_running=1, timeout=0.2)
    def slow(number: int) -> int:
        end = time.monotonic() + (30 if number == 1 else 0)
        while time.monotonic() < end:
            time.sleep(0.01)
        return number

    app.allocate(slow, 2)
    first, second = slow.call(1), slow.call(2)
    with pytest.raises(TaskFailed) as caught:
        first.get(LONG)
    assert caught.value.code is ErrorCode.TIME_LIMIT
    assert second.get(LONG) == 2


@pytest.mark.timeout(180)
def test_headers_reach_a_task_in_a_child_process(app: App) -> None:
    class Tenants(Middleware):
        def before_send(self, call: Outgoing) -> None:
            call.headers["tenant"] = "north"

    app.add_middleware(Tenants())
    tenant = app.register("tenant", apart.tenant, isolation="process", context=True)
    app.allocate(tenant, 1)

    @app.task(name="start")
    def start() -> None: ...

    app.allocate(start, 1)
    assert tenant.call().get(LONG) == "north"
    assert (start | tenant).call().get(LONG) == "north"


@pytest.mark.timeout(180)
def test_a_running_step_is_killed_when_its_pipeline_is_cancelled(app: App, tmp_path: Path) -> None:
    notes = [str(tmp_path / str(number)) for number in range(2)]
    stubborn = app.register("stubborn", apart.stubborn, isolation="process")

    @app.task(name="start")
    def start() -> list[str]:
        return notes

    @app.task(name="end")
    def end(nothing: list[None]) -> None: ...

    for task in (start, stubborn, end):
        app.allocate(task, 2)
    result = (start | each(stubborn) | end).call()
    eventually(lambda: all(Path(note).exists() and Path(note).read_text() for note in notes), "both run", LONG)
    result.cancel()
    with pytest.raises(TaskFailed) as caught:
        result.get(LONG)
    assert caught.value.code is ErrorCode.CANCELLED
    eventually(lambda: not any(lives(int(Path(note).read_text())) for note in notes), "both are killed", LONG)


def test_a_pipeline_is_cancelled_by_its_id(app: App) -> None:
    started, release = threading.Event(), threading.Event()

    @app.task(name="first")
    def first(number: int) -> int:
        started.set()
        release.wait(LONG)
        return number

    @app.task(name="second")
    def second(number: int) -> int:
        return number

    app.allocate(first, 1)
    app.allocate(second, 1)
    result = (first | second).call(1)
    assert started.wait(LONG)
    app.cancel(second, result.id)
    if app._where != "local":  # pyright: ignore[reportPrivateUsage]  # by id only the last step is known there
        result.cancel()
    release.set()
    with pytest.raises(TaskFailed) as caught:
        result.get(LONG)
    assert caught.value.code is ErrorCode.CANCELLED


@pytest.mark.timeout(180)
def test_a_schedule_starts_a_task_in_a_child_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "note"
    monkeypatch.setenv("APART_NOTE", str(note))
    app = App("local")
    app.every(seconds=0.2)(app.register("ticks", apart.ticks, isolation="process", workers=1))
    with app:
        eventually(lambda: note.exists() and len(note.read_text(encoding="utf-8")) >= 3, "it ran three times", LONG)
