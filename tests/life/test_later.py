"""When a task starts: not before it is due, not after it has expired, the urgent first, and never once cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.life.conftest import wait_for_urgent
from tests.life.test_retries import start
from tests.unit.by_hand import SECONDS
from typeddingo import App, ConfigError, Context, ErrorCode, Option, TaskFailed
from typeddingo.terms import AT_ONCE, Terms
from typeddingo.testing import eventually


def test_a_delayed_task_starts_when_it_is_due_and_not_before(app: App) -> None:
    @app.task(name="now")
    def now() -> float:
        return time.time()

    start(app, "now")
    now.with_options(delay=0.1).call().get(SECONDS)  # some make what they need for it when it is first used
    sent = time.time()
    delayed, at_once = now.with_options(delay=0.6).call(), now.call()
    assert at_once.get(SECONDS) - sent < 0.6
    assert 0.6 <= delayed.get(SECONDS) - sent < 3


def test_a_task_with_an_eta_starts_then(app: App) -> None:
    @app.task(name="now")
    def now() -> float:
        return time.time()

    start(app, "now")
    eta = datetime.now(UTC) + timedelta(seconds=0.6)
    past = datetime.now(UTC) - timedelta(days=1)
    assert eta.timestamp() - 0.01 <= now.with_options(eta=eta).call().get(SECONDS) < eta.timestamp() + 3
    assert now.with_options(eta=past).call().get(SECONDS) < time.time() + 1


def test_delayed_tasks_start_in_the_order_in_which_they_are_due(app: App) -> None:
    order: list[int] = []

    @app.task(name="note")
    def note(number: int) -> None:
        order.append(number)

    app.allocate("note", 1)
    results = [note.with_options(delay=delay).call(int(delay * 10)) for delay in (0.9, 0.3, 0.6)]
    for result in results:
        result.get(SECONDS)
    assert order == [3, 6, 9]


def test_an_expired_task_is_not_run_and_its_caller_hears_of_it(app: App) -> None:
    ran: list[str] = []

    @app.task(name="run")
    def run(what: str) -> None:
        ran.append(what)

    late = run.with_options(expires=0.2, delay=0.5).call("late")
    in_time = run.with_options(expires=60.0).call("in time")
    at = run.with_options(expires=datetime.now(UTC) + timedelta(seconds=0.2), delay=0.5).call("late too")
    start(app, "run")
    in_time.get(SECONDS)
    for result in (late, at):
        with pytest.raises(TaskFailed, match="expired") as failed:
            result.get(SECONDS)
        assert failed.value.code == ErrorCode.EXPIRED
    assert ran == ["in time"]


def test_the_urgent_come_first(app: App) -> None:
    order: list[str] = []
    go, busy = threading.Event(), threading.Event()

    @app.task(name="note")
    def note(what: str) -> None:
        if what == "first":
            busy.set()
            go.wait(SECONDS)
        order.append(what)

    app.allocate("note", 1)
    for priority in (1, 9):  # workers may hear a moment later that there are urgent ones
        note.with_options(priority=priority).call("known").get(SECONDS)
    first = note.call("first")
    assert busy.wait(SECONDS)
    waiting = [note.call("usual 1"), note.call("usual 2")]
    waiting += [note.with_options(priority=1).call("soon"), note.with_options(priority=9).call("urgent")]
    wait_for_urgent(app, 2)
    go.set()
    for result in [first, *waiting]:
        result.get(SECONDS)
    assert order.index("urgent") < order.index("soon") < order.index("usual 2"), order
    assert order.index("usual 1") < order.index("usual 2")


def test_a_waiting_task_that_is_cancelled_never_starts(app: App) -> None:
    ran: list[str] = []
    go, busy = threading.Event(), threading.Event()

    @app.task(name="note")
    def note(what: str) -> None:
        if what == "first":
            busy.set()
            go.wait(SECONDS)
        ran.append(what)

    app.allocate("note", 1)
    first = note.call("first")
    assert busy.wait(SECONDS)
    cancelled, by_id, last = note.call("cancelled"), note.call("by id"), note.call("last")
    delayed = note.with_options(delay=0.3).call("delayed")
    for _ in range(2):  # twice is once
        cancelled.cancel()
        app.cancel(note, by_id.id)
        delayed.cancel()
    go.set()
    last.get(SECONDS)
    for result in (cancelled, by_id, delayed):
        with pytest.raises(TaskFailed, match="cancelled") as failed:
            result.get(SECONDS)
        assert failed.value.code == ErrorCode.CANCELLED
    assert first.get(SECONDS) is None
    assert ran == ["first", "last"]


def test_a_running_coroutine_is_cancelled_where_it_awaits(app: App) -> None:
    busy, cleaned = threading.Event(), threading.Event()

    @app.task(name="endless")
    async def endless() -> None:
        busy.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    start(app, "endless")
    result = endless.call()
    assert busy.wait(SECONDS)
    result.cancel()
    with pytest.raises(TaskFailed) as failed:
        result.get(SECONDS)
    assert failed.value.code == ErrorCode.CANCELLED
    assert cleaned.is_set()


def test_a_running_function_sees_that_it_is_cancelled(app: App) -> None:
    busy = threading.Event()

    @app.task(name="patient", context=True)
    def patient(context: Context) -> str:
        busy.set()
        eventually(lambda: context.cancelled, timeout=SECONDS)
        return "as far as I came"

    start(app, "patient")
    result = patient.call()
    assert busy.wait(SECONDS)
    result.cancel()
    assert result.get(SECONDS) == "as far as I came"


def test_cancelling_what_has_ended_changes_nothing(app: App) -> None:
    @app.task(name="double")
    def double(number: int) -> int:
        return number * 2

    start(app, "double")
    result = double.call(2)
    assert result.get(SECONDS) == 4
    result.cancel()
    assert result.get(SECONDS) == 4
    assert double.call(3).get(SECONDS) == 6


# Options.


def test_an_option_says_what_is_asked_of_the_broker() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert Option().terms is AT_ONCE
    assert Option(monitor_progress=True).terms is AT_ONCE
    assert Option(delay=3).terms == Terms(delay=3.0)
    assert Option(eta=moment, expires=60, priority=9).terms == Terms(eta=moment.timestamp(), lifetime=60.0, priority=9)
    assert Option(expires=moment).terms == Terms(expires=moment.timestamp())


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"delay": -1}, "option delay"),
        ({"delay": float("nan")}, "option delay"),
        ({"delay": "1"}, "option delay"),
        ({"delay": True}, "option delay"),
        ({"eta": datetime(2030, 1, 1)}, "without a time zone"),  # that is the point
        ({"eta": 3}, "option eta"),
        ({"delay": 1, "eta": datetime(2030, 1, 1, tzinfo=UTC)}, "give one of them"),
        ({"expires": 0}, "option expires"),
        ({"expires": datetime(2030, 1, 1)}, "without a time zone"),
        ({"priority": 10}, "option priority"),
        ({"priority": -1}, "option priority"),
        ({"priority": 1.0}, "option priority"),
        ({"priority": True}, "option priority"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        Option(**options)  # type: ignore[arg-type]  # what untyped callers may give  # pyright: ignore[reportArgumentType]
