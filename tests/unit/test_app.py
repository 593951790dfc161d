"""What an app refuses, and how it says so; what its settings change."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tests.leftovers import running
from tests.unit.by_hand import SECONDS, until
from typeddingo import (
    App,
    Config,
    ConfigError,
    Confirmation,
    GenericInvoker,
    IDMakerID,
    MarshallerID,
    Option,
    Parcel,
    Role,
    Status,
    Task,
    TaskFailed,
    Tasks,
)
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.marshallers.json import JSONMarshaller

ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    yield
    assert running() == []


@pytest.fixture
def local(no_threads_left: None) -> Iterator[App]:
    with App() as app:
        yield app


@pytest.fixture
def remote(no_threads_left: None) -> Iterator[App]:
    with App("remote") as app:
        yield app


def add(a: int, b: int) -> int:
    return a + b


# where


@pytest.mark.parametrize("where", ["", "Local", "file:///tmp", "http://localhost", "localhost:6379"])
def test_an_unknown_place_is_refused_with_those_there_are(where: str) -> None:
    with pytest.raises(ConfigError, match=r"'local', 'remote' or a URL"):
        App(where)


@pytest.mark.parametrize("where", ["local", "remote"])
def test_a_backend_without_a_broker_url_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match=r"app\.use"):
        App(where, backend="redis://localhost")


def test_an_adapter_that_is_not_there_says_what_to_install_and_keeps_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "typeddingo.brokers.redis", None)
    with pytest.raises(ConfigError, match=r"pip install 'typeddingo\[redis\]'") as caught:
        App("rediss://user:secret@localhost/0")
    assert "secret" not in str(caught.value)


def test_an_app_that_did_nothing_started_no_thread_and_opened_nothing() -> None:
    App()
    App("remote")
    assert running() == []


# registration


def test_a_name_can_be_registered_once_and_the_first_stays(local: App) -> None:
    first = local.register("add", add)
    with pytest.raises(ConfigError, match=r"'add' is registered already.*another name"):
        local.register("add", Initials().new_id)
    assert first.call(1, 2).get(SECONDS) == 3


def test_a_refused_collection_leaves_its_handles_unbound(local: App) -> None:
    local.register("add", add)
    tasks = Tasks()
    tasks.register("add", add)
    with pytest.raises(ConfigError, match="registered already"):
        local.include(tasks)


def test_a_task_keeps_its_app_alive() -> None:
    def declared() -> object:
        return App().register("add", add)

    task = declared()
    assert isinstance(task, object)
    app = App()
    assert app.register("add", add).call(1, 2).get(SECONDS) == 3
    app.close()


def test_the_name_of_a_task_in_a_program_is_the_one_a_worker_imports(tmp_path: Path) -> None:
    program = tmp_path / "shop.py"
    program.write_text(
        "from typeddingo import App\napp = App()\n@app.task\ndef pay(a: int) -> int:\n    return a\nprint(pay.name)\n"
    )
    for command in ([str(program)], ["-m", "shop"], ["-c", "import shop"]):
        ended = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (ended.stdout, ended.stderr) == ("shop.pay\n", "")


# settings of a task


def test_settings_of_an_unknown_task_are_refused(local: App) -> None:
    for setting in (
        lambda: local.set_option("nobody", Option()),
        lambda: local.set_marshaller("nobody", 1, 1),
        lambda: local.set_id_maker("nobody", 1),
        lambda: local.allocate("nobody"),
    ):
        with pytest.raises(ConfigError, match=r"no task is called 'nobody': register it first"):
            setting()


def test_set_option_takes_options_only_and_holds_from_the_next_call(local: App) -> None:
    task = local.register("add", add)
    with pytest.raises(ConfigError, match="expected an Option"):
        local.set_option(task, None)  # type: ignore[arg-type]  # Go's nil  # pyright: ignore[reportArgumentType]
    assert [report.status for report in task.call(1, 2).reports(SECONDS)] == [Status.SUCCESS]
    local.set_option(task, Option(monitor_progress=True))
    statuses = [report.status for report in task.call(1, 2).reports(SECONDS)]
    assert statuses == [Status.SENT, Status.PROGRESS, Status.SUCCESS]


def test_ids_count_up_in_a_local_app_and_are_uuids_in_a_remote_one(local: App, remote: App) -> None:
    one, two = local.register("one", add), local.register("two", add)
    assert [one.call(1, 2).id, two.call(1, 2).id, one.call(1, 2).id] == ["1", "2", "3"]
    local.set_id_maker(one, IDMakerID.UUID)
    assert len(one.call(1, 2).id) == 36
    remote.use(LocalNamedBroker())
    remote.use(LocalBackend())
    assert len(remote.register("one", add).call(1, 2).id) == 36
    assert remote.register("two", add, id_maker=IDMakerID.SEQ).call(1, 2).id == "1"


class Initials:
    """An id maker of the user."""

    def __init__(self) -> None:
        self.count = 0

    def new_id(self, name: str, /) -> str:
        self.count += 1
        return f"{name[0]}-{self.count}"


def test_an_id_maker_of_your_own_names_the_calls(local: App) -> None:
    local.add_id_maker(7, Initials())
    task = local.register("add", add)
    local.set_id_maker(task, 7)
    assert task.call(1, 2).id == "a-1"
    assert local.register("sum", add, id_maker=Initials()).call(1, 2).id == "s-1"


@pytest.mark.parametrize("id", [0, 1, 2, IDMakerID.SEQ, 7])
def test_the_id_of_an_id_maker_can_be_taken_once(local: App, id: int) -> None:
    local.add_id_maker(7 if id == 7 else 8, Initials())
    with pytest.raises(ConfigError, match=r"is taken: 0 to 2 are built in"):
        local.add_id_maker(id, Initials())


def test_what_cannot_make_ids_is_refused(local: App) -> None:
    with pytest.raises(ConfigError, match=r"new_id\(name\)"):
        local.add_id_maker(9, object())  # type: ignore[arg-type]  # refused at run time  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="whole number"):
        local.add_id_maker("9", Initials())  # type: ignore[arg-type]  # as above  # pyright: ignore[reportArgumentType]
    task = local.register("add", add)
    with pytest.raises(ConfigError, match="no id maker has the id 9"):
        local.set_id_maker(task, 9)


class Mine(JSONMarshaller, GenericInvoker):
    """A marshaller of the user that corrects types."""


class NoInvoker:
    """A marshaller that does not say how functions are called."""

    def __init__(self) -> None:
        json = JSONMarshaller()
        self.prepare, self.encode_task, self.decode_task = json.prepare, json.encode_task, json.decode_task
        self.encode_report, self.decode_report = json.encode_report, json.decode_report


def test_a_marshaller_of_your_own_must_be_an_invoker(local: App) -> None:
    with pytest.raises(ConfigError, match="must be an Invoker"):
        local.add_marshaller(9, NoInvoker())
    local.add_marshaller(-9, Mine())


@pytest.mark.parametrize("id", [*range(4), MarshallerID.JSONSAFE, 9])
def test_the_id_of_a_marshaller_can_be_taken_once(local: App, id: int) -> None:
    local.add_marshaller(9, Mine())
    with pytest.raises(ConfigError, match=r"is taken: 0 to 3 are built in"):
        local.add_marshaller(id, Mine())


def test_an_unknown_marshaller_is_refused_and_the_old_one_stays(local: App) -> None:
    task = local.register("add", add)
    for ids in ((9, 1), (1, 9)):
        with pytest.raises(ConfigError, match="no marshaller has the id 9: add it first"):
            local.set_marshaller(task, *ids)
    with pytest.raises(ConfigError, match="no marshaller has the id 9"):
        local.register("sum", add, marshaller=9)
    assert task.call(1, 2).get(SECONDS) == 3


@pytest.mark.parametrize("reports", list(MarshallerID), ids=lambda id: id.name)
@pytest.mark.parametrize("tasks", list(MarshallerID), ids=lambda id: id.name)
def test_every_pair_of_marshallers_carries_calls_and_reports(tasks: MarshallerID, reports: MarshallerID) -> None:
    with App(config=Config(marshal_locally=True)) as app:
        task = app.register("add", add)
        assert task.call(1, 2).get(SECONDS) == 3
        app.set_marshaller(task, tasks, reports)
        assert task.call(3, 4).get(SECONDS) == 7, "workers that run already take it up"

        @app.task(name="fail", marshaller=tasks, report_marshaller=reports)
        def fail(a: int) -> int:
            raise ValueError("no")

        with pytest.raises(TaskFailed, match="ValueError: no"):
            fail.call(1).get(SECONDS)


# use


@pytest.mark.parametrize("obj", [None, 1, "redis://", object()], ids=lambda obj: type(obj).__name__)
def test_what_is_no_adapter_is_refused(remote: App, obj: object) -> None:
    with pytest.raises(ConfigError, match="expected a broker or a backend"):
        remote.use(obj)


def test_a_local_app_takes_no_adapters(local: App) -> None:
    with pytest.raises(ConfigError, match=r"App\('remote'\)"):
        local.use(LocalBroker())


def test_use_returns_the_roles_that_are_played(remote: App) -> None:
    assert remote.use(LocalNamedBroker()) == Role.PRODUCER | Role.NAMED_CONSUMER
    assert remote.use(LocalBackend(), Role.STORE) == Role.STORE
    assert remote.use(LocalBackend(), Role.REPORTER) == Role.REPORTER


def test_consumer_means_the_named_one_where_there_is_one(remote: App) -> None:
    assert remote.use(LocalNamedBroker(), Role.CONSUMER) == Role.NAMED_CONSUMER


@pytest.mark.parametrize(
    ("obj", "roles", "said"),
    [
        (LocalBackend, Role.PRODUCER, "LocalBackend is no producer; it can be reporter and store"),
        (LocalBroker, Role.NAMED_CONSUMER, "LocalBroker is no named consumer"),
        (LocalBroker, Role.PRODUCER | Role.STORE, "LocalBroker is no store"),
        (LocalBroker, Role.MAPPER, "mapper is not a role an object can be attached for"),
    ],
)
def test_a_role_that_cannot_be_played_is_refused_and_nothing_attached(
    remote: App, obj: type[LocalBackend | LocalBroker], roles: Role, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        remote.use(obj(), roles)
    remote.use(LocalBroker())
    remote.use(LocalBackend())


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        (LocalBroker, LocalBroker),
        (LocalBroker, LocalNamedBroker),
        (LocalNamedBroker, LocalBroker),
        (LocalBackend, LocalBackend),
    ],
)
def test_a_role_is_taken_once_and_the_first_keeps_it(
    remote: App, taken: type[LocalBroker | LocalBackend], wanted: type[LocalBroker | LocalBackend]
) -> None:
    remote.use(taken())
    with pytest.raises(ConfigError, match="is attached already"):
        remote.use(wanted())


class Unwilling(LocalBroker):
    """A broker that cannot do what it looks like."""

    def expect(self, roles: Role) -> None:
        raise ConfigError("not today")


class Undeclared(LocalBroker):
    """A broker whose server is away."""

    def declare_task(self, name: str) -> None:
        raise ConfigError(f"cannot declare {name}")


@pytest.mark.parametrize("kind", [Unwilling, Undeclared])
def test_an_object_that_cannot_start_is_not_kept(remote: App, kind: type[LocalBroker]) -> None:
    remote.register("add", add)
    broken = kind()
    with pytest.raises(ConfigError, match=r"not today|cannot declare add"):
        remote.use(broken)
    remote.use(LocalBroker())
    remote.use(LocalBackend())
    remote.allocate("add")
    assert remote.call("add", 1, 2).get(SECONDS) == 3
    remote.close()
    assert not broken.waiting()
    broken.send([])  # still open: who was refused is not ours to close


class Declaring(LocalNamedBroker):
    def __init__(self) -> None:
        super().__init__()
        self.declared: list[str] = []
        self.closed = 0

    def declare_task(self, name: str) -> None:
        self.declared.append(name)

    def close(self) -> None:
        self.closed += 1
        super().close()

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        assert {parcel.meta.name for parcel in parcels} <= set(self.declared), "sent before it was declared"
        return super().send(parcels)


def test_tasks_are_declared_whether_the_broker_or_the_task_comes_first(remote: App) -> None:
    remote.register("before", add)
    broker = Declaring()
    remote.use(broker)
    remote.register("after", add)
    assert broker.declared == ["before", "after"]


def test_an_object_of_two_apps_is_closed_by_the_last_one() -> None:
    broker, backend = Declaring(), LocalBackend()
    caller, worker = App("remote"), App("remote")
    for app in (caller, worker):
        app.use(broker, Role.PRODUCER)
        app.use(broker, Role.CONSUMER)
        app.use(backend)
        app.register("add", add)
    worker.allocate("add")
    assert caller.call("add", 1, 2).get(SECONDS) == 3
    caller.close()
    assert broker.closed == 0
    assert worker.call("add", 1, 2).get(SECONDS) == 3
    worker.close()
    assert broker.closed == 1, "once, however many roles it played"
    assert running() == []


# allocate


@pytest.mark.parametrize(
    ("count", "share"), [(0, 1), (-1, 1), (1, -1), (True, 1), (1.0, 1), ("1", 1), (1, 1.5), (1, False)]
)
def test_bad_counts_are_refused_and_the_name_stays_usable(local: App, count: int, share: int) -> None:
    task = local.register("add", add)
    with pytest.raises(ConfigError, match="must be a whole number"):
        local.allocate(task, count, share)
    assert local.allocate(task) == 0
    assert task.call(1, 2).get(SECONDS) == 3


def test_workers_need_a_consumer_and_a_reporter(remote: App) -> None:
    task = remote.register("add", add)
    with pytest.raises(ConfigError, match=r"no reporter is attached: call app\.use\(backend\)"):
        remote.allocate(task)
    remote.use(LocalBackend())
    with pytest.raises(ConfigError, match=r"no consumer is attached: call app\.use\(broker\)"):
        remote.allocate(task)
    remote.use(LocalBroker())
    assert remote.allocate(task, 10, 3) == 0
    assert task.call(1, 2).get(SECONDS) == 3


def test_workers_without_reports_need_no_reporter(remote: App) -> None:
    remote.use(LocalBroker())
    task = remote.register("add", add, option=Option(ignore_report=True))
    assert remote.allocate(task) == 0
    task.call(1, 2)


def test_a_call_needs_a_producer_and_a_store(remote: App) -> None:
    task = remote.register("add", add)
    with pytest.raises(ConfigError, match="no producer is attached"):
        task.call(1, 2)
    broker = LocalBroker()
    remote.use(broker)
    with pytest.raises(ConfigError, match="no store is attached"):
        task.call(1, 2)
    assert broker.waiting() == 0
    task.with_options(ignore_report=True).call(1, 2)
    assert broker.waiting() == 1


@pytest.fixture
def working(no_threads_left: None) -> Iterator[Callable[..., threading.Thread]]:
    """Starts ``run_worker`` of an app in a thread; closes the app afterwards, whatever the test came to."""
    started: list[tuple[App, threading.Thread]] = []

    def start(app: App, *tasks: Task[..., object], count: int | None = None) -> threading.Thread:
        thread = threading.Thread(target=lambda: app.run_worker(*tasks, count=count))
        thread.start()
        started.append((app, thread))
        return thread

    yield start
    for app, thread in started:
        app.close()
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_run_worker_works_until_the_app_is_closed(working: Callable[..., threading.Thread]) -> None:
    app = App()
    task = app.register("add", add, workers=1)
    worker = working(app)
    until(lambda: len(running()) == 1)
    assert task.call(1, 2).get(SECONDS) == 3
    assert worker.is_alive()
    app.close()
    worker.join(SECONDS)
    assert not worker.is_alive()


def test_a_program_that_runs_workers_lets_them_finish_when_it_is_told_to_end() -> None:
    code = """
