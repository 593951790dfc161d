"""The caller's half of a remote app: what becomes of a call when its broker or its backend misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.leftovers import running
from tests.unit.by_hand import SECONDS, until
from typeddingo import (
    App,
    ArgumentError,
    ConfigError,
    Confirmation,
    EventCode,
    EventLevel,
    IDMakerID,
    Meta,
    Middleware,
    Option,
    Outgoing,
    Parcel,
    QueueFull,
    Report,
    Result,
    ResultClosed,
    Role,
    SendError,
    SendUnknown,
    Status,
    WireError,
)
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.contract import Contract
from typeddingo.marshallers.json import JSONMarshaller


def add(a: int, b: int) -> int:
    return a + b


class Answer(Confirmation):
    """A confirmation that the test gives."""

    def __init__(self) -> None:
        self._given = threading.Event()
        self._error: Exception | None = None
        self._callbacks: list[Callable[[BaseException | None], object]] = []

    def give(self, error: Exception | None = None) -> None:
        self._error = error
        self._given.set()
        for callback in self._callbacks:
            callback(error)

    def wait(self, timeout: float | None = None) -> None:
        assert self._given.wait(SECONDS)
        if self._error is not None:
            raise self._error

    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        self._callbacks.append(callback)
        if self._given.is_set():
            callback(self._error)


class Deciding(LocalNamedBroker):
    """A broker whose confirmations the test decides; ``refusal`` is raised by ``send`` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.refusal: Exception | None = None

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        if self.refusal is not None:
            raise self.refusal
        self.answers.append(Answer())
        return self.answers[-1]


@pytest.fixture
def broker() -> Deciding:
    return Deciding()


@pytest.fixture
def backend() -> LocalBackend:
    return LocalBackend()


@pytest.fixture
def app(broker: Deciding, backend: LocalBackend) -> Iterator[App]:
    with App("remote") as app:
        app.use(broker)
        app.use(backend)
        yield app
    assert running() == []


def test_a_call_returns_only_when_the_broker_has_confirmed(app: App, broker: Deciding) -> None:
    task = app.register("add", add)
    returned = threading.Event()

    def caller() -> None:
        task.call(1, 2)
        returned.set()

    thread = threading.Thread(target=caller)
    thread.start()
    until(lambda: len(broker.answers) == 1)
    assert not returned.wait(0.05)
    broker.answers[0].give()
    assert returned.wait(SECONDS)
    thread.join()


@pytest.mark.parametrize("error", [QueueFull("full"), SendUnknown("perhaps")], ids=lambda e: type(e).__name__)
def test_a_refused_confirmation_is_raised_and_leaves_no_poll(
    app: App, broker: Deciding, backend: LocalBackend, error: Exception
) -> None:
    task = app.register("add", add)

    def answer() -> None:
        until(lambda: len(broker.answers) == 1)
        broker.answers[0].give(error)

    threading.Thread(target=answer).start()
    with pytest.raises(type(error)):
        task.call(1, 2)
    assert backend.outstanding() == 0


def test_a_send_that_fails_at_once_leaves_no_poll(app: App, broker: Deciding, backend: LocalBackend) -> None:
    task = app.register("add", add)
    broker.refusal = SendError("no")
    for _ in range(3):
        with pytest.raises(SendError):
            task.call(1, 2)
    assert backend.outstanding() == 0


def test_an_id_that_is_given_twice_is_refused_and_the_first_call_goes_on(
    app: App, broker: Deciding, backend: LocalBackend
) -> None:
    class Same:
        def new_id(self, name: str, /) -> str:
            return "same"

    task = app.register("add", add, id_maker=Same())
    with app.batch():
        first = task.call(1, 2)
        broker.answers[0].give()
    with pytest.raises(ConfigError, match="polled already"):
        task.call(3, 4)
    backend.report([Parcel(Meta("add", "same"), success(3, "same"))])
    assert first.get(SECONDS) == 3


def success(value: int, id: str, name: str = "add") -> bytes:
    report = Report[object](name, id, Status.SUCCESS, Option(), None, (value,), value)
    return JSONMarshaller().encode_report(Contract.of(add, name=name), report)


def test_a_batch_raises_what_failed_and_ends_those_results(app: App, broker: Deciding, backend: LocalBackend) -> None:
    task = app.register("add", add)
    results: list[Result[int]] = []

    def block() -> None:
        with app.batch():
            results.extend(task.call(i, 0) for i in range(3))
            assert len(broker.answers) == 3, "handed over without waiting"
            for answer, error in zip(broker.answers, (QueueFull("full"), None, SendUnknown("perhaps")), strict=True):
                answer.give(error)

    with pytest.raises(ExceptionGroup, match="2 of 3 calls") as caught:
        block()
    assert [type(error) for error in caught.value.exceptions] == [QueueFull, SendUnknown]
    assert [error.id for error in caught.value.exceptions if isinstance(error, SendUnknown)] == [results[-1].id]
    with pytest.raises(QueueFull):
        results[0].get(SECONDS)
    with pytest.raises(SendUnknown):
        results[2].get(SECONDS)
    assert not results[1].done
    assert backend.outstanding() == 1


