"""``typeddingo worker`` supervises its processes, ends as it is told to, and says what it does."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from tests.cli.commands import Worker, is_alive, run
from typeddingo.testing import eventually

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow  # each starts three processes, and some wait for what must not happen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(HERE / "crew.py", tmp_path / "crew.py")
    return tmp_path


def give(folder: Path, *calls: str) -> None:
    """One process takes these."""
    (folder / "new").write_text("\n".join(calls) + "\n")
    os.rename(folder / "new", folder / "calls")


# what it says


def test_it_says_what_it_runs_and_a_line_for_each_task(folder: Path) -> None:
    with Worker(folder, "crew:app", "--tasks", "crew.double,crew.refuse") as worker:
        worker.until("crew:app: 2 of 6 tasks, 1 process")
        worker.until("runs crew.double(number: int) -> int, queue 'crew.double', 2 workers a process")
        worker.until("runs async crew.refuse(secret: str) -> None, queue 'crew.refuse', 3 workers a process")
        give(folder, "double 4567890123", "refuse hush")
        done = worker.until("crew.double id=")
        assert re.search(r" INFO .*crew\.double id=[0-9a-f-]{36} SUCCESS in \d+\.\d{3} s, attempt 1$", done)
        assert re.search(r" FAIL in \d+\.\d{3} s, attempt 1, ValueError$", worker.until("crew.refuse id="))
        assert not worker.saying("crew.sleep")
        assert worker.stop() == 0
    assert not worker.saying("9135780246")
    assert not worker.saying("4567890123")
    assert not worker.saying("hush")


def test_concurrency_is_workers_of_a_task_in_each_process(folder: Path) -> None:
    with Worker(folder, "crew:app", "--concurrency", "5", "--processes", "2") as worker:
        worker.until("2 processes")
        worker.until("runs", times=6)
        assert len(worker.saying("runs", ", 5 workers a process")) == 6


def test_in_json_every_line_is_an_object(folder: Path) -> None:
    with Worker(folder, "crew:app", "--log-format", "json") as worker:
        worker.until("runs crew.spawn")
        give(folder, "double 1", "refuse hush")
        worker.until("SUCCESS")
        worker.until("FAIL")
        give(folder, "die 7")
        worker.until("is ready")
        assert worker.stop() == 0
    said = [json.loads(line) for line in worker.lines]
    for line in said:
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
        assert {"level", "logger", "message", "pid"} <= line.keys()
    [success] = [line for line in said if line.get("status") == "SUCCESS"]
    assert (success["task"], success["attempt"], success["level"]) == ("crew.double", 1, "INFO")
    assert 0 <= success["seconds"] < 5
    assert len(success["id"]) == 36
    [failure] = [line for line in said if line.get("status") == "FAIL"]
    assert (failure["task"], failure["error"], failure["level"]) == ("crew.refuse", "ValueError", "WARNING")
    [signature] = [line for line in said if line.get("task") == "crew.double" and "signature" in line]
    assert (signature["signature"], signature["workers"]) == ("(number: int) -> int", 2)
    [end] = [line for line in said if "exit" in line]
    assert (end["exit"], end["level"], end["logger"]) == (7, "WARNING", "typeddingo.supervisor")
    assert "hush" not in "".join(worker.lines)


def test_the_log_level_is_kept(folder: Path) -> None:
    with Worker(folder, "crew:app", "--log-level", "warning") as worker:
        give(folder, "mark here", "refuse hush")
        worker.until("crew.refuse")
        eventually((folder / "here").exists)
        assert worker.stop() == 0
    assert [line for line in worker.lines if " WARNING " not in line] == []


# who lives


def test_a_process_that_dies_is_replaced_and_the_others_work_on(folder: Path) -> None:
    with Worker(folder, "crew:app", "--processes", "2") as worker:
        eventually(lambda: len(worker.children()) == 2)
        worker.until("is ready")
        before = set(worker.children())
        give(folder, "die 9")
        worker.until("ended with exit code 9")
        worker.until("is ready", times=2)
        after = set(worker.children())
        assert len(after) == 2
        assert len(after & before) == 1
        [victim] = after & before
        os.kill(victim, signal.SIGKILL)
        worker.until(f"process {victim} was killed by SIGKILL")
        worker.until("is ready", times=3)
        give(folder, "double 1")
        worker.until("crew.double id=")


def test_one_that_dies_again_and_again_is_restarted_ever_more_slowly(folder: Path) -> None:
    (folder / "crew.py").write_text("import os\nos._exit(4)\n")
    with Worker(folder, "crew:app") as worker:
        worker.until("ended with exit code 4", times=6)
        pauses = [float(re.findall(r"in (\d+\.\d) s", line)[0]) for line in worker.saying("exit code 4")]
        assert worker.stop() == 0
    assert max(pauses) <= 10
    assert min(pauses) >= 0.1
    assert sum(pauses[3:6]) > sum(pauses[:3])


def test_a_mistake_in_the_app_ends_the_command_and_is_said_once(folder: Path) -> None:
    (folder / "crew.py").write_text("from typeddingo import App\napp = App('remote')\n@app.task\ndef f(x): ...\n")
    done = run(folder, "worker", "crew:app", "--processes", "2")
    assert done.code == 2
    assert done.err.count("parameter 'x' has no annotation") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from typeddingo import App\napp = App('remote')\n", "crew:app has no tasks"),
        (
            "from typeddingo import App\napp = App('remote')\n@app.task\ndef f() -> None: ...\n",
            "no reporter is attached",
        ),
    ],
)
def test_an_app_that_cannot_be_worked_for_ends_the_command(folder: Path, text: str, said: str) -> None:
    (folder / "crew.py").write_text(text)
    done = run(folder, "worker", "crew:app")
    assert done.code == 2
    assert said in done.err


def test_a_task_that_is_not_there_ends_the_command(folder: Path) -> None:
    done = run(folder, "worker", "crew:app", "--tasks", "crew.double,crew.treble")
    assert done.code == 2
    assert "no task is called 'crew.treble'; there are: crew.die, crew.double" in done.err


def test_the_tasks_of_a_queue_are_run_alone(folder: Path) -> None:
    text = (folder / "crew.py").read_text().replace("@app.task\ndef double", '@app.task(queue="sums")\ndef double')
    (folder / "crew.py").write_text(text)
    with Worker(folder, "crew:app", "--queues", "sums") as worker:
        worker.until("crew:app: 1 of 6 tasks, 1 process")
        worker.until("runs crew.double(number: int) -> int, queue 'crew.double' of 'sums', 2 workers a process")
        give(folder, "double 21")
        worker.until("crew.double id=", "SUCCESS")
        assert worker.stop() == 0
    done = run(folder, "worker", "crew:app", "--queues", "sums,mail")
    assert done.code == 2
    assert "no task has queue='mail'; there are: default, sums" in done.err


LIFE = """
from contextlib import contextmanager
from pathlib import Path

