"""A remote worker against everything that can go wrong around it: frames, reporters, slow neighbours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from tests.leftovers import running
from tests.unit.by_hand import SECONDS, until
from typeddingo import (
    Ack,
    App,
    Config,
    ConnectionLost,
    Delivery,
    ErrorCode,
    EventCode,
    EventLevel,
    Limits,
    Listener,
    Meta,
    Parcel,
    QueueFull,
    Receipt,
    Result,
    Role,
    SendError,
    SendUnknown,
    Status,
    TaskFailed,
    TaskMessage,
    compose_bytes,
)
from typeddingo.backends.local import LocalBackend
from typeddingo.bridges.crew import group_sizes
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.contract import Contract
from typeddingo.header import Header
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.task_run import TaskRun

Local = LocalBroker | LocalNamedBroker


def add(a: int, b: int) -> int:
    return a + b


class Reporting(LocalBackend):
    """A backend that fails as it is told, and knows what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.refused: set[str] = set()
        self.before: list[Meta] = []
        self.batches: list[int] = []

    def before_report(self, meta: Meta) -> None:
        self.before.append(meta)

    def report(self, parcels: Sequence[Parcel]) -> None:
        self.batches.append(len(parcels))
        if self.failures:
            raise self.failures.pop(0)
        if {parcel.meta.id for parcel in parcels} & self.refused:
            raise SendError("one of them is too large")
        super().report(parcels)


class Doubtful(LocalNamedBroker):
    """A broker that is not sure of its first two acknowledgements."""

    doubts = 2

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        listener = super().add_listener(name, prefetch)
        acknowledge = listener.acknowledge

        def doubt(deliveries: Sequence[Delivery]) -> bool:
            if self.doubts:
                self.doubts -= 1
                return False
            return acknowledge(deliveries)

        listener.acknowledge = doubt  # type: ignore[method-assign]  # what a lost connection would do
        return listener


@pytest.fixture(params=[LocalBroker, LocalNamedBroker], ids=lambda kind: kind.__name__)
def broker(request: pytest.FixtureRequest) -> Local:
    made: Local = request.param()
    return made


@pytest.fixture
def backend() -> Reporting:
    return Reporting()


@pytest.fixture
def app(broker: Local, backend: Reporting) -> Iterator[App]:
    with App("remote", config=Config(mappers=1)) as app:
        app.use(broker)
        app.use(backend)
        yield app
    assert running() == []


def counted(runs: list[int], a: int) -> int:
    """How often it has run."""
    runs.append(a)
    return len(runs)


def unreachable() -> SendError:
    """What an adapter raises that never reached its server."""
    error = SendError("nothing was sent")
    error.__cause__ = ConnectionLost("away")
    return error


def send_again(broker: Local, app: App, result: Result[int], fn: Callable[..., object], *args: object) -> None:
    """The broker delivers the task of this result once more."""
    task = TaskMessage(result.name, result.id, args)
    frame = JSONMarshaller().encode_task(Contract.of(fn, name=result.name), task)
    broker.send([Parcel(task.meta, frame)]).wait(SECONDS)


def payload(frame: bytes) -> bytes:
    return frame[Header.from_bytes(frame).length :]


@pytest.mark.parametrize(
    "body", [b"", b"\x01", b"\xff" * 40, b"\x00\x00\xff" + b"\x7f" * 30], ids=["empty", "short", "ones", "long"]
)
def test_a_broken_header_is_refused_aloud_and_the_worker_lives(app: App, broker: Local, body: bytes) -> None:
    task = app.register("add", add)
    app.allocate(task)
    with app.listen(Role.ALL, EventLevel.ERROR) as events:
        broker.send([Parcel(Meta("add", "1"), body)])
        event = events.get(SECONDS)
        assert event is not None
        assert event.code == EventCode.UNDECODABLE
    until(lambda: [dead.receipt for dead in broker.dead()] == [Receipt.NOK])
    assert task.call(1, 2).get(SECONDS) == 3


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b'{"A":["1",2]}', b'{"A":[1]}', b'{"A":[1,2,3]}', b'{"A":' + b"[" * 5000 + b"]" * 5000 + b"}"],
    ids=["empty", "cut", "type", "few", "many", "deep"],
)
def test_an_undecodable_task_fails_for_its_caller_and_the_worker_lives(
    app: App, broker: Local, backend: Reporting, payload: bytes
) -> None:
    task = app.register("add", add)
    app.allocate(task)
    meta = Meta("add", "x1")
    stream = backend.poll(meta)
    broker.send([Parcel(meta, compose_bytes("x1", "add", []) + payload)])
    (frame,) = stream.take(SECONDS)
    report = JSONMarshaller().decode_report(contract_of(app), Header.from_bytes(frame), frame)
    assert report.failure is not None
    assert (report.status, report.failure.code) == (Status.FAIL, ErrorCode.INVOKE)
    until(lambda: [dead.receipt for dead in broker.dead()] == [Receipt.NOK])
    assert task.call(1, 2).get(SECONDS) == 3


