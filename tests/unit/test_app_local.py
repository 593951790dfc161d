"""What is special about an app in one process: objects by reference, pools that come by themselves, bounds."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.leftovers import running
from tests.unit.by_hand import SECONDS, until
from typeddingo import App, Config, ConfigError, ErrorCode, Option, QueueFull, TaskFailed, gather


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    yield
    assert running() == []


class Gate:
    def __init__(self) -> None:
        self.running = threading.Semaphore(0)
        self.go = threading.Event()

    def wait(self, a: int) -> int:
        self.running.release()
        assert self.go.wait(SECONDS)
        return a

    def open_when_closing(self, app: App) -> None:
        def watch() -> None:
            until(lambda: app.closed)
            self.go.set()

        threading.Thread(target=watch).start()


def same(items: list[int]) -> list[int]:
    items.append(4)
    return items


def test_objects_travel_by_reference() -> None:
    items = [1, 2, 3]
    with App() as app:
        assert app.register("same", same).call(items).get(SECONDS) is items
    assert items == [1, 2, 3, 4]


def test_through_the_codec_objects_are_copies() -> None:
    items = [1, 2, 3]
    with App(config=Config(marshal_locally=True)) as app:
        assert app.register("same", same).call(items).get(SECONDS) == [1, 2, 3, 4]
    assert items == [1, 2, 3]


def test_what_is_corrected_is_what_the_function_and_the_caller_get() -> None:
    def lax(a: int) -> int:
        return str(a * 2)  # type: ignore[return-value]  # corrected as it is not strict  # pyright: ignore[reportReturnType]

    with App() as app:
        app.register("lax", lax, strict=False)
        assert app.call("lax", "5").get(SECONDS) == 10


def test_the_first_call_starts_a_default_pool_of_the_configured_size() -> None:
    with App(config=Config(workers=3)) as app:
        one, two = app.register("one", same), app.register("two", same, workers=1)
        assert running() == []
        one.call([]).get(SECONDS)
        assert len(running()) == 3
        two.call([]).get(SECONDS)
        assert len(running()) == 4


def test_allocation_replaces_the_default_pool() -> None:
    gate = Gate()
    with App() as app:
        task = app.register("wait", gate.wait)
        assert app.allocate(task, 1) == 0
        results = [task.call(i) for i in range(3)]
        assert gate.running.acquire(timeout=SECONDS)
        assert len(running()) == 1
        assert app.allocate(task, 2) == 0
        assert gate.running.acquire(timeout=SECONDS)
        assert gate.running.acquire(timeout=SECONDS)
        gate.go.set()
        assert gather(*results).get(SECONDS) == (0, 1, 2)


def test_async_tasks_of_an_app_share_one_loop_started_on_first_need() -> None:
    loops: set[object] = set()

    async def where(a: int) -> None:
        loops.add(asyncio.get_running_loop())

    with App() as app:
        one, two = app.register("one", where), app.register("two", where)
        assert running() == []
        for task in (one, two, one):
            assert task.call(1).wait(SECONDS).ok
        assert len(loops) == 1
        assert [name.endswith("-loop") for name in running()] == [True]


def test_a_hundred_coroutines_run_at_a_time_where_nobody_said_how_many() -> None:
    here = 0

    async def meet(a: int) -> int:
        nonlocal here
        here += 1
        while here < 100:
            await asyncio.sleep(0.001)
        return a

    with App() as app:
        task = app.register("meet", meet)
        assert gather(*[task.call(i) for i in range(100)]).get(SECONDS) == tuple(range(100))


def test_a_bounded_queue_refuses_what_does_not_fit() -> None:
    gate = Gate()
    with App(config=Config(max_length=2, workers=1)) as app:
        task = app.register("wait", gate.wait)
        results = [task.call(0)]
        assert gate.running.acquire(timeout=SECONDS)
        results += [task.call(1), task.call(2)]
        with pytest.raises(QueueFull, match="2 calls are waiting already"):
            task.call(3)
        gate.go.set()
        assert gather(*results).get(SECONDS) == (0, 1, 2)
        assert task.call(4).get(SECONDS) == 4


def test_tasks_run_in_the_order_of_their_calls() -> None:
    seen: list[int] = []

    def note(a: int) -> None:
        seen.append(a)

    with App(config=Config(workers=1)) as app:
        task = app.register("note", note)
        for result in [task.call(i) for i in range(200)]:
            result.get(SECONDS)
    assert seen == list(range(200))


@dataclass
class Thing:
    number: int


def test_an_idle_worker_keeps_no_arguments_and_no_result_alive() -> None:
    def take(thing: Thing) -> Thing:
        return Thing(thing.number + 1)

    with App(config=Config(workers=1)) as app:
        task = app.register("take", take)
        thing = Thing(1)  # after the declaration, which looks at the locals there are
        result = task.call(thing)
        alive: list[weakref.ref[object]] = [weakref.ref(thing), weakref.ref(result.get(SECONDS)), weakref.ref(result)]
        del thing, result
        until(lambda: [reference() for reference in alive] == [None] * 3)


def test_a_misfit_of_a_tuple_and_of_none_is_told() -> None:
    def pair(a: int) -> tuple[int, str]:
        return a  # type: ignore[return-value]  # the misfit  # pyright: ignore[reportReturnType]

    def nothing(a: int) -> None:
        return a  # type: ignore[return-value]  # the misfit  # pyright: ignore[reportReturnType]

    with App() as app:
        for task in (app.register("pair", pair), app.register("nothing", nothing)):
            with pytest.raises(TaskFailed) as caught:
                task.call(1).get(SECONDS)
            assert caught.value.code == ErrorCode.RETURN


def test_an_ignored_task_that_close_drops_is_told() -> None:
    gate = Gate()
    app = App(config=Config(workers=1))
    task = app.register("wait", gate.wait, option=Option(ignore_report=True))
    task.call(0)
    assert gate.running.acquire(timeout=SECONDS)
    task.call(1)
    with app.listen() as events:
        gate.open_when_closing(app)
        app.close()
        told = list(events)
    assert [(event.task, event.id) for event in told] == [("wait", "2")]
    with pytest.raises(ConfigError):
        task.call(2)
