"""A task that fails runs again as often, as soon and for what it says; the last failure is told and kept."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.by_hand import SECONDS
from typeddingo import App, ConfigError, Context, ErrorCode, EventCode, EventLevel, Retry, TaskFailed, current_context
from typeddingo.retry import NOT_AGAIN, RetryPolicy, Verdict
from typeddingo.testing import eventually


class Tries:
    """How often, and when, each task was run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.times: list[float] = []
        self.attempts: list[int] = []

    def one_more(self) -> int:
        with self._lock:
            self.times.append(time.monotonic())
            self.attempts.append(current_context().attempt)
            return len(self.times)


def start(app: App, *tasks: str) -> None:
    """Workers, where nobody else starts them."""
    for task in tasks:
        app.allocate(task, 2)


def test_a_task_that_fails_twice_succeeds_at_the_third_run(app: App) -> None:
    tries = Tries()

    @app.task(name="flaky", retries=3, backoff=0.01)
    def flaky(value: int) -> int:
        if tries.one_more() < 3:
            raise ConnectionError("not yet")
        return value * 2

    start(app, "flaky")
    assert flaky.call(21).get(SECONDS) == 42
    assert tries.attempts == [1, 2, 3]


def test_a_coroutine_is_retried_too(app: App) -> None:
    tries = Tries()

    @app.task(name="flaky", retries=3, backoff=0.01)
    async def flaky(value: int) -> int:
        await asyncio.sleep(0)
        if tries.one_more() < 3:
            raise ConnectionError("not yet")
        return value * 2

    start(app, "flaky")
    assert flaky.call(21).get(SECONDS) == 42
    assert tries.attempts == [1, 2, 3]


def test_the_last_failure_reaches_the_caller(app: App) -> None:
    tries = Tries()

    @app.task(name="broken", retries=2, backoff=0.01)
    def broken() -> None:
        raise ValueError(f"run {tries.one_more()}")

    start(app, "broken")
    with pytest.raises(TaskFailed, match="run 3") as failed:
        broken.call().get(SECONDS)
    assert failed.value.code == ErrorCode.PANIC
    assert failed.value.exception_type == "ValueError"
    assert "one_more" in failed.value.traceback
    assert len(tries.times) == 3


def test_what_is_not_meant_is_not_retried(app: App) -> None:
    tries = Tries()

    @app.task(name="picky", retries=5, backoff=0.01, retry_on=(OSError,), give_up_on=(FileNotFoundError,))
    def picky(kind: str) -> None:
        tries.one_more()
        raise {"value": ValueError, "missing": FileNotFoundError}[kind](kind)

    start(app, "picky")
    for kind in ("value", "missing"):
        assert picky.call(kind).wait(SECONDS).failed
    assert len(tries.times) == 2


def test_a_task_may_say_itself_when_it_runs_again(app: App) -> None:
    tries = Tries()

    @app.task(name="later", retries=1, backoff=600.0)
    def later() -> str:
        if tries.one_more() == 1:
            raise Retry(after=0.2)
        return "done"

    start(app, "later")
    assert later.call().get(SECONDS) == "done"
    first, second = tries.times
    assert 0.2 <= second - first < 5


def test_without_retries_left_its_wish_is_a_failure(app: App) -> None:
    @app.task(name="never", retries=1)
    def never() -> None:
        raise Retry("the other side is busy", after=0)

    start(app, "never")
    with pytest.raises(TaskFailed, match="the other side is busy") as failed:
        never.call().get(SECONDS)
    assert failed.value.exception_type == "typeddingo.errors.Retry"


def test_one_result_hears_of_many_runs_once(app: App) -> None:
    tries, heard = Tries(), list[TaskFailed | object]()

    @app.task(name="broken", retries=3, backoff=0.01)
    def broken() -> None:
        tries.one_more()
        raise ValueError

    start(app, "broken")
    result = broken.call().on_nok(heard.append)
    assert result.wait(SECONDS).failed
    eventually(lambda: len(heard) == 1)
    assert len(tries.times) == 4


