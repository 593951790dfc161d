"""Hooks around every call and every run, and the headers that travel between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import pytest

from typeddingo import (
    App,
    ArgumentError,
    Config,
    ConfigError,
    Context,
    EventCode,
    EventLevel,
    LocalBackend,
    LocalBroker,
    Middleware,
    Option,
    Outgoing,
    QueueFull,
    Report,
    TaskFailed,
    current_context,
)
from typeddingo.broker import Broker, Feature, NamedBroker
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.testing import eventually

SECONDS = 20.0
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Tenants(Middleware):
    """Who it is for travels with every task, and is known inside."""

    def before_send(self, call: Outgoing) -> None:
        call.headers["tenant"] = tenant.get()

    @contextmanager
    def around_run(self, context: Context) -> Generator[None]:
        tenant.set(context.headers["tenant"])  # and never set back
        yield


class Diary(Middleware):
    """Writes down what it was told."""

    def __init__(self, lines: list[str], name: str = "") -> None:
        self.lines = lines
        self.name = name

    def before_send(self, call: Outgoing) -> None:
        self.lines.append(f"{self.name}before_send {call.name}")

    def after_send(self, call: Outgoing, error: BaseException | None) -> None:
        self.lines.append(f"{self.name}after_send {call.name} {type(error).__name__ if error else 'well'}")

    @contextmanager
    def around_run(self, context: Context) -> Generator[None]:
        self.lines.append(f"{self.name}enter {context.name}")
        try:
            yield
        finally:
            self.lines.append(f"{self.name}leave {context.name}")

    def after_run(self, context: Context, report: Report[object]) -> None:
        self.lines.append(f"{self.name}after_run {context.name} {report.status.name}")


def register(app: App) -> tuple[Callable[[], str], Callable[[], str]]:
    """A task of either kind that says whose it is; called, each returns what its task has returned."""

    @app.task(name="ask")
    def ask() -> str:
        return f"{tenant.get()}, {current_context().headers['tenant']}"

    @app.task(name="ask later", context=True)
    async def ask_later(context: Context) -> str:
        await asyncio.sleep(0)
        return f"{tenant.get()}, {context.headers['tenant']}"

    app.allocate(ask)
    app.allocate(ask_later)
    return lambda: ask.call().get(SECONDS), lambda: ask_later.call().get(SECONDS)


def as_tenant(name: str, call: Callable[[], str]) -> str:
    token = tenant.set(name)
    try:
        return call()
    finally:
        tenant.reset(token)


def test_headers_travel_with_a_task_and_what_a_hook_sets_is_seen_inside(app: App) -> None:
    app.add_middleware(Tenants())
    for ask in register(app):
        assert as_tenant("anna", ask) == "anna, anna"
        assert as_tenant("ben", ask) == "ben, ben"


def test_what_a_hook_does_not_set_back_is_not_seen_by_the_next_task(app: App) -> None:
    class OnlyOnce(Middleware):
        def __init__(self) -> None:
            self.runs = 0

        def around_run(self, context: Context) -> AbstractContextManager[None]:
            self.runs += 1
            if self.runs == 1:
                tenant.set("the first")
            return contextlib.nullcontext()

    app.add_middleware(OnlyOnce())

    @app.task(name="ask")
    def ask() -> str:
        return tenant.get()

    app.allocate(ask)
    assert [ask.call().get(SECONDS) for _ in range(2)] == ["the first", "nobody"]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async def"])
def test_hooks_are_called_in_order_and_the_first_one_is_outermost(app: App, asynchronous: bool) -> None:
    lines: list[str] = []
    app.add_middleware(Diary(lines, "1 "))
    app.add_middleware(Diary(lines, "2 "))

    async def later(number: int) -> int:
        lines.append("run")
        return number

    def now(number: int) -> int:
        lines.append("run")
        return number

    task = app.register("t", later) if asynchronous else app.register("t", now)
    app.allocate(task)
    assert task.call(7).get(SECONDS) == 7
    eventually(lambda: len(lines) == 11)
    sent = [line for line in lines if "send" in line]
    assert sent == ["1 before_send t", "2 before_send t", "2 after_send t well", "1 after_send t well"]
    assert [line for line in lines if line not in sent] == [
        "1 enter t",
        "2 enter t",
        "run",
        "2 leave t",
        "1 leave t",
        "2 after_run t SUCCESS",
        "1 after_run t SUCCESS",
    ]


def test_a_hook_sees_what_the_task_raises_and_its_report(app: App) -> None:
    lines: list[str] = []
    app.add_middleware(Diary(lines))

    @app.task(name="bad")
    def bad() -> None:
        raise ValueError("bad")

    app.allocate(bad)
    assert "bad" in str(bad.call().wait(SECONDS).error)
    eventually(lambda: len(lines) == 5)
    assert [line for line in lines if "send" not in line] == ["enter bad", "leave bad", "after_run bad FAIL"]


def test_a_hook_that_swallows_a_failure_makes_no_success_of_it(app: App) -> None:
    class Soother(Middleware):
        def around_run(self, context: Context) -> AbstractContextManager[None]:
            return contextlib.suppress(Exception)

    app.add_middleware(Soother())

    @app.task(name="bad")
    def bad() -> None:
        raise ValueError("bad")

    @app.task(name="bad later")
    async def bad_later() -> None:
        raise ValueError("bad")

    for task in (bad, bad_later):
        app.allocate(task)
        failure = task.call().wait(SECONDS).error
        assert failure is not None
        assert (failure.message, failure.exception_type) == ("bad", "ValueError")


@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async def"])
def test_what_a_hook_around_a_run_raises_is_the_failure_of_the_task(app: App, asynchronous: bool) -> None:
    class Guard(Middleware):
        def around_run(self, context: Context) -> AbstractContextManager[None]:
            raise PermissionError("not you")

    ran: list[int] = []
    app.add_middleware(Guard())

    async def later(number: int) -> None:
        ran.append(number)

    task = app.register("t", later) if asynchronous else app.register("t", _append(ran))
    app.allocate(task)
    failure = task.call(1).wait(SECONDS).error
    assert isinstance(failure, TaskFailed)
    assert failure.exception_type == "PermissionError"
    assert ran == []


def _append(ran: list[int]) -> Callable[[int], None]:
    def append(number: int) -> None:
        ran.append(number)

    return append


def test_what_a_hook_before_a_send_raises_reaches_the_caller_and_nothing_is_sent(app: App) -> None:
    class Closed(Middleware):
        def before_send(self, call: Outgoing) -> None:
            raise PermissionError("closed on Sundays")

    lines: list[str] = []
    app.add_middleware(Diary(lines))
    app.add_middleware(Closed())

    @app.task(name="t")
    def t() -> None:
        lines.append("ran")

    app.allocate(t)
    with pytest.raises(PermissionError, match="Sundays"):
        t.call()
    with pytest.raises(PermissionError, match="Sundays"):
        asyncio.run(t.call_async())
    assert lines == ["before_send t", "after_send t PermissionError"] * 2


def test_what_comes_after_is_told_and_breaks_nothing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Middleware):
        def after_send(self, call: Outgoing, error: BaseException | None) -> None:
            raise ValueError("after the send")

        def after_run(self, context: Context, report: Report[object]) -> None:
            raise ValueError("after the run")

    lines: list[str] = []
    app.add_middleware(Diary(lines))
    app.add_middleware(Clumsy())

    @app.task(name="t")
    def t(number: int) -> int:
        return number

    app.allocate(t)
    with app.listen(level=EventLevel.ERROR) as events:
        result = t.call(3)
        assert result.get(SECONDS) == 3
        told = [events.get(SECONDS), events.get(SECONDS)]
    assert {event.message for event in told if event} == {
        "after_send of Clumsy raised ValueError",
        "after_run of Clumsy raised ValueError",
    }
    assert {(event.code, event.task, event.id) for event in told if event} == {
        (EventCode.HANDLER_FAILED, "t", result.id)
    }
    eventually(lambda: "after_run t SUCCESS" in lines, "the others are called all the same")
    assert "after the run" in caplog.text


def test_arguments_that_do_not_fit_are_refused_before_any_hook(app: App) -> None:
    lines: list[str] = []
    app.add_middleware(Diary(lines))

    @app.task(name="t")
    def t(number: int) -> None: ...

    with pytest.raises(ArgumentError):
        t.call("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert lines == []


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({str(number): "" for number in range(65)}, "expected at most 64 headers, got 65"),
        ({"a": "x" * 8192}, "expected headers of at most 8192 bytes in all, got 8193"),
        ({"a": "ä" * 4096}, "expected headers of at most 8192 bytes in all, got 8193"),
        ({"a": 1}, "expected headers to be text"),
        ({1: "a"}, "expected headers to be text"),
        ({"": "a"}, "expected headers to be text: names of one character at least"),
        ({"a": "\ud800"}, "expected headers without lone surrogates"),
    ],
)
def test_headers_that_cannot_travel_are_not_sent(app: App, headers: dict[str, str], said: str) -> None:
    class Wrong(Middleware):
        def before_send(self, call: Outgoing) -> None:
            call.headers.update(headers)

    lines: list[str] = []
    app.add_middleware(Diary(lines))
    app.add_middleware(Wrong())

    @app.task(name="t")
    def t() -> None: ...

    with pytest.raises(ConfigError, match=said):
        t.call()
    assert lines == ["before_send t", "after_send t ConfigError"]


def test_a_hook_may_call_tasks_itself(app: App) -> None:
    class Audit(Middleware):
        def before_send(self, call: Outgoing) -> None:
            if call.name != "audit":
                call.headers["audit"] = audit.call(call.name).id

    app.add_middleware(Audit())
    seen: list[str] = []

    @app.task(name="audit")
    def audit(what: str) -> None:
        seen.append(what)

    @app.task(name="work")
    def work() -> str:
        return current_context().headers["audit"]

    app.allocate(audit)
    app.allocate(work)
    result = work.call()
    assert result.get(SECONDS) not in ("", result.id)
    eventually(lambda: seen == ["work"])


def test_every_call_of_a_map_and_of_a_batch_is_announced(app: App) -> None:
    lines: list[str] = []
    app.add_middleware(Diary(lines))

    @app.task(name="t")
    def t(number: int) -> int:
        return number

    app.allocate(t)
    assert [result.get(SECONDS) for result in t.map(range(3))] == [0, 1, 2]
    with app.batch():
        results = [t.call(number) for number in range(3)]
    assert [result.get(SECONDS) for result in results] == [0, 1, 2]
    assert lines.count("before_send t") == lines.count("after_send t well") == 6


def test_a_call_that_is_refused_is_told_as_refused() -> None:
    lines: list[str] = []
    with App("remote", config=Config(max_length=1), middleware=[Diary(lines)]) as app:
        app.use(LocalBroker(max_length=1))
        app.use(LocalBackend())
        t = app.register("t", _nothing)
        t.call()
        with pytest.raises(QueueFull):
            t.call()
        with pytest.raises(QueueFull), app.batch():
            t.call()
    assert lines == [
        "before_send t",
        "after_send t well",
        "before_send t",
        "after_send t QueueFull",
        "before_send t",
        "after_send t QueueFull",
    ]


def _nothing() -> None: ...


def test_options_and_names_can_be_read_by_a_hook(app: App) -> None:
    seen: list[tuple[str, str, Option]] = []

    class Reader(Middleware):
        def before_send(self, call: Outgoing) -> None:
            seen.append((call.name, call.id, call.option))

    app.add_middleware(Reader())
    t = app.register("t", _nothing)
    app.allocate(t)
    result = t.with_options(monitor_progress=True).call()
    result.get(SECONDS)
    assert seen == [("t", result.id, Option(monitor_progress=True))]


def test_middleware_is_added_before_the_workers_start(app: App) -> None:
    t = app.register("t", _nothing)
    app.add_middleware(Tenants())
    app.allocate(t)
    with pytest.raises(ConfigError, match="workers have been started"):
        app.add_middleware(Tenants())


def test_middleware_inherits_from_middleware() -> None:
    with pytest.raises(ConfigError, match="inherits from Middleware"):
        App("local", middleware=[object()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def test_headers_are_read_only_inside_and_empty_where_none_were_sent(app: App) -> None:
    @app.task(name="t", context=True)
    def t(context: Context) -> int:
        with pytest.raises(TypeError):
            context.headers["a"] = "b"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
        return len(context.headers)

    app.allocate(t)
    assert t.call().get(SECONDS) == 0
    assert Context(headers={"a": "b"}).headers == {"a": "b"}


@pytest.mark.parametrize("broker", [LocalBroker, LocalNamedBroker])
def test_a_worker_runs_what_a_caller_without_middleware_has_sent(broker: Callable[[], object]) -> None:
    class Lenient(Middleware):
        @contextmanager
        def around_run(self, context: Context) -> Generator[None]:
            tenant.set(context.headers.get("tenant", "unknown"))
            yield

    shared, backend = broker(), LocalBackend()
    with App("remote") as caller, App("remote", middleware=[Lenient()]) as worker:
        for app in (caller, worker):
            app.use(shared)
            app.use(backend)
        calls, runs = (app.register("whose", _whose) for app in (caller, worker))
        worker.allocate(runs)
        assert calls.call().get(SECONDS) == "unknown"


def _whose() -> str:
    return tenant.get()


def test_a_task_that_runs_again_has_its_headers_and_its_hooks_again(app: App) -> None:
    lines: list[str] = []
    seen: list[str] = []
    app.add_middleware(Tenants())
    app.add_middleware(Diary(lines))

    @app.task(name="flaky", retries=2, backoff=0.01)
    def flaky() -> str:
        seen.append(tenant.get())
        if len(seen) < 3:
            raise ConnectionError("not yet")
        return current_context().headers["tenant"]

    need_later(app)
    app.allocate(flaky)
    assert as_tenant("anna", lambda: flaky.call().get(SECONDS)) == "anna"
    assert seen == ["anna"] * 3
    eventually(lambda: len(lines) == 11)
    assert lines.count("before_send flaky") == lines.count("after_send flaky well") == 1
    assert [line for line in lines if "after_run" in line] == [
        "after_run flaky FAIL",
        "after_run flaky FAIL",
        "after_run flaky SUCCESS",
    ]


def test_a_call_for_later_is_announced_at_once_and_keeps_its_headers(app: App) -> None:
    lines: list[str] = []
    app.add_middleware(Tenants())
    app.add_middleware(Diary(lines))

    @app.task(name="whose", context=True)
    def whose(context: Context) -> str:
        return context.headers["tenant"]

    need_later(app)
    app.allocate(whose)
    assert as_tenant("anna", lambda: whose.with_options(delay=0.05, expires=SECONDS).call().get(SECONDS)) == "anna"
    assert lines[:2] == ["before_send whose", "after_send whose well"]


def need_later(app: App) -> None:
    """Skips the test where the broker cannot put tasks off."""
    for adapter in app._bridge.attached():  # pyright: ignore[reportPrivateUsage]  # nobody else need ask
        if isinstance(adapter, (Broker, NamedBroker)) and Feature.LATER not in adapter.features:
            pytest.skip(f"{type(adapter).__name__} cannot put tasks off")