def contract_of(app: App) -> Contract:
    return Contract.of(add, name="add")


def test_a_task_that_nobody_here_runs_fails_for_its_caller(broker: Local, backend: Reporting) -> None:
    worker, caller = App("remote"), App("remote")
    with worker, caller:
        worker.use(broker, Role.CONSUMER)
        worker.use(backend, Role.REPORTER)
        caller.use(broker, Role.PRODUCER)
        caller.use(backend, Role.STORE)
        worker.allocate(worker.register("other" if isinstance(broker, LocalBroker) else "add", add))
        result = caller.register("add", add).call(1, 2)
        if isinstance(broker, LocalNamedBroker):  # on its queue there is a task by another name
            assert result.get(SECONDS) == 3
            meta = Meta("add", "x1")
            stream = backend.poll(meta)
            broker.send([Parcel(meta, compose_bytes("x1", "odd", []) + b"{}")])
            until(lambda: [dead.receipt for dead in broker.dead()] == [Receipt.WORKER_NOT_FOUND])
            assert stream.take(0) == []
            return
        with pytest.raises(TaskFailed, match="no worker here runs") as caught:
            result.get(SECONDS)
        assert caught.value.code == ErrorCode.WORKER_NOT_FOUND
        assert [dead.receipt for dead in broker.dead()] == [Receipt.WORKER_NOT_FOUND]


def test_a_report_waits_until_its_reporter_is_back_and_the_task_runs_once(app: App, backend: Reporting) -> None:
    runs: list[int] = []
    task = app.register("count", partial(counted, runs))
    backend.failures = [ConnectionLost("away"), QueueFull("full"), unreachable()]
    app.allocate(task)
    assert task.call(1).get(SECONDS) == 1
    assert runs == [1]


