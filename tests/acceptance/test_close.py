"""What closing an app does, whoever closes it and whatever is going on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeApp, by_reference, through_codec
from tests.leftovers import running
from tests.unit.by_hand import until
from typeddingo import App, ConfigError, Context, ErrorCode, EventCode, EventLevel, Role, TaskFailed
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.result import Result

SECONDS = 10.0
ROOT = Path(__file__).parents[2]


class Gate:
    """A task that says when it runs and ends when it is let go."""

    def __init__(self) -> None:
        self.running = threading.Semaphore(0)
        self.go = threading.Event()
        self.cancelled: list[bool] = []

    def wait(self, ctx: Context, a: int) -> int:
        self.running.release()
        assert self.go.wait(SECONDS)
        self.cancelled.append(ctx.cancelled)
        return a

    def open_when_closing(self, app: App) -> None:
        def watch() -> None:
            until(lambda: app.closed)
            self.go.set()

        threading.Thread(target=watch).start()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.go.set()


def code_of(result: Result[int]) -> int:
    with pytest.raises(TaskFailed) as caught:
        result.get(SECONDS)
    return caught.value.code


def test_a_running_task_finishes_and_its_result_is_delivered(app: App, gate: Gate) -> None:
    task = app.register("wait", gate.wait, context=True)
    app.allocate(task)
    result = task.call(5)
    assert gate.running.acquire(timeout=SECONDS)
    closer = threading.Thread(target=app.close)
    closer.start()
    until(lambda: app.closed)
    gate.go.set()
    closer.join(SECONDS)
    assert result.get(0) == 5
    assert gate.cancelled == [True], "the task could see that it should end"


def test_a_task_that_has_not_started_fails_with_shutdown(app: App, gate: Gate) -> None:
    task = app.register("wait", gate.wait, context=True)
    app.allocate(task)
    first = task.call(1)
    assert gate.running.acquire(timeout=SECONDS)
    waiting = [task.call(i) for i in range(20)]
    gate.open_when_closing(app)
    app.close()
    assert first.get(0) == 1
    assert {code_of(result) for result in waiting} == {ErrorCode.SHUTDOWN}


def test_a_task_that_outlives_the_deadline_fails_with_shutdown_in_time(app: App, gate: Gate) -> None:
    task = app.register("wait", gate.wait, context=True)
    app.allocate(task)
    result = task.call(1)
    assert gate.running.acquire(timeout=SECONDS)
    with app.listen(Role.WORKER, EventLevel.WARNING) as events:
        started = time.monotonic()
        app.close(timeout=0.1)
        assert time.monotonic() - started < 1.1
        assert [event.code for event in events] == [EventCode.SHUTDOWN], "it is said which task still runs"
    assert code_of(result) == ErrorCode.SHUTDOWN
    gate.go.set()
    until(lambda: running() == [])


def test_a_coroutine_that_outlives_the_deadline_is_cancelled(app: App) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def wait(a: int) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return a

    task = app.register("wait", wait)
    app.allocate(task)
    result = task.call(1)
    assert begun.wait(SECONDS)
    app.close(timeout=0.1)
    assert code_of(result) == ErrorCode.SHUTDOWN
    assert cleaned.is_set()


def test_a_coroutine_that_runs_finishes_and_its_result_is_delivered(app: App) -> None:
    begun = threading.Event()

    async def wait(ctx: Context, a: int) -> int:
        begun.set()
        while not ctx.cancelled:
            await asyncio.sleep(0.001)
        return a

    task = app.register("wait", wait, context=True)
    app.allocate(task)
    result = task.call(5)
    assert begun.wait(SECONDS)
    app.close()
    assert result.get(0) == 5


def test_a_call_after_close_is_refused_clearly(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task)
    assert task.call(1, 2).get(SECONDS) == 3
    app.close()
    with pytest.raises(ConfigError, match="closed"):
        task.call(1, 2)
    with pytest.raises(ConfigError, match="closed"):
        app.call("add", 1, 2)
    with pytest.raises(ConfigError, match="closed"):
        app.allocate(task)


def test_closing_twice_and_from_many_threads_is_fine(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task, 2)
    results = [task.call(i, 1) for i in range(200)]
    threads = [threading.Thread(target=app.close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    app.close()
    assert all(result.done for result in results)
    assert running() == []


def test_a_handler_may_close_the_app(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task)
    closed = threading.Event()

    def handler(total: int) -> None:
        app.close()
        closed.set()

    result = task.call(1, 2).on_ok(handler)
    assert closed.wait(SECONDS)
    assert result.get(SECONDS) == 3


@pytest.mark.parametrize("make", [by_reference, through_codec])
def test_a_local_task_may_close_the_app_and_its_own_result_is_delivered(make: MakeApp) -> None:
    app = make()

    def end(a: int) -> int:
        app.close()
        return a

    async def end_async(a: int) -> int:
        app.close()
        return a

    for fn in (end, end_async):
        app = make()
        assert app.register("end", fn).call(5).get(SECONDS) == 5
        assert app.closed
        until(lambda: running() == [])


@pytest.mark.parametrize("make", [by_reference, through_codec])
def test_a_coroutine_may_close_the_app_without_blocking_its_loop(make: MakeApp) -> None:
    app = make()

    async def end(a: int) -> int:
        async with app:
            pass
        return a

    result = app.register("end", end).call(5)
    assert result.get(SECONDS) == 5
    until(lambda: running() == [])


def test_a_remote_task_that_closes_the_app_ends_as_a_shutdown_for_its_caller(remote: App) -> None:
    def end(a: int) -> int:
        remote.close()
        return a

    task = remote.register("end", end)
    remote.allocate(task)
    assert code_of(task.call(5)) == ErrorCode.SHUTDOWN
    until(lambda: running() == [])


def test_an_app_closes_at_the_end_of_its_block_even_when_it_raises() -> None:
    app = App()
    task = app.register("add", add)

    def block() -> None:
        with app:
            assert task.call(1, 2).get(SECONDS) == 3
            raise LookupError

    with pytest.raises(LookupError):
        block()
    assert app.closed
    assert running() == []


def test_an_async_block_closes_without_blocking_the_loop(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task)

    async def main() -> int:
        async with app:
            return await task.call(1, 2)

    assert asyncio.run(main()) == 3
    assert app.closed


def test_callers_that_wait_are_all_woken_by_close(app: App, gate: Gate) -> None:
    task = app.register("wait", gate.wait, context=True)
    app.allocate(task)
    results = [task.call(i) for i in range(10)]
    assert gate.running.acquire(timeout=SECONDS)
    codes: list[int] = []

    def wait(result: Result[int]) -> None:
        codes.append(code_of(result))

    threads = [threading.Thread(target=wait, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    app.close(timeout=0)
    for thread in threads:
        thread.join(SECONDS)
    assert codes == [ErrorCode.SHUTDOWN] * 10
    gate.go.set()
    until(lambda: running() == [])


def test_handlers_of_results_ended_by_close_fire_before_it_returns(app: App, gate: Gate) -> None:
    task = app.register("wait", gate.wait, context=True)
    app.allocate(task)
    task.call(0)
    assert gate.running.acquire(timeout=SECONDS)
    failures: list[object] = []
    task.call(1).on_nok(failures.append)
    gate.open_when_closing(app)
    app.close()
    assert len(failures) == 1


def test_calls_that_race_with_close_are_refused_or_end(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task, 2)
    results: list[Result[int]] = []
    started = threading.Barrier(5)

    def caller() -> None:
        started.wait(SECONDS)
        try:
            while True:
                results.append(task.call(1, 2))
        except ConfigError:
            return

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(SECONDS)
    until(lambda: len(results) > 100)
    app.close()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    for result in results:
        report = result.wait(SECONDS)
        assert report.ok or (report.error is not None and report.error.code == ErrorCode.SHUTDOWN)


@pytest.mark.parametrize("kind", [LocalBroker, LocalNamedBroker])
def test_what_no_worker_has_started_stays_in_the_queue(kind: type[LocalBroker | LocalNamedBroker], gate: Gate) -> None:
    broker, backend = kind(), LocalBackend()
    caller, first, second = App("remote"), App("remote"), App("remote")
    caller.use(broker, Role.PRODUCER)
    caller.use(backend, Role.STORE)
    for app in (caller, first, second):
        app.register("wait", gate.wait, context=True)
    for app in (first, second):
        app.use(backend, Role.REPORTER)
    first.use(broker, Role.CONSUMER)
    first.allocate("wait")
    results = [caller.call("wait", i) for i in range(50)]
    assert gate.running.acquire(timeout=SECONDS)
    gate.open_when_closing(first)
    first.close()
    assert [result.done for result in results] == [True] + [False] * 49
    assert broker.waiting() == 49
    second.use(broker, Role.CONSUMER)
    second.allocate("wait", 2)
    assert [result.get(SECONDS) for result in results] == list(range(50))
    second.close()
    caller.close()
    assert running() == []


def test_a_program_that_never_closes_its_app_ends_with_its_running_tasks_done(tmp_path: Path) -> None:
    program = tmp_path / "forgetful.py"
    program.write_text(
        "import threading\n"
        "from typeddingo import App\n"
        "app = App()\n"
        "begun = threading.Event()\n"
        "@app.task\n"
        "def work(a: int) -> int:\n"
        "    begun.set()\n"
        "    threading.Event().wait(0.2)\n"
        "    print('done', flush=True)\n"
        "    return a\n"
        "work.call(1)\n"
        "begun.wait(10)\n"
    )
    ended = subprocess.run(
        [sys.executable, str(program)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=30
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"done\n", b"")


def add(a: int, b: int) -> int:
    return a + b