@contextmanager
def life():
    if Path("no database").exists():
        raise OSError("no route to the database")
    Path("alive").touch()
    yield
    Path("alive").unlink()

"""


def live(folder: Path) -> None:
    text = (folder / "crew.py").read_text()
    head, app, rest = text.partition('app = App("remote"')
    (folder / "crew.py").write_text(head + LIFE + app + ", lifespan=life" + rest)


def test_a_lifespan_that_cannot_be_entered_ends_the_command_with_a_code_of_its_own(folder: Path) -> None:
    live(folder)
    (folder / "no database").touch()
    done = run(folder, "worker", "crew:app", "--processes", "2")
    assert done.code == 5
    said = "no worker was started: the app's lifespan raised OSError: no route to the database"
    assert done.err.count(said) == 1
    assert "is ready" not in done.err


def test_a_process_that_is_replaced_waits_until_its_lifespan_can_be_entered(folder: Path) -> None:
    live(folder)
    with Worker(folder, "crew:app") as worker:
        worker.until("runs crew.double")
        assert (folder / "alive").exists()
        (folder / "no database").touch()
        give(folder, "die 3")
        worker.until("ended with exit code 3; a new one starts")
        worker.until("ended with exit code 5; a new one starts")
        (folder / "no database").unlink()
        worker.until("is ready")
        assert worker.stop() == 0
        assert not (folder / "alive").exists()


# how it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_tasks_finish(folder: Path, number: int) -> None:
    with Worker(folder, "crew:app", "--processes", "2") as worker:
        worker.until("is ready")
        give(folder, "sleep 1.5")
        eventually((folder / "begun").exists)
        assert worker.stop(number) == 0
    assert len(worker.saying("crew.sleep id=", "SUCCESS")) == 1
    assert len(worker.saying("takes no more tasks")) == 2


def test_a_signal_to_the_whole_group_is_one_signal(folder: Path) -> None:
    """Ctrl-C and service managers tell every process: the workers must not take it for a second one."""
    with Worker(folder, "crew:app") as worker:
        worker.until("runs crew.spawn")
        give(folder, "sleep 1.5")
        eventually((folder / "begun").exists)
        for pid in worker.children():
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        assert worker.stop() == 0
    assert worker.saying("crew.sleep id=", "SUCCESS")


def test_what_runs_beyond_the_deadline_is_cut_off_and_told(folder: Path) -> None:
    with Worker(folder, "crew:app", "--deadline", "0.5") as worker:
        worker.until("runs crew.spawn")
        give(folder, "sleep 60.0")
        eventually((folder / "begun").exists)
        started = monotonic()
        assert worker.stop() == 1
        assert monotonic() - started < 2.5
    assert worker.saying("WARNING", "SHUTDOWN crew.sleep")


def test_a_process_that_does_not_end_is_killed_with_what_it_started(folder: Path) -> None:
    """The task ignores everything, and so does the program that it waits for."""
    crew = (folder / "crew.py").read_text()
    hangs = "\nimport atexit\natexit.register(time.sleep, 60)\n"
    (folder / "crew.py").write_text(crew + hangs)
    with Worker(folder, "crew:app", "--deadline", "0.2") as worker:
        worker.until("runs crew.spawn")
        give(folder, "spawn 61.5")
        [child] = worker.children()
        eventually(lambda: Path(f"/proc/{child}/task").exists() and programs_of(child))
        [program] = programs_of(child)
        started = monotonic()
        assert worker.stop() == 1
        assert monotonic() - started < 3
        assert worker.saying(f"process {child} did not end in time: killed")
        eventually(lambda: not is_alive(program) and not is_alive(child))


def programs_of(pid: int) -> list[int]:
    """What any of its threads has started."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (thread / "children").read_text().split()]
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(folder: Path, number: int, code: int) -> None:
    with Worker(folder, "crew:app", "--deadline", "50") as worker:
        worker.until("runs crew.spawn")
        give(folder, "sleep 60.0")
        eventually((folder / "begun").exists)
        children = worker.children()
        worker.send(signal.SIGTERM)
        worker.until("takes no more tasks")
        started = monotonic()
        assert worker.stop(number) == code
        assert monotonic() - started < 1
    assert not any(map(is_alive, children))


