"""What workers need to live: entered before the first one starts, left when the last task has ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.around.conftest import MakeApp
from typeddingo import (
    App,
    ConfigError,
    Context,
    EventCode,
    EventLevel,
    LifespanError,
    current_context,
)
from typeddingo.testing import eventually

SECONDS = 20.0
here: ContextVar[str] = ContextVar("here", default="elsewhere")


@dataclass
class Database:
    log: list[str] = field(default_factory=list[str])
    open: bool = False


class Life:
    """A lifespan of either kind, and what has become of it."""

    def __init__(self) -> None:
        self.database = Database()
        self.threads: list[str] = []
        self.chosen: Any = None

    @contextlib.contextmanager
    def sync(self) -> Generator[Database]:
        self.database.log.append("enter")
        self.database.open = True
        try:
            yield self.database
        finally:
            self.database.open = False
            self.database.log.append("leave")

    @contextlib.asynccontextmanager
    async def later(self) -> AsyncGenerator[Database]:
        self.threads.append(threading.current_thread().name)
        token = here.set("inside")
        with self.sync() as database:
            await asyncio.sleep(0)
            yield database
            await asyncio.sleep(0)
        here.reset(token)  # a ValueError, were it another coroutine
        self.threads.append(threading.current_thread().name)


@pytest.fixture(params=["sync", "later"])
def life(request: pytest.FixtureRequest) -> Life:
    life = Life()
    life.chosen = getattr(life, request.param)
    return life


def test_its_value_is_the_state_of_every_task(make_app: MakeApp, life: Life) -> None:
    with make_app(lifespan=life.chosen) as app:

        @app.task(name="use", context=True)
        def use(context: Context) -> bool:
            return context.state(Database).open

        @app.task(name="use later")
        async def use_later() -> bool:
            return current_context().state(Database) is life.database

        app.allocate(use, 2)
        app.allocate(use_later, 2)
        assert life.database.log == ["enter"], "once, for all workers"
        assert use.call().get(SECONDS) is True
        assert use_later.call().get(SECONDS) is True
    assert life.database.log == ["enter", "leave"]


def test_it_is_left_when_the_running_tasks_have_ended(make_app: MakeApp, life: Life) -> None:
    begun = threading.Event()
    open_at_the_end: list[bool] = []
    with make_app(lifespan=life.chosen) as app:

        @app.task(name="slow", context=True)
        def slow(context: Context) -> None:
            begun.set()
            eventually(lambda: context.cancelled)
            open_at_the_end.append(context.state(Database).open)

        app.allocate(slow)
        slow.call()
        assert begun.wait(SECONDS)
    assert open_at_the_end == [True]
    assert life.database.log == ["enter", "leave"]


def test_an_async_one_lives_on_the_loop_of_the_tasks(make_app: MakeApp) -> None:
    life = Life()
    with make_app(lifespan=life.later) as app:

        @app.task(name="where")
        async def where() -> str:
            return threading.current_thread().name

        app.allocate(where)
        assert where.call().get(SECONDS) == life.threads[0]
    assert life.threads == [life.threads[0]] * 2


def test_who_starts_no_worker_does_not_enter_it(make_app: MakeApp, life: Life) -> None:
    with make_app(lifespan=life.chosen) as app:
        app.register("t", _nothing)
    assert life.database.log == []


def test_a_local_app_enters_it_with_the_first_call(life: Life) -> None:
    with App("local", lifespan=life.chosen) as app:
        t = app.register("t", _nothing)
        assert life.database.log == []
        t.call().get(SECONDS)
        t.call().get(SECONDS)
        assert life.database.log == ["enter"]
    assert life.database.log == ["enter", "leave"]


@contextlib.contextmanager
def _broken() -> Generator[None]:
    if _broken_now:
        raise OSError("no route to the database")
    yield


@contextlib.asynccontextmanager
async def _broken_later() -> AsyncGenerator[None]:
    if _broken_now:
        raise OSError("no route to the database")
    yield


_broken_now: list[bool] = []


@pytest.mark.parametrize("lifespan", [_broken, _broken_later])
def test_one_that_raises_starts_no_worker_and_may_be_tried_again(make_app: MakeApp, lifespan: Any) -> None:
    _broken_now.append(True)
    ran: list[int] = []
    with make_app(lifespan=lifespan) as app:

        @app.task(name="t")
        def t(number: int) -> int:
            ran.append(number)
            return number

        said = "no worker was started: the app's lifespan raised OSError: no route to the database"
        with pytest.raises(LifespanError, match=said) as caught:
            app.allocate(t)
        assert isinstance(caught.value.__cause__, OSError)
        with pytest.raises(LifespanError):
            app.allocate(t)
        _broken_now.clear()
        app.allocate(t)
        assert t.call(2).get(SECONDS) == 2
        assert ran == [2]


def test_a_local_call_that_needs_one_that_raises_is_not_kept() -> None:
    _broken_now.append(True)
    with App("local", lifespan=_broken) as app:
        ran: list[int] = []

        @app.task(name="t")
        def t(number: int) -> None:
            ran.append(number)

        with pytest.raises(LifespanError):
            t.call(1)
        _broken_now.clear()
        t.call(2).get(SECONDS)
        assert ran == [2]


def test_run_worker_ends_with_the_error(make_app: MakeApp) -> None:
    _broken_now.append(True)
    app = make_app(lifespan=_broken)
    app.register("t", _nothing)
    with pytest.raises(LifespanError):
        app.run_worker()
    assert app.closed
    _broken_now.clear()


@contextlib.contextmanager
def _bad_end() -> Generator[None]:
    yield
    raise OSError("cannot flush")


@contextlib.asynccontextmanager
async def _bad_end_later() -> AsyncGenerator[None]:
    yield
    raise OSError("cannot flush")


@pytest.mark.parametrize("lifespan", [_bad_end, _bad_end_later])
def test_one_that_raises_at_the_end_is_told(make_app: MakeApp, lifespan: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(lifespan=lifespan)
    app.allocate(app.register("t", _nothing))
    with app.listen(level=EventLevel.ERROR) as events:
        app.close()
        event = events.get(SECONDS)
    assert event is not None
    assert (event.code, event.message) == (
        EventCode.HANDLER_FAILED,
        "the app's lifespan raised OSError when it was left",
    )
    assert "cannot flush" in caplog.text


def test_a_coroutine_that_closes_its_app_leaves_it_too(make_app: MakeApp) -> None:
    life = Life()
    app = make_app(lifespan=life.later)

    @app.task(name="end it all")
    async def end_it_all() -> None:
        app.close(1)

    app.allocate(end_it_all)
    end_it_all.call()
    eventually(lambda: life.database.log == ["enter", "leave"], timeout=SECONDS)


def test_a_closed_app_enters_nothing(make_app: MakeApp, life: Life) -> None:
    app = make_app(lifespan=life.chosen)
    t = app.register("t", _nothing)
    app.close()
    with pytest.raises(ConfigError, match="closed"):
        app.allocate(t)
    assert life.database.log == []


@pytest.mark.parametrize("wrong", [3, Database, lambda: 3])
def test_what_is_no_lifespan_is_refused(wrong: Any) -> None:
    with (
        pytest.raises(ConfigError, match=r"expected a function without parameters .* @asynccontextmanager"),
        App("local", lifespan=wrong) as app,
    ):
        app.allocate(app.register("t", _nothing))


def test_one_that_wants_to_start_workers_itself_is_told_that_it_cannot(make_app: MakeApp) -> None:
    apps: list[App] = []

    @contextlib.contextmanager
    def early() -> Generator[None]:
        apps[0].allocate("t")
        yield

    @contextlib.asynccontextmanager
    async def early_later() -> AsyncGenerator[None]:
        apps[0].allocate("t")
        yield

    for lifespan in (early, early_later):
        with make_app(lifespan=lifespan) as app:
            apps[:] = [app]
            app.register("t", _nothing)
            with pytest.raises(ConfigError, match="cannot start workers"):
                app.allocate("t")


def test_an_app_that_is_closed_meanwhile_leaves_it_again_and_starts_no_worker(make_app: MakeApp) -> None:
    inside, go_on = threading.Event(), threading.Event()
    log: list[str] = []

    @contextlib.contextmanager
    def slow() -> Generator[None]:
        inside.set()
        assert go_on.wait(SECONDS)
        log.append("enter")
        yield
        log.append("leave")

    refused: list[Exception] = []
    app = make_app(lifespan=slow)
    app.register("t", _nothing)

    def allocate() -> None:
        try:
            app.allocate("t")
        except ConfigError as error:
            refused.append(error)

    thread = threading.Thread(target=allocate)
    thread.start()
    assert inside.wait(SECONDS)
    app.close(0)
    go_on.set()
    thread.join(SECONDS)
    assert log == ["enter", "leave"]
    assert "closed" in str(refused[0])


def test_the_state_is_checked() -> None:
    database = Database()
    assert Context(state=database).state(Database) is database
    assert Context(state=database).state(object) is database
    with pytest.raises(ConfigError, match=r"context.state\(int\): .* gives an object of class Database"):
        Context(state=database).state(int)
    with pytest.raises(ConfigError, match="there is none"):
        Context().state(Database)
    with pytest.raises(ConfigError, match="expected a class"):
        Context(state=database).state(dict[str, int])


def _nothing() -> None: ...


def test_what_a_schedule_starts_first_has_it(life: Life) -> None:
    states: list[Database] = []
    app = App("local", lifespan=life.chosen)

    @app.every(seconds=0.1)
    @app.task(name="tick")
    def tick() -> None:
        states.append(current_context().state(Database))

    with app:
        eventually(lambda: len(states) >= 2, "it ran twice", SECONDS)
    assert set(map(id, states)) == {id(life.database)}
