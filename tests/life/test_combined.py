"""What a task may ask for goes together: limits, uniqueness, retries and isolation; alone and as a pipeline's step."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from tests.acceptance import apart
from typeddingo import App, ErrorCode, TaskFailed, each

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