def test_a_process_ends_with_its_supervisor_and_finishes_its_task(folder: Path) -> None:
    with Worker(folder, "crew:app", "--processes", "2") as worker:
        worker.until("is ready")
        give(folder, "sleep 1.0")
        eventually((folder / "begun").exists)
        children = worker.children()
        assert len(children) == 2
        worker.stop(signal.SIGKILL)
        eventually(lambda: not any(map(is_alive, children)))
    assert worker.saying("crew.sleep id=", "SUCCESS")


def test_a_task_that_hangs_does_not_outlive_the_supervisor_for_ever(folder: Path) -> None:
    crew = (folder / "crew.py").read_text()
    (folder / "crew.py").write_text(crew + "\nimport atexit\natexit.register(time.sleep, 60)\n")
    with Worker(folder, "crew:app", "--deadline", "0.1") as worker:
        worker.until("runs crew.spawn")
        [child] = worker.children()
        worker.send(signal.SIGKILL)
        eventually(lambda: not is_alive(child), timeout=6)


# what a process has of its supervisor: nothing but the link


ASIDE = """
import atexit, gc, sys
print("imported by", os.getpid(), "of group", os.getpgrp(), "and reads", repr(sys.stdin.read()), flush=True)
atexit.register(lambda: print("ended", os.getpid(), flush=True))

@app.task
def collects() -> tuple[bool, int]:
    return gc.isenabled(), gc.get_threshold()[0]
"""