import threading, time
from typeddingo import App
app = App("local")
@app.task(name="slow")
def slow() -> int:
    print("begun", flush=True)
    time.sleep(0.5)
    print("ended", flush=True)
    return 1
threading.Timer(0.1, slow.call).start()
app.run_worker()
"""
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    program.terminate()
    assert program.communicate(timeout=20)[0] == "ended\n"
    assert program.returncode == 0


def test_run_worker_runs_what_it_is_told_to_with_as_many_workers(working: Callable[..., threading.Thread]) -> None:
    app = App("remote")
    app.use(LocalNamedBroker())
    app.use(LocalBackend())
    one, two = app.register("one", add), app.register("two", add)
    working(app, one, count=3)
    until(lambda: sum("worker" in name for name in running()) == 3)
    assert one.call(1, 2).get(SECONDS) == 3
    assert not two.call(1, 2).done


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 500, 5], ids=["empty", "lines", "long", "number"])
def test_a_name_that_could_not_travel_is_refused_at_once(local: App, name: Any) -> None:
    with pytest.raises(ConfigError, match="name: expected a text"):
        local.register(name, add)


@pytest.mark.parametrize("workers", [0, -1, True, 2.5, "4"])
def test_workers_are_a_whole_number_of_one_or_more(local: App, workers: Any) -> None:
    with pytest.raises(ConfigError, match="workers: expected a whole number"):
        local.register("add", add, workers=workers)


def test_an_option_is_an_option(local: App) -> None:
    with pytest.raises(ConfigError, match="option: expected an Option"):
        local.register("add", add, option=cast("Any", {"delay": 1}))


def test_no_workers_are_not_the_usual_number_of_workers(local: App) -> None:
    local.register("add", add)
    with pytest.raises(ConfigError):
        local.run_worker("add", count=0)


def test_an_app_may_take_as_long_as_it_likes_to_close() -> None:
    app = App("local", config=Config(shutdown_timeout=1e10))
    assert app.register("add", add).call(1, 2).get(5) == 3
    app.close()