def test_a_task_is_settled_only_when_its_report_is_stored(
    app: App, backend: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typeddingo.patience.PATIENCE", 0.0)
    runs: list[int] = []
    task = app.register("count", partial(counted, runs))
    backend.failures = [ConnectionLost("away")]
    app.allocate(task)
    assert task.call(1).get(SECONDS) == 2, "the first report never came: the task was given back and ran again"
    assert runs == [1, 1]


def test_a_task_that_is_delivered_again_while_it_runs_runs_once_and_both_are_settled(
    app: App, broker: Local, backend: Reporting
) -> None:
    runs: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def wait(a: int) -> int:
        runs.append(a)
        begun.set()
        assert go_on.wait(SECONDS)
        return a

    task = app.register("wait", wait)
    app.allocate(task, 2)
    result = task.call(1)
    assert begun.wait(SECONDS)
    send_again(broker, app, result, wait, 1)
    until(lambda: broker.waiting() == 0)
    go_on.set()
    assert result.get(SECONDS) == 1
    app.close()
    assert runs == [1]
    assert broker.waiting() == 0, "both deliveries were settled"


def test_a_task_that_is_delivered_again_after_its_end_is_reported_again_and_not_run(
    app: App, broker: Local, backend: Reporting
) -> None:
    runs: list[int] = []
    task = app.register("count", partial(counted, runs))
    app.allocate(task)
    result = task.call(1)
    assert result.get(SECONDS) == 1
    stream = backend.poll(Meta("count", result.id))
    send_again(broker, app, result, partial(counted, runs), 1)
    (frame,) = stream.take(SECONDS)
    report = JSONMarshaller().decode_report(
        Contract.of(partial(counted, runs), name="count"), Header.from_bytes(frame), frame
    )
    assert report.value == 1
    app.close()
    assert runs == [1]
    assert broker.waiting() == 0


@pytest.mark.parametrize(("ack", "waiting"), [(Ack.EARLY, 0), (Ack.LATE, 1)])
def test_a_worker_acknowledges_a_task_when_it_is_told_to(
    broker: Local, backend: Reporting, ack: Ack, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(broker, "run_at_most_once", lambda: told.append("run at most once"))
    begun, go_on = threading.Event(), threading.Event()

    def wait(a: int) -> int:
        begun.set()
        assert go_on.wait(SECONDS)
        return a

    with App("remote", config=Config(mappers=1, ack=ack)) as app:
        app.use(broker)
        app.use(backend)
        task = app.register("wait", wait)
        app.allocate(task)
        assert set(told) == ({"run at most once"} if ack is Ack.EARLY else set())
        result = task.call(1)
        assert begun.wait(SECONDS)
        broker.close()
        assert broker.waiting() == waiting, "what is not settled when its broker closes waits for somebody else"
        go_on.set()
        assert result.get(SECONDS) == 1


def test_a_task_that_runs_at_most_once_does_not_run_while_it_may_come_again(backend: Reporting) -> None:
    runs: list[int] = []
    broker = Doubtful()
    with App("remote", config=Config(ack=Ack.EARLY)) as app:
        app.use(broker)
        app.use(backend)
        task = app.register("count", partial(counted, runs))
        app.allocate(task)
        assert task.call(1).get(SECONDS) == 1
    assert broker.doubts == 0
    assert runs == [1], "it ran when the broker had forgotten it, and not before"


def test_whoever_keeps_a_log_hears_of_every_task_and_never_of_its_values(app: App) -> None:
    heard: list[TaskRun] = []
    app._runtime.on_task = heard.append  # pyright: ignore[reportPrivateUsage]  # what the worker command sets

    async def later(text: str) -> str:
        return text

    def fail(text: str) -> None:
        raise ValueError(text)

    for fn, error in ((fail, "ValueError"), (later, "")):
        task = app.register(fn.__name__, fn)
        app.allocate(task)
        result = task.call("canary")
        result.wait(SECONDS)
        until(lambda: len(heard) == 1)
        run = heard.pop()
        assert (run.name, run.id, run.attempt, run.error) == (fn.__name__, result.id, 1, error)
        assert run.status is (Status.FAIL if error else Status.SUCCESS)
        assert 0 <= run.seconds < SECONDS
        assert "canary" not in repr(run)


def test_a_report_that_may_have_been_stored_is_sent_again(app: App, backend: Reporting) -> None:
    task = app.register("add", add)
    backend.failures = [SendUnknown("perhaps")]
    app.allocate(task)
    assert task.call(1, 2).get(SECONDS) == 3
    assert backend.batches == [1, 1]


def test_a_refused_report_is_told_and_costs_no_other(app: App, broker: Local, backend: Reporting) -> None:
    task = app.register("add", add)
    with app.batch():
        results = [task.call(i, 0) for i in range(20)]
    lost = results.pop(11)
    backend.refused = {lost.id}
    with app.listen(Role.WORKER, EventLevel.ERROR) as events:
        app.allocate(task)
        assert [result.get(SECONDS) for result in results] == [i for i in range(20) if i != 11]
        event = events.get(SECONDS)
        assert event is not None
        assert (event.code, event.task, event.id) == (EventCode.REPORT_DROPPED, "add", lost.id)
    assert max(backend.batches) > 1, "they travelled together"
    assert broker.waiting() == 0, "running it again would not help: it is settled"
    assert not lost.done


def test_the_hook_is_called_once_before_the_first_report_of_a_task(app: App, backend: Reporting) -> None:
    task = app.register("add", add)
    app.allocate(task)
    results = [task.with_options(monitor_progress=True).call(1, 2), task.call(1, 2)]
    for result in results:
        assert result.get(SECONDS) == 3
    assert [meta.id for meta in backend.before] == [result.id for result in results]
    task.with_options(ignore_report=True).call(1, 2)
    assert task.call(1, 2).get(SECONDS) == 3
    assert len(backend.before) == 3, "a task without reports has no first one"


def test_what_waits_behind_a_slow_task_goes_to_another_worker(app: App) -> None:
    go = threading.Event()

    def work(slow: bool) -> bool:
        if slow:
            assert go.wait(SECONDS)
        return slow

    task = app.register("work", work)
    app.allocate(task, 1)
    assert all(not task.call(False).get(SECONDS) for _ in range(50)), "the worker learns that tasks are short"
    results = [task.call(False) for _ in range(50)] + [task.call(True)] + [task.call(False) for _ in range(50)]
    app.allocate(task, 1)
    for result in results:
        if result is not results[50]:
            assert result.get(SECONDS) is False, "neither held back nor hoarded by the worker that is busy"
    assert not results[50].done
    go.set()
    assert results[50].get(SECONDS) is True


def test_finished_tasks_are_reported_while_the_next_one_runs(app: App) -> None:
    go = threading.Event()

    def work(slow: bool) -> bool:
        if slow:
            assert go.wait(SECONDS)
        return slow

    task = app.register("work", work)
    with app.batch():
        results = [task.call(slow) for slow in [False] * 100 + [True]]
    app.allocate(task)
    for result in results[:100]:
        assert result.get(SECONDS) is False
    assert not results[100].done
    go.set()
    assert results[100].get(SECONDS) is True


def test_a_return_value_over_the_limit_is_a_failure_that_says_so(broker: Local, backend: Reporting) -> None:
    def blow(size: int) -> str:
        return "x" * size

    with App("remote", config=Config(limits=Limits(frame=2000))) as app:
        app.use(broker)
        app.use(backend)
        task = app.register("blow", blow)
        app.allocate(task)
        assert len(task.call(1000).get(SECONDS)) == 1000
        with pytest.raises(TaskFailed, match="cannot be reported") as caught:
            task.call(5000).get(SECONDS)
        assert caught.value.code == ErrorCode.RETURN


@pytest.mark.parametrize(
    ("count", "share", "groups"),
    [(10, 3, [1, 3, 3, 3]), (4, 0, [4]), (4, 4, [4]), (4, 1, [1] * 4), (2, 5, [2]), (6, 3, [3, 3])],
)
def test_workers_share_report_channels_as_in_the_seed(count: int, share: int, groups: list[int]) -> None:
    assert group_sizes(count, share) == groups