def test_a_process_leads_a_group_reads_nothing_and_ends_as_programs_do(folder: Path) -> None:
    touched(folder / "crew.py", "\n\ndef send()", f"\n{ASIDE}\n\ndef send()")
    with Worker(folder, "crew:app", "--processes", "2") as worker:
        worker.until("is ready")
        children = worker.children()
        for child in children:
            assert worker.saying(f"imported by {child} of group {child} and reads ''")
        assert worker.stop() == 0
    assert sorted(worker.saying("ended")) == sorted(f"ended {child}\n" for child in children)


def test_a_signal_that_comes_while_a_process_begins_ends_it_all_the_same(folder: Path) -> None:
    for _ in range(5):
        with Worker(folder, "crew:app", "--processes", "2") as worker:
            eventually(worker.children, "one has begun")
            assert worker.stop() == 0
        assert not worker.saying("killed")


def test_python_looks_for_garbage_as_ever_once_the_workers_have_started(folder: Path) -> None:
    touched(folder / "crew.py", "\n\ndef send()", f"\n{ASIDE}\n\ndef send()")
    touched(folder / "crew.py", '"mark": mark.call,', '"mark": mark.call, "told": tell,')
    touched(
        folder / "crew.py",
        "\n\ndef poll()",
        "\n\ndef tell(value: object) -> None:\n    print(value, collects.call().get(5), flush=True)\n\n\ndef poll()",
    )
    with Worker(folder, "crew:app") as worker:
        worker.until("runs crew.collects")
        give(folder, "told usual")
        worker.until(f"usual (True, {gc.get_threshold()[0]})")
        assert worker.stop() == 0


# --reload


def touched(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def test_a_changed_source_starts_the_processes_again(folder: Path) -> None:
    (folder / "part.py").write_text("FACTOR = 2\n")
    touched(folder / "crew.py", "import os\n", "import os\nfrom part import FACTOR\n")
    touched(folder / "crew.py", "return 2 * number", "print('gives', FACTOR * number, flush=True); return 0")
    with Worker(folder, "crew:app", "--reload", "--processes", "2") as worker:
        worker.until("is ready")
        before = worker.children()
        give(folder, "double 5")
        worker.until("gives 10")
        worker.until("crew.double id=")
        (folder / "part.py").write_text("FACTOR = 300\n")
        worker.until("part.py changed: starts again")
        worker.until("crew:app: 6 of 6 tasks", times=2)
        worker.until("is ready", times=2)
        assert set(worker.children()).isdisjoint(before)
        give(folder, "double 5")
        worker.until("gives 1500")
        assert worker.stop() == 0


def test_a_broken_source_is_waited_for(folder: Path) -> None:
    whole = (folder / "crew.py").read_text()
    (folder / "crew.py").write_text("def f(:\n")
    with Worker(folder, "crew:app", "--reload") as worker:
        worker.until("waits until a source changes")
        assert worker.saying("SyntaxError")
        (folder / "crew.py").write_text(whole)
        worker.until("runs crew.spawn")
        (folder / "crew.py").write_text(whole + "\nprice = 1 / 0\n")
        worker.until("waits until a source changes", times=2)
        assert worker.saying("ZeroDivisionError")
        (folder / "crew.py").write_text(whole)
        worker.until("runs crew.spawn", times=2)
        assert worker.stop() == 0


def test_a_module_that_is_not_there_is_not_waited_for(folder: Path) -> None:
    assert run(folder, "worker", "nowhere:app", "--reload").code == 2


def test_without_reload_a_changed_source_changes_nothing(folder: Path) -> None:
    with Worker(folder, "crew:app") as worker:
        worker.until("runs crew.spawn")
        before = worker.children()
        touched(folder / "crew.py", "2 * number", "3 * number")
        looked_often = monotonic() + 1.2
        eventually(lambda: monotonic() > looked_often)
        assert worker.children() == before
    assert not worker.saying("changed")


def test_lines_are_in_order(folder: Path) -> None:
    with Worker(folder, "crew:app") as worker:
        worker.until("runs crew.spawn")
        assert worker.stop() == 0
    moments = [line.split()[0] for line in worker.lines]
    assert all(first <= second for first, second in pairwise(moments))
