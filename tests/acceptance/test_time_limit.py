"""A task that runs for too long is ended: in every mode, and without harm to what runs after it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.leftovers import running
from tests.unit.by_hand import SECONDS
from typeddingo import (
    App,
    Config,
    ConfigError,
    Context,
    ErrorCode,
    Option,
    Result,
    ResultTimeout,
    TaskFailed,
    Tasks,
    TimeLimitExceeded,
)
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.testing import eventually

SOON = 0.05


def local() -> App:
    return App("local")


def through_codec() -> App:
    return App("local", config=Config(marshal_locally=True))


def mapped() -> App:
    app = App("remote")
    app.use(LocalBroker())
    app.use(LocalBackend())
    return app


def named() -> App:
    app = App("remote")
    app.use(LocalNamedBroker())
    app.use(LocalBackend())
    return app


@pytest.fixture(params=[local, through_codec, mapped, named], ids=lambda make: make.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    make: Callable[[], App] = request.param
    with make() as app:
        yield app
    assert running() == []


def spin(until: float = 20.0) -> None:
    """Python code that goes on for so many seconds."""
    end = time.monotonic() + until
    while time.monotonic() < end:
        pass


def test_22_a_function_that_runs_for_too_long_in_a_thread_is_a_typed_failure(app: App) -> None:
    @app.task(name="slow", timeout=SOON)
    def slow() -> None:
        spin()

    app.allocate(slow)
    failure = slow.call().wait(SECONDS).error
    assert isinstance(failure, TaskFailed)
    assert failure.code is ErrorCode.TIME_LIMIT
    assert failure.message == "it ran for longer than its time limit of 0.05 s"
    assert failure.exception_type == "typeddingo.errors.TimeLimitExceeded"
    assert "spin()" in failure.traceback, "where it was"


def test_a_coroutine_that_runs_for_too_long_is_a_typed_failure(app: App) -> None:
    @app.task(name="slow", timeout=SOON)
    async def slow() -> None:
        await asyncio.sleep(20)

    app.allocate(slow)
    failure = slow.call().wait(SECONDS).error
    assert isinstance(failure, TaskFailed)
    assert failure.code is ErrorCode.TIME_LIMIT
    assert failure.message == "it ran for longer than its time limit of 0.05 s"
    assert "asyncio.sleep(20)" in failure.traceback, "where it was"


def test_a_task_may_clean_up_and_may_even_succeed(app: App) -> None:
    cleaned = threading.Event()

    @app.task(name="careful", timeout=SOON)
    def careful() -> str:
        try:
            spin()
        except Exception:
            return "an except Exception does not see it"
        except TimeLimitExceeded:
            return "in time after all"
        finally:
            cleaned.set()
        return "never"

    app.allocate(careful)
    assert careful.call().get(SECONDS) == "in time after all"
    assert cleaned.is_set()


def test_what_keeps_its_limit_runs_as_if_there_were_none(app: App) -> None:
    @app.task(name="add", timeout=SECONDS)
    def add(a: int, b: int = 1) -> int:
        return a + b

    @app.task(name="later", timeout=SECONDS)
    async def later(a: int) -> int:
        await asyncio.sleep(0)
        return a

    app.allocate(add, 2)
    app.allocate(later, 2)
    assert [add.call(number).get(SECONDS) for number in range(50)] == list(range(1, 51))
    assert [later.call(number).get(SECONDS) for number in range(50)] == list(range(50))


def test_an_own_timeout_error_is_the_tasks_own(app: App) -> None:
    @app.task(name="impatient", timeout=SECONDS)
    async def impatient() -> None:
        await asyncio.wait_for(asyncio.sleep(20), 0.01)

    app.allocate(impatient)
    failure = impatient.call().wait(SECONDS).error
    assert isinstance(failure, TaskFailed)
    assert (failure.code, failure.exception_type) == (ErrorCode.PANIC, "TimeoutError")


def test_a_limit_strikes_its_own_task_and_never_the_next(app: App) -> None:
    """Tasks that end about when their limit is over: each fails by its own limit or returns, and one without a limit
    that runs between them in the same thread is never struck."""

    @app.task(name="close", timeout=0.002)
    def close(seconds: float) -> str:
        spin(seconds)
        return "close"

    app.allocate(close)
    ends = [close.call(0.0015 + number % 10 / 10_000).wait(SECONDS) for number in range(300)]
    failures = [end.error for end in ends if end.error is not None]
    assert {failure.code for failure in failures} <= {ErrorCode.TIME_LIMIT}
    assert [close.call(0.0).get(SECONDS) for _ in range(5)] == ["close"] * 5


def test_a_task_that_is_struck_while_it_uses_its_app_leaves_nothing_locked(app: App) -> None:
    @app.task(name="inner")
    def inner(number: int) -> int:
        return number

    @app.task(name="busy", context=True, timeout=0.01)
    def busy(context: Context) -> None:
        lock, event = threading.Condition(), threading.Event()
        for number in itertools.count():
            context.progress(number)
            inner.call(number)
            with lock:
                event.set()

    app.allocate(inner, 2)
    app.allocate(busy, 2)
    ends = [busy.with_options(monitor_progress=True).call() for _ in range(20)]
    assert {failure.code for end in ends if (failure := end.wait(60).error)} == {ErrorCode.TIME_LIMIT}
    assert [inner.call(number).get(60) for number in range(10)] == list(range(10))


def test_a_wait_in_short_steps_is_struck(app: App) -> None:
    @app.task(name="waits", timeout=SOON)
    def waits() -> None:
        never = threading.Event()
        while not never.wait(0.005):
            pass

    app.allocate(waits)
    failure = waits.call().wait(SECONDS).error
    assert failure is not None
    assert failure.code is ErrorCode.TIME_LIMIT


class _ToMemory(logging.Handler):
    """Lets go of the interpreter inside every record, as a file does."""

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.001)


def _logs() -> None:
    log = logging.Logger("quiet")
    log.addHandler(_ToMemory())
    while True:
        log.info("again")


def _joins() -> None:
    never = threading.Event()
    thread = threading.Thread(target=never.wait)
    thread.start()
    try:
        while True:
            thread.join(0.005)
    finally:
        never.set()
        thread.join()


def _waits_for_a_result() -> None:
    result = Result[int]("nothing", "1", Option())
    while True:
        with contextlib.suppress(ResultTimeout):
            result.get(0.005)


def _queues() -> None:
    nothing = queue.Queue[int]()
    while True:
        with contextlib.suppress(queue.Empty):
            nothing.get(timeout=0.005)


def _copies() -> None:
    while True:
        copy.deepcopy([{"a": [1, 2, 3]}] * 10)


def _starts() -> None:
    """Until it runs, a new thread cannot be told from the one that has started it: neither is struck meanwhile."""
    end = time.monotonic() + 4 * SOON
    while time.monotonic() < end:
        threading.Thread(target=lambda: None).start()
    spin()


NEEDS_313 = pytest.mark.skipif(sys.version_info < (3, 13), reason="join is not prepared for an exception")


@pytest.mark.parametrize(
    "loop",
    [_logs, pytest.param(_joins, marks=NEEDS_313), _starts, _waits_for_a_result, _queues, _copies],
    ids=lambda loop: loop.__name__,
)
def test_a_loop_that_is_always_in_a_library_meets_its_limit(loop: Callable[[], None]) -> None:
    with App("local") as app:
        failure = app.register("loop", loop, timeout=SOON).call().wait(SECONDS).error
    assert failure is not None
    assert failure.code is ErrorCode.TIME_LIMIT
    assert running() == []


def test_a_task_that_calls_another_one_here_is_struck_in_it() -> None:
    with App("local") as app:

        @app.task(name="inner")
        def inner() -> None:
            spin()

        @app.task(name="outer", timeout=SOON)
        def outer() -> None:
            inner()

        failure = outer.call().wait(SECONDS).error
    assert failure is not None
    assert failure.code is ErrorCode.TIME_LIMIT


def test_code_that_ours_has_called_is_not_struck_and_the_task_goes_no_further() -> None:
    """An id maker, here: it might be anything that holds what we are in the middle of."""
    ended = 0

    class Slow:
        def new_id(self, name: str) -> str:
            nonlocal ended
            spin(2 * SOON)
            ended += 1
            return f"id-{ended}"

    with App("local") as app:
        app.add_id_maker(9, Slow())

        @app.task(name="inner", id_maker=9)
        def inner() -> None: ...

        @app.task(name="outer", timeout=SOON)
        def outer() -> None:
            while True:
                inner.call()

        failure = outer.call().wait(SECONDS).error
    assert failure is not None
    assert failure.code is ErrorCode.TIME_LIMIT
    assert ended == 1


def test_a_condition_that_many_tasks_wait_for_stays_whole(app: App) -> None:
    condition, inside = threading.Condition(), 0

    @app.task(name="waits", timeout=0.004)
    def waits() -> None:
        nonlocal inside
        while True:
            with condition:
                inside += 1
                try:
                    assert inside == 1, "the lock is this task's"
                finally:
                    inside -= 1
                condition.wait(0.0005)

    app.allocate(waits, 3)
    ends = [waits.call().wait(60) for _ in range(150)]
    assert {end.error.code for end in ends if end.error} == {ErrorCode.TIME_LIMIT}
    assert condition.acquire(timeout=SECONDS)
    condition.release()


def test_methods_and_collections_have_limits_too() -> None:
    tasks = Tasks()

    class Service:
        @tasks.task(name="hang", timeout=SOON)
        def hang(self) -> None:
            spin()

    with App("local") as app:
        app.include(tasks)
        with pytest.raises(TaskFailed, match=r"time limit of 0\.05 s"):
            Service().hang.call().get(SECONDS)


def test_a_call_here_has_no_limit() -> None:
    with App("local") as app:

        @app.task(timeout=SOON)
        def slow() -> str:
            spin(2 * SOON)
            return "done"

        assert slow() == "done"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
def test_what_is_no_number_of_seconds_is_refused(seconds: float) -> None:
    with App("local") as app, pytest.raises(ConfigError, match="timeout: expected a number of seconds"):
        app.register("add", spin, timeout=seconds)


def test_a_setting_that_there_is_not_is_refused() -> None:
    with App("local") as app, pytest.raises(ConfigError, match="no setting tiemout: there are context, name, "):
        app.register("add", spin, tiemout=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # that is the point


def test_a_limit_longer_than_the_broker_waits_is_refused_when_workers_start() -> None:
    class Impatient(LocalNamedBroker):
        @property
        def longest_run(self) -> float:
            return 60.0

    with App("remote") as app:
        app.use(Impatient())
        app.use(LocalBackend())
        app.allocate(app.register("short", spin, timeout=59))
        with pytest.raises(ConfigError, match="timeout of 60 s is no shorter than the 60 s after which the broker"):
            app.allocate(app.register("long", spin, timeout=60))


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from([0.0, 0.004, 0.02]), min_size=1, max_size=12))
def test_many_threads_with_limits_do_not_disturb_each_other(times: list[float]) -> None:
    with App("local") as app:

        @app.task(name="work", timeout=0.01, workers=4)
        def work(seconds: float) -> float:
            time.sleep(seconds)
            for _ in range(100):
                pass  # Python code again: here the limit strikes
            return seconds

        ends = [work.call(seconds).wait(SECONDS) for seconds in times]
        for seconds, end in zip(times, ends, strict=True):
            assert end.error is not None or end.value == seconds
            assert end.error is None or end.error.code is ErrorCode.TIME_LIMIT
            assert seconds < 0.01 or end.failed
    eventually(lambda: running() == [], "all threads have ended")


PROFILED = """
import sys, time
from typeddingo import App

def spin() -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pass

with App("local") as app:
    task = app.register("spin", spin, timeout=0.05)
    assert task.call().wait(10).failed
    sys.setprofile(lambda frame, event, argument: None)
    assert task.call().wait(10).failed
    sys.setprofile(None)
    print("goes on")
"""


def test_a_profiler_or_debugger_gets_on_after_a_limit_was_met() -> None:
    """Python 3.11 never gets past the beginning of a function while it believes that something is to be raised."""
    done = subprocess.run(
        [sys.executable, "-c", PROFILED], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.stdout == "goes on\n", done.stderr