def test_who_listens_hears_of_each_retry(app: App) -> None:
    tries = Tries()

    @app.task(name="flaky", retries=2, backoff=0.01)
    def flaky() -> None:
        if tries.one_more() < 3:
            raise ValueError

    start(app, "flaky")
    with app.listen(level=EventLevel.INFO) as events:
        result = flaky.call()
        result.get(SECONDS)
        heard = [event for event in iter(lambda: events.get(0), None) if event.code is EventCode.RETRY]
    assert [(event.code, event.task, event.id) for event in heard] == [(EventCode.RETRY, "flaky", result.id)] * 2


def test_the_context_counts_the_runs(app: App) -> None:
    @app.task(name="counting", retries=2, backoff=0.01, context=True)
    def counting(context: Context, last: int) -> int:
        if context.attempt < last:
            raise ValueError
        return context.attempt

    start(app, "counting")
    assert counting.call(3).get(SECONDS) == 3
    assert counting.call(1).get(SECONDS) == 1


# The policy alone.


@given(st.integers(0, 2000), st.floats(0, 1000), st.floats(0, 1e6), st.floats(0, 1))
def test_a_pause_is_random_doubles_and_has_a_limit(retries: int, backoff: float, most: float, drawn: float) -> None:
    policy = RetryPolicy(retries + 1, backoff=backoff, max_delay=most)
    pause = policy.pause(retries, Verdict(True), lambda: drawn)
    assert pause is not None
    assert 0 <= pause <= most
    assert pause == pytest.approx(drawn * min(most, backoff * 2.0 ** min(retries, 60)))


def test_there_are_as_many_retries_as_it_says() -> None:
    policy = RetryPolicy(2)
    assert [policy.pause(n, Verdict(True, 1.0)) for n in range(4)] == [1.0, 1.0, None, None]
    assert policy.pause(0, NOT_AGAIN) is None


def test_give_up_wins_and_what_ends_a_process_is_not_retried() -> None:
    policy = RetryPolicy(1, retry_on=(OSError,), give_up_on=(ConnectionError,))
    assert policy.judge(OSError()).again
    assert not policy.judge(ConnectionResetError()).again
    assert not policy.judge(ValueError()).again
    assert not RetryPolicy(1).judge(KeyboardInterrupt()).again
    assert policy.judge(Retry(after=3)) == (True, 3)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"retries": -1}, "retries: expected a whole number"),
        ({"retries": 1.5}, "retries: expected a whole number"),
        ({"retries": True}, "retries: expected a whole number"),
        ({"retries": 1, "backoff": -1}, "backoff: expected a number of seconds"),
        ({"retries": 1, "max_delay": float("inf")}, "max_delay: expected a number of seconds"),
        ({"retries": 1, "retry_on": ValueError}, "retry_on: expected a tuple of exception types"),
        ({"retries": 1, "give_up_on": (3,)}, "give_up_on: expected a tuple of exception types"),
        ({"backoff": 2.0}, "without retries is never retried"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], what: str) -> None:
    def fine() -> None: ...

    with App("local") as app, pytest.raises(ConfigError, match=what):
        app.register("fine", fine, **settings)  # type: ignore[call-overload]  # what untyped callers may give  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), True])
def test_a_wish_must_be_a_number_of_seconds(after: float) -> None:
    with pytest.raises(ConfigError, match="Retry"):
        Retry(after=after)


def test_what_a_task_raised_at_last_is_told_to_its_caller_and_in_no_event(app: App) -> None:
    """Events end in logs, and an exception may hold a secret."""
    told: list[str] = []
    app._runtime.events.subscribe(lambda event: told.append(repr(event)))  # pyright: ignore[reportPrivateUsage]  # every one

    @app.task(name="doomed", retries=1, backoff=0.01)
    def doomed(secret: str) -> int:
        raise ValueError(secret)

    start(app, "doomed")
    result = doomed.call("canary")
    with pytest.raises(TaskFailed, match="canary"):
        result.get(SECONDS)
    eventually(lambda: any("DEAD_LETTER" in text for text in told), "it is told that it is put aside", SECONDS)
    assert not any("canary" in text for text in told)
