"""Tasks in child processes: they run as elsewhere, can be killed, and take nothing with them when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance import apart
from tests.acceptance.test_fork import in_a_child
from tests.leftovers import running
from tests.unit.by_hand import SECONDS
from typeddingo import (
    App,
    Config,
    ConfigError,
    ErrorCode,
    MarshallerID,
    Option,
    Status,
    TaskFailed,
    Tasks,
)
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.isolation.seat import LOOK_SECONDS
from typeddingo.message import Failure
from typeddingo.testing import eventually

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs Unix"),
    pytest.mark.timeout(180),
]

LONG = 60.0
"""A child imports a program first."""
SOON = 0.3


def by_reference() -> App:
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


def children() -> set[int]:
    """The processes that this one has started, zombies included."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and b"commands.isolated" in (stat.parent / "cmdline").read_bytes():
                found.add(int(stat.parent.name))
        except OSError:
            continue
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(params=[by_reference, through_codec, mapped, named], ids=lambda make: make.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    files = len(os.listdir("/proc/self/fd"))
    make: Callable[[], App] = request.param
    with make() as app:
        yield app
    assert running() == []
    assert children() == set()
    assert len(os.listdir("/proc/self/fd")) <= files


@pytest.fixture
def alone() -> Iterator[App]:
    """For what is the same in every mode."""
    with by_reference() as app:
        yield app
    assert running() == []
    assert children() == set()


def failure_of(task: Callable[[], object]) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        task()
    return caught.value


def test_functions_run_in_children_that_stay(app: App) -> None:
    add = app.register("add", apart.add, isolation="process")
    pid = app.register("pid", apart.pid, isolation="process", workers=1)
    later = app.register("later", apart.later, isolation="process")
    total = app.register("total", apart.total, isolation="process")
    for task in (add, later, total):
        app.allocate(task)
    app.allocate(pid)
    assert add.call(1).get(LONG) == 2
    assert [add.call(number, b=number).get(LONG) for number in range(20)] == [2 * number for number in range(20)]
    assert later.call(1).get(LONG) == 2
    orders = (apart.Order("a", 1), apart.Order("b", 2))
    assert total.call(*orders, start=3).get(LONG) == apart.Order("a+b", 6)
    pids = {pid.call().get(LONG) for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_each_worker_has_a_child(alone: App) -> None:
    waits = alone.register("spins", apart.spins, isolation="process", timeout=1)
    alone.allocate(waits, 3)
    results = [waits.call() for _ in range(3)]
    eventually(lambda: len(children()) == 3, "three children", LONG)
    assert {result.wait(LONG).failed for result in results} == {True}


def test_what_a_task_raises_is_a_failure_as_elsewhere(app: App) -> None:
    fails = app.register("fails", apart.fails, isolation="process")
    wrong = app.register("wrong", apart.wrong, isolation="process")
    for task in (fails, wrong):
        app.allocate(task)
    failure = failure_of(lambda: fails.call("äöü").get(LONG))
    assert (failure.code, failure.exception_type, failure.message) == (ErrorCode.PANIC, "ValueError", "äöü")
    assert "raise ValueError(message)" in failure.traceback
    assert failure_of(lambda: wrong.call().get(LONG)).code is ErrorCode.RETURN


def test_the_context_is_there(app: App) -> None:
    reports = app.register("reports", apart.reports, isolation="process", context=True)
    app.allocate(reports)
    result = reports.with_options(monitor_progress=True).call(3)
    seen = list(result.reports(LONG))
    assert [report.progress for report in seen if report.progress] == [(1, 3), (2, 3), (3, 3), (4, None)]
    assert [report.status for report in seen if not report.progress] == [Status.SENT, Status.PROGRESS, Status.SUCCESS]
    assert result.get(0) == f"reports {result.id} 1"


def test_a_soft_limit_ends_it_in_the_child_which_stays(app: App) -> None:
    spins = app.register("spins", apart.spins, isolation="process", timeout=SOON, hard_timeout=LONG)
    never = app.register("never", apart.never, isolation="process", timeout=SOON)
    for task in (spins, never):
        app.allocate(task)
        for _ in range(2):
            failure = task.call().wait(LONG).error
            assert failure is not None
            assert failure.code is ErrorCode.TIME_LIMIT
    assert "time.monotonic() < end" in failure_of(lambda: spins.call().get(LONG)).traceback


def test_a_task_that_ignores_its_limit_is_killed_with_its_process(app: App, tmp_path: Path) -> None:
    stubborn = app.register("stubborn", apart.stubborn, isolation="process", timeout=SOON / 2, hard_timeout=SOON)
    app.allocate(stubborn)
    pids: set[int] = set()
    for number in range(2):
        note = tmp_path / str(number)
        failure = stubborn.call(str(note)).wait(LONG).error
        assert failure is not None
        assert failure.code is ErrorCode.HARD_TIME_LIMIT
        assert failure.message == "it ran for longer than its hard time limit of 0.3 s; its process was killed"
        pids.add(int(note.read_text()))
    assert len(pids) == 2
    assert not any(lives(pid) for pid in pids)


@pytest.mark.parametrize(
    ("how", "told"), [("exits", "it ended with exit code 3"), ("is killed", "it was killed by SIGKILL")]
)
def test_a_child_that_dies_is_a_typed_failure_and_the_next_task_gets_another(app: App, how: str, told: str) -> None:
    dies = app.register("dies", apart.dies, isolation="process")
    app.allocate(dies)
    for _ in range(2):
        failure = failure_of(lambda: dies.call(how).get(LONG))
        assert (failure.code, failure.exception_type) == (ErrorCode.CHILD_DIED, "ChildProcessError")
        assert failure.message == f"the process that ran it died: {told}"
    assert dies.call("not at all").get(LONG) is None


def test_sys_exit_ends_the_task_and_not_the_child(alone: App) -> None:
    dies = alone.register("dies", apart.dies, isolation="process")
    failure = failure_of(lambda: dies.call("leaves").get(LONG))
    assert (failure.code, failure.exception_type) == (ErrorCode.PANIC, "SystemExit")


def test_what_a_killed_task_has_started_is_killed_too(alone: App, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = alone.register("task", apart.has_a_child_of_its_own, isolation="process", hard_timeout=2)
    assert failure_of(lambda: task.call(str(note)).get(LONG)).code is ErrorCode.HARD_TIME_LIMIT
    pid = int(note.read_text())
    eventually(lambda: not lives(pid), "it has ended", SECONDS)


def test_a_fork_that_a_dead_task_has_left_keeps_nobody_waiting(alone: App, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = alone.register("task", apart.leaves_a_fork, isolation="process")
    try:
        assert failure_of(lambda: task.call(str(note)).get(LONG)).message.endswith("exit code 5")
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


def test_progress_of_a_thread_that_a_task_has_left_behind_goes_nowhere(alone: App) -> None:
    late = alone.register("late", apart.leaves_a_thread_that_reports, isolation="process", context=True)
    alone.allocate(late)
    for _ in range(20):
        result = late.with_options(monitor_progress=True).call()
        assert result.wait(LONG).ok
    seen = late.with_options(monitor_progress=True).call().reports(LONG)
    assert len([report for report in seen if report.progress]) <= 50


def test_running_tasks_are_told_of_the_end_and_may_end_in_peace(app: App, tmp_path: Path) -> None:
    waits = app.register("waits", apart.waits_for_the_end, isolation="process")
    app.allocate(waits)
    result = waits.call(str(tmp_path / "here"))
    eventually(lambda: (tmp_path / "here").exists(), "it runs", LONG)
    app.close(LONG)
    assert result.get(SECONDS) == "ended in peace"


def test_what_has_not_ended_by_the_deadline_is_killed(app: App, tmp_path: Path) -> None:
    stubborn = app.register("stubborn", apart.stubborn, isolation="process")
    app.allocate(stubborn)
    note = tmp_path / "here"
    result = stubborn.call(str(note))
    eventually(lambda: note.exists() and note.read_text(), "it runs", LONG)
    app.close(0.1)
    assert running() == []
    assert not lives(int(note.read_text()))
    assert failure_of(lambda: result.get(SECONDS)).code is ErrorCode.SHUTDOWN


def test_a_running_task_can_be_killed_by_whoever_knows_it(app: App, tmp_path: Path) -> None:
    stubborn = app.register("stubborn", apart.stubborn, isolation="process")
    app.allocate(stubborn)
    note = tmp_path / "here"
    result = stubborn.call(str(note))
    eventually(lambda: note.exists() and note.read_text(), "it runs", LONG)
    children_of = app._runtime.children  # pyright: ignore[reportPrivateUsage]  # what cancellation uses
    why = Failure(ErrorCode.CANCELLED, "somebody did not want it")
    assert not children_of.kill(("stubborn", "another"), why)
    assert children_of.kill(("stubborn", result.id), why)
    failure = failure_of(lambda: result.get(SECONDS))
    assert (failure.code, failure.message) == (ErrorCode.CANCELLED, "somebody did not want it")
    assert not lives(int(note.read_text()))
    assert not children_of.kill(("stubborn", result.id), why)


def test_a_cancelled_task_is_killed(app: App, tmp_path: Path) -> None:
    stubborn = app.register("stubborn", apart.stubborn, isolation="process")
    app.allocate(stubborn)
    note = tmp_path / "here"
    result = stubborn.call(str(note))
    eventually(lambda: note.exists() and note.read_text(), "it runs", LONG)
    result.cancel()
    assert failure_of(lambda: result.get(SECONDS)).code is ErrorCode.CANCELLED
    eventually(lambda: not lives(int(note.read_text())), "its process has ended", SECONDS)


@pytest.mark.parametrize("marshaller", [MarshallerID.MSGPACK, MarshallerID.JSONSAFE])
def test_every_marshaller_goes_that_way(app: App, marshaller: MarshallerID) -> None:
    total = app.register("total", apart.total, isolation="process", marshaller=marshaller, report_marshaller=marshaller)
    app.allocate(total)
    assert total.call(apart.Order("a", 1), start=1).get(LONG) == apart.Order("a", 2)


def test_large_values_go_both_ways(alone: App) -> None:
    echo = alone.register("echo", apart.echo, isolation="process", hard_timeout=LONG)
    data = bytes(range(256)) * 4 * 1024 * 4
    assert echo.call(data).get(LONG) == data
    assert echo.call(b"small").get(LONG) == b"small"


def test_a_failed_task_is_retried_as_its_policy_says(tmp_path: Path) -> None:
    """Of a collection, which the child does not see included: it knows the policy all the same."""
    with named() as app:
        app.include(apart.tasks)
        app.allocate("moody")
        app.allocate("mortal")
        assert app.call("moody", str(tmp_path / "moody")).get(LONG) == 3
        assert (tmp_path / "moody").read_text() == "1 2 3 "
        failure = failure_of(lambda: app.call("mortal", str(tmp_path / "mortal")).get(LONG))
        assert (failure.code, failure.message) == (ErrorCode.PANIC, "not again")
        assert (tmp_path / "mortal").read_text() == "xxx"


def test_an_idle_child_that_is_killed_costs_no_task_anything(alone: App) -> None:
    pid = alone.register("pid", apart.pid, isolation="process")
    alone.allocate(pid)
    first = pid.call().get(LONG)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not lives(first), "it is dead", SECONDS)
    time.sleep(2 * LOOK_SECONDS)
    assert pid.call().get(LONG) != first


def test_a_fork_of_the_worker_has_children_of_its_own(alone: App) -> None:
    pid = alone.register("pid", apart.pid, isolation="process", workers=1)
    first = pid.call().get(LONG)
    assert in_a_child(lambda: pid.call().get(LONG) != first) == "True"
    assert pid.call().get(LONG) == first


def test_a_task_may_print_and_is_heard_though_it_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "loud.py"
    program.write_text(
        "import time\n"
        "from typeddingo import App\n"
        "from tests.acceptance import apart\n"
        "if __name__ == '__main__':\n"
        "    with App('local') as app:\n"
        "        app.register('talks', apart.talks, isolation='process', workers=1).call('hello').get(60)\n"
        "        app.close(0)\n",
        encoding="utf-8",
    )
    done = run(program)
    assert (done.stderr, done.stdout) == ("", "hello")


def test_nobody_listens_to_a_task_without_reports(app: App, tmp_path: Path) -> None:
    waits = app.register("waits", apart.stubborn, isolation="process", option=Option(ignore_report=True))
    app.allocate(waits)
    waits.call(str(tmp_path / "here"))
    eventually((tmp_path / "here").exists, "it runs", LONG)
    app.close(0.1)


# over a server


@pytest.fixture(params=["redis", "amqp"])
def served(request: pytest.FixtureRequest) -> Iterator[App]:
    url: str = request.getfixturevalue(f"{request.param}_url")
    with App(url) as app:
        yield app
    assert running() == []
    assert children() == set()


@pytest.mark.servers
def test_over_a_server_tasks_run_in_children_are_limited_and_die_alone(served: App, tmp_path: Path) -> None:
    add = served.register("add", apart.add, isolation="process")
    reports = served.register("reports", apart.reports, isolation="process", context=True)
    dies = served.register("dies", apart.dies, isolation="process")
    stubborn = served.register("stubborn", apart.stubborn, isolation="process", hard_timeout=SOON)
    for task in (add, reports, dies, stubborn):
        served.allocate(task, 2)
    assert [add.call(number).get(LONG) for number in range(20)] == list(range(1, 21))
    seen = list(reports.with_options(monitor_progress=True).call(3).reports(LONG))
    assert [report.progress for report in seen if report.progress] == [(1, 3), (2, 3), (3, 3), (4, None)]
    assert failure_of(lambda: dies.call("is killed").get(LONG)).code is ErrorCode.CHILD_DIED
    assert dies.call("not at all").get(LONG) is None
    failure = failure_of(lambda: stubborn.call(str(tmp_path / "here")).get(LONG))
    assert failure.code is ErrorCode.HARD_TIME_LIMIT


@pytest.mark.servers
def test_over_a_server_what_runs_at_the_deadline_is_killed_and_given_back(served: App, tmp_path: Path) -> None:
    waits = served.register("waits", apart.stubborn, isolation="process")
    served.allocate(waits)
    note = tmp_path / "here"
    result = waits.call(str(note))
    eventually(lambda: note.exists() and note.read_text(), "it runs", LONG)
    inspector = served._inspector()  # pyright: ignore[reportPrivateUsage]  # what the command line uses
    eventually(lambda: inspector.queue("waits").running == 1, "the server knows", SECONDS)
    url = served._where  # pyright: ignore[reportPrivateUsage]  # as above
    served.close(0.1)
    assert not lives(int(note.read_text()))
    assert failure_of(lambda: result.get(SECONDS)).code is ErrorCode.SHUTDOWN
    with App(url) as other:
        inspector = other._inspector()  # pyright: ignore[reportPrivateUsage]  # as above
        eventually(lambda: inspector.queue("waits").waiting == 1, "it waits for another worker", SECONDS)


# a program that is run by its file


PROGRAM = """\
import os
import sys
from pathlib import Path

from typeddingo import App, Context, Retry, current_context

print("imported as", __name__, flush=True)
app = App("local")


@app.task(isolation="process", retries=2, backoff=0, workers=1)
def moody(file: str) -> int:
    with open(file, "a") as tries:
        tries.write(current_context().name + "\\n")
    count = len(Path(file).read_text().splitlines())
    if count == 1:
        raise ConnectionError("again")
    if count == 2:
        raise Retry(after=0.01)
    return count


@app.task(isolation="process", retries=2, backoff=0, workers=1, retry_on=(ChildProcessError,))
def mortal(file: str) -> int:
    with open(file, "a") as tries:
        tries.write("x")
    if len(Path(file).read_text()) < 3:
        os._exit(1)
    return len(Path(file).read_text())


@app.task
def inner(number: int) -> int:
    return -number


@app.task(isolation="process", workers=1)
def outer(number: int) -> int:
    return inner.call(number).get(20)


def plain(number: int) -> int:
    print("plain", number)
    return number


if __name__ == "__main__":
    with app:
        late = app.register("late", plain, isolation="process", workers=1)
        print(moody.call(sys.argv[1] + ".1").get(60), flush=True)
        print(mortal.call(sys.argv[1] + ".2").get(60), flush=True)
        print(outer.call(5).get(60), flush=True)
        print(late.call(6).get(60), flush=True)
"""


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(program), *arguments]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)


def test_a_program_that_is_run_by_its_file_is_found_again(tmp_path: Path) -> None:
    program = tmp_path / "our-program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = run(program, str(tmp_path / "tries"))
    assert done.stderr == ""
    once = "imported as our-program\n"
    assert done.stdout == f"imported as __main__\n{once}3\n{once}{once}{once}3\n{once}-5\n{once}plain 6\n6\n"
    assert (tmp_path / "tries.1").read_text() == "our-program.moody\n" * 3


@pytest.mark.parametrize("start", ["app.allocate(plain)", "plain.call(1)", "app.run_worker()"])
def test_a_program_that_starts_while_it_is_imported_is_told_what_to_write(tmp_path: Path, start: str) -> None:
    program = tmp_path / "careless.py"
    program.write_text(
        "from typeddingo import App\n"
        "app = App('local')\n"
        "@app.task(isolation='process')\n"
        "def plain(number: int) -> int:\n    return number\n"
        f"if __name__ != '__main__':\n    {start}\n"
        "print(plain.call(1).wait(60).error)\n"
        "app.close()\n",
        encoding="utf-8",
    )
    done = run(program)
    assert done.stderr == ""
    assert "careless.py:7" in done.stdout
    assert 'belongs under if __name__ == "__main__":' in done.stdout


def test_a_program_that_cannot_be_imported_again_says_why(tmp_path: Path) -> None:
    program = tmp_path / "moody.py"
    program.write_text(
        "from typeddingo import App\n"
        "if __name__ != '__main__':\n    raise RuntimeError('not twice')\n"
        "app = App('local')\n"
        "@app.task(isolation='process')\n"
        "def plain(number: int) -> int:\n    return number\n"
        "print(plain.call(1).wait(60).error)\n"
        "app.close()\n",
        encoding="utf-8",
    )
    done = run(program)
    assert done.stderr == ""
    assert "moody cannot be imported" in done.stdout
    assert "RuntimeError: not twice" in done.stdout


def test_what_was_typed_at_a_prompt_is_refused() -> None:
    typed = (
        "from typeddingo import App\n"
        "app = App('local')\n"
        "def plain() -> None: ...\n"
        "app.register('plain', plain, isolation='process').call()\n"
    )
    done = subprocess.run([sys.executable, "-c", typed], capture_output=True, text=True, check=False, timeout=60)
    assert "ConfigError: task 'plain' cannot be found by a child process: this program was not started" in done.stderr


# what cannot be found


def test_what_has_no_name_at_the_top_of_a_module_is_refused_at_once(alone: App) -> None:
    def inner() -> None: ...

    class Service:
        def method(self) -> None: ...

    class Callable_:
        def __call__(self) -> None: ...

    refused: list[tuple[Callable[[], None], str]] = [
        (inner, "a function inside a function"),
        (lambda: None, "a lambda"),
        (Service().method, "a method"),
        (Callable_(), "an object of type Callable_"),
    ]
    for fn, what in refused:
        with pytest.raises(ConfigError, match=f"task 'x' is {what}.*write it with def, at the top level of a module"):
            alone.register("x", fn, isolation="process")
    tasks = Tasks()
    with pytest.raises(ConfigError, match="a method"):

        class Other(Service):  # pyright: ignore[reportUnusedClass]  # it does not come to be
            @tasks.task(name="x", isolation="process")
            def other(self) -> None: ...


def hidden() -> None: ...


def test_a_function_whose_name_stands_for_something_else_is_refused_when_workers_start(
    alone: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = alone.register("hidden", hidden, isolation="process")
    monkeypatch.setattr(sys.modules[__name__], "hidden", 5)
    for start in (lambda: alone.allocate(task), task.call):
        with pytest.raises(ConfigError, match=r"there is something else at .*test_isolation\.hidden"):
            start()
    monkeypatch.delattr(sys.modules[__name__], "hidden")
    with pytest.raises(ConfigError, match="there is nothing of that name"):
        alone.allocate(task)
    monkeypatch.setattr(sys.modules[__name__], "hidden", None, raising=False)


def test_settings_that_do_not_go_together_are_refused(alone: App) -> None:
    with pytest.raises(ConfigError, match='give the task isolation="process" as well'):
        alone.register("add", apart.add, hard_timeout=1)
    with pytest.raises(ConfigError, match="expected more seconds than timeout"):
        alone.register("add", apart.add, isolation="process", hard_timeout=1, timeout=1)
    with pytest.raises(ConfigError, match="hard_timeout: expected a number of seconds"):
        alone.register("add", apart.add, isolation="process", hard_timeout=0)
    with pytest.raises(ConfigError, match='isolation: expected "process"'):
        alone.register("add", apart.add, isolation="thread")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # on purpose


def test_a_hard_limit_longer_than_the_broker_waits_is_refused_when_workers_start() -> None:
    class Impatient(LocalNamedBroker):
        @property
        def longest_run(self) -> float:
            return 60.0

    with App("remote") as app:
        app.use(Impatient())
        app.use(LocalBackend())
        with pytest.raises(ConfigError, match="hard_timeout of 60 s is no shorter than the 60 s"):
            app.allocate(app.register("add", apart.add, isolation="process", hard_timeout=60))