def test_middleware_is_told_of_every_answer_of_a_batch(app: App, broker: Deciding) -> None:
    told: list[str] = []

    class Watching(Middleware):
        def after_send(self, call: Outgoing, error: BaseException | None) -> None:
            told.append(type(error).__name__)

    app.add_middleware(Watching())
    task = app.register("add", add)

    def block() -> None:
        with app.batch():
            task.call(1, 2)
            asyncio.run(task.call_async(1, 2))
            assert told == []
            for answer, error in zip(broker.answers, (QueueFull("full"), None), strict=True):
                answer.give(error)

    with pytest.raises(ExceptionGroup):
        block()
    assert told == ["QueueFull", "NoneType"]


@pytest.mark.parametrize("error", [None, QueueFull("full")], ids=["confirmed", "refused"])
def test_middleware_is_told_of_the_answer_to_a_coroutine(app: App, broker: Deciding, error: Exception | None) -> None:
    told: list[BaseException | None] = []

    class Watching(Middleware):
        def after_send(self, call: Outgoing, error: BaseException | None) -> None:
            told.append(error)

    app.add_middleware(Watching())
    task = app.register("add", add)

    async def call() -> None:
        calling = asyncio.ensure_future(task.call_async(1, 2))
        while not broker.answers:
            await asyncio.sleep(0)
        assert told == []
        broker.answers[0].give(error)
        await calling

    with contextlib.suppress(QueueFull):
        asyncio.run(call())
    assert [type(each) for each in told] == [type(error)]


def test_a_batch_that_raises_still_waits_for_what_was_handed_over(app: App, broker: Deciding) -> None:
    task = app.register("add", add)

    def block() -> None:
        with app.batch():
            task.call(1, 2)
            broker.answers[0].give()
            raise LookupError

    with pytest.raises(LookupError):
        block()


def test_a_batch_is_of_one_thread_alone(app: App, broker: Deciding) -> None:
    task = app.register("add", add)
    waiting = threading.Thread(target=lambda: task.call(1, 2))
    with app.batch():
        waiting.start()
        until(lambda: len(broker.answers) == 1)
        waiting.join(0.05)
        assert waiting.is_alive(), "the other thread waits for its own confirmation"
        broker.answers[0].give()
    waiting.join(SECONDS)
    assert not waiting.is_alive()


def test_awaiting_a_call_does_not_block_the_loop(app: App, broker: Deciding, backend: LocalBackend) -> None:
    task = app.register("add", add)

    async def main() -> None:
        call = asyncio.create_task(task.call_async(1, 2))
        while not broker.answers:
            await asyncio.sleep(0.001)
        assert not call.done()
        threading.Thread(target=broker.answers[0].give).start()
        assert not (await call).done
        broker.answers.clear()
        refused = asyncio.create_task(task.call_async(1, 2))
        while not broker.answers:
            await asyncio.sleep(0.001)
        broker.answers[0].give(QueueFull("full"))
        with pytest.raises(QueueFull):
            await refused

    asyncio.run(main())
    assert backend.outstanding() == 1


@pytest.mark.parametrize(
    "frame",
    [b"", b"\x00" * 30, success(3, "other"), success(3, "1", "other"), success(3, "1").replace(b"[3]", b'["3"]')],
    ids=["empty", "zeros", "another id", "another name", "type"],
)
def test_an_unreadable_report_ends_its_result_and_no_other(
    app: App, broker: Deciding, backend: LocalBackend, frame: bytes
) -> None:
    task = app.register("add", add, id_maker=IDMakerID.SEQ)
    with app.batch():
        bad, good = task.call(1, 2), task.call(2, 2)
        for answer in broker.answers:
            answer.give()
    with app.listen(Role.BRIDGE, EventLevel.ERROR) as events:
        backend.report([Parcel(Meta("add", "1"), frame)])
        event = events.get(SECONDS)
        assert event is not None
        assert (event.code, event.task, event.id) == (EventCode.UNDECODABLE, "add", "1")
    with pytest.raises(WireError):
        bad.get(SECONDS)
    assert not good.done
    backend.report([Parcel(Meta("add", "2"), success(4, "2"))])
    assert good.get(SECONDS) == 4
    assert backend.outstanding() == 0


def test_a_backend_that_closes_ends_the_results(app: App, broker: Deciding, backend: LocalBackend) -> None:
    task = app.register("add", add)
    with app.batch():
        result = task.call(1, 2)
        broker.answers[0].give()
    backend.close()
    with pytest.raises(ResultClosed):
        result.get(SECONDS)


def test_a_wrong_argument_polls_and_sends_nothing(app: App, broker: Deciding, backend: LocalBackend) -> None:
    app.register("add", add)
    with pytest.raises(ArgumentError):
        app.call("add", 1, "2")
    assert (broker.answers, backend.outstanding()) == ([], 0)


def test_a_finished_result_leaves_nothing_behind(backend: LocalBackend) -> None:
    with App("remote") as app:
        app.use(LocalBroker())
        app.use(backend)
        task = app.register("add", add)
        app.allocate(task)
        results = [task.call(i, 0) for i in range(100)]
        assert [result.get(SECONDS) for result in results] == list(range(100))
        until(lambda: backend.outstanding() == 0)
        assert backend.kept() == 0
    assert running() == []


def test_a_caller_that_is_cancelled_while_it_waits_leaves_no_poll(
    app: App, broker: Deciding, backend: LocalBackend
) -> None:
    task = app.register("add", add)

    async def call() -> None:
        calling = asyncio.ensure_future(task.call_async(1, 2))
        while not broker.answers:
            await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    asyncio.run(call())
    assert not app._bridge._courier.pending  # type: ignore[attr-defined]  # pyright: ignore  # nobody else can see it
    broker.answers[0].give(SendError("too late"))
