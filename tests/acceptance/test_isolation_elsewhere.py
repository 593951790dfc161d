"""Tasks in child processes whose app stands in another module than they: the child runs them as that app does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.acceptance import apart
from tests.cli.commands import Worker
from tests.leftovers import running
from typeddingo import App, ConfigError, JSONMarshaller, SignedMarshaller, UUIDMaker
from typeddingo.isolation.place import Place, place_of_app

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs Unix"),
    pytest.mark.timeout(180),
]

JOBS = """\
import logging
import os
import threading
from glob import glob

from typeddingo import Tasks, current_context

tasks = Tasks()


@tasks.task
def negative(number: int) -> int:
    return -number


@tasks.task(isolation="process", workers=1)
def heavy(number: int) -> int:
    logging.getLogger("shop").info("heavy runs")
    return number


@tasks.task(isolation="process", workers=1)
async def later(number: int) -> int:
    return number


@tasks.task(isolation="process", workers=1, marshaller=9, report_marshaller=9, id_maker=9)
def sealed(number: int) -> int:
    return number


@tasks.task(isolation="process", workers=1)
def looks() -> tuple[int, int]:
    links = [os.readlink(file) for file in glob("/proc/self/fd/*") if os.path.islink(file)]
    return threading.active_count(), sum(link.startswith("socket:") for link in links)


@tasks.task(isolation="process", workers=1)
def calls(number: int) -> int:
    return negative.call(number).get(20)


@tasks.task(isolation="process", workers=1)
def calls_in_a_row(number: int) -> int:
    return (negative | negative | negative).call(number).get(20)
"""
SHOP = """\
import os
from collections.abc import Iterator
from contextlib import contextmanager

from shop import jobs
from typeddingo import App, JSONMarshaller, Middleware, SignedMarshaller, UUIDMaker


class Says(Middleware):
    @contextmanager
    def around_run(self, context) -> Iterator[None]:
        print("around", context.name, os.getpid() == PARENT, flush=True)
        yield

    def after_run(self, context, report) -> None:
        print("after", context.name, report.status.name, flush=True)


PARENT = int(os.environ.setdefault("PARENT", str(os.getpid())))
app = App(os.environ.get("URL", "local"), middleware=[Says()])
app.add_marshaller(9, SignedMarshaller(JSONMarshaller(), {"a": b"5" * 32}, sign_with="a"))
app.add_id_maker(9, UUIDMaker())
app.include(jobs.tasks)
"""
RUN = """\
from shop import jobs
from shop.app import app

if __name__ == "__main__":
    with app:
        print({call}, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program in the layout that the documentation recommends."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "jobs.py").write_text(JOBS, encoding="utf-8")
    (tmp_path / "shop" / "app.py").write_text(SHOP, encoding="utf-8")
    return tmp_path


def run(folder: Path, program: str) -> str:
    """What it prints. A warning is an error."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", str(folder / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
    assert done.stderr == ""
    return done.stdout


def run_call(folder: Path, call: str) -> str:
    return run(folder, RUN.format(call=call))


@pytest.mark.parametrize("name", ["heavy", "later"])
def test_the_middleware_of_the_app_stands_around_the_task_in_the_child(folder: Path, name: str) -> None:
    said = f"around shop.jobs.{name} False\nafter shop.jobs.{name} SUCCESS\n5\n"
    assert run_call(folder, f"jobs.{name}.call(5).get(60)") == said


def test_the_marshaller_of_the_app_carries_the_task_to_the_child(folder: Path) -> None:
    assert run_call(folder, "jobs.sealed.call(5).get(60)").endswith("\n5\n")


def test_a_task_in_a_child_calls_others_of_its_app(folder: Path) -> None:
    assert run_call(folder, "jobs.calls.call(5).get(60)").endswith("\n-5\n")


def test_a_task_in_a_child_calls_pipelines_of_its_app(folder: Path) -> None:
    assert run_call(folder, "jobs.calls_in_a_row.call(5).get(60)").endswith("\n-5\n")


def test_an_app_in_the_program_itself_is_found_too(folder: Path) -> None:
    guard = 'if __name__ == "__main__":\n    with app:\n        print(jobs.calls.call(5).get(60), flush=True)\n'
    assert run(folder, SHOP + guard).startswith("around shop.jobs.calls False\n")


def test_what_the_import_of_the_app_raises_is_told(folder: Path) -> None:
    with (folder / "shop" / "app.py").open("a", encoding="utf-8") as file:
        file.write("if os.getpid() != PARENT:\n    raise RuntimeError('not twice')\n")
    said = run_call(folder, "jobs.heavy.call(5).wait(60).error")
    assert "its process did not find it: shop.app cannot be imported:" in said
    assert "RuntimeError: not twice" in said
    assert "typeddingo/" not in said


def test_an_app_that_starts_work_while_it_is_imported_is_told_what_to_write(folder: Path) -> None:
    with (folder / "shop" / "app.py").open("a", encoding="utf-8") as file:
        file.write("app.allocate(jobs.negative)\n")
    said = run_call(folder, "jobs.heavy.call(5).wait(60).error")
    assert "allocate() is called in a child process" in said
    assert 'belongs under if __name__ == "__main__":' in said


@pytest.mark.parametrize(("task", "told"), [("heavy", "None"), ("sealed", "its process cannot run it: no")])
def test_a_task_whose_app_is_made_when_the_program_starts_runs_without_it(folder: Path, task: str, told: str) -> None:
    """And says so where it cannot."""
    program = SHOP.partition("class Says")[0] + (
        'if __name__ == "__main__":\n'
        '    app = App("local")\n'
        '    app.add_marshaller(9, SignedMarshaller(JSONMarshaller(), {"a": b"5" * 32}, sign_with="a"))\n'
        "    app.add_id_maker(9, UUIDMaker())\n"
        "    app.include(jobs.tasks)\n"
        "    with app:\n"
        f"        print(jobs.{task}.call(5).wait(60).error)\n"
    )
    assert told in run(folder, program)


def test_a_task_that_is_included_when_the_program_starts_runs_as_its_app_does(folder: Path) -> None:
    module = folder / "shop" / "app.py"
    module.write_text(SHOP.replace("app.include(jobs.tasks)\n", ""), encoding="utf-8")
    program = RUN.replace("    with app:\n", "    app.include(jobs.tasks)\n    with app:\n")
    said = run(folder, program.format(call="jobs.sealed.call(5).get(60)"))
    assert said == "around shop.jobs.sealed False\nafter shop.jobs.sealed SUCCESS\n5\n"


# an app that is nobody's global


@pytest.fixture
def alone() -> Iterator[App]:
    with App("local") as app:
        yield app
    assert running() == []


def test_a_marshaller_of_an_app_that_no_child_can_find_is_refused_before_workers_start(alone: App) -> None:
    alone.add_marshaller(9, SignedMarshaller(JSONMarshaller(), {"a": b"5" * 32}, sign_with="a"))
    task = alone.register("add", apart.add, isolation="process", marshaller=9)
    for start in (lambda: alone.allocate(task), lambda: task.call(1)):
        with pytest.raises(ConfigError, match="'add' has marshaller 9 from its app, which a child process cannot"):
            start()


def test_an_id_maker_of_an_app_that_no_child_can_find_is_refused_before_workers_start(alone: App) -> None:
    alone.add_id_maker(9, UUIDMaker())
    task = alone.register("add", apart.add, isolation="process", id_maker=9)
    with pytest.raises(ConfigError, match="'add' has id maker 9 from its app"):
        alone.allocate(task)


def test_the_app_is_looked_for_where_the_function_is_then_where_it_was_made_then_anywhere_and_last_in_the_program(
    alone: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.register("add", apart.add, isolation="process")
    entry = alone._registry.get("add")  # pyright: ignore[reportPrivateUsage]  # what workers are made from
    assert place_of_app(entry) is None
    program = sys.modules["__main__"]
    monkeypatch.setattr(program, "ours", alone, raising=False)
    monkeypatch.setattr(program, "__spec__", None)
    monkeypatch.setattr(program, "__file__", __file__, raising=False)
    assert place_of_app(entry) == Place("test_isolation_elsewhere", "ours", __file__)  # its name in another process
    for module in (pytest, sys.modules[__name__], apart):
        monkeypatch.setattr(module, "ours", alone, raising=False)
        assert place_of_app(entry) == Place(module.__name__, "ours")


def test_a_module_that_nobody_has_imported_is_no_place_for_an_app(alone: App, monkeypatch: pytest.MonkeyPatch) -> None:
    alone.register("add", apart.add, isolation="process")
    made_by_hand = ModuleType("made_by_hand")
    monkeypatch.setitem(sys.modules, made_by_hand.__name__, made_by_hand)
    monkeypatch.setattr(made_by_hand, "ours", alone, raising=False)
    assert place_of_app(alone._registry.get("add")) is None  # pyright: ignore[reportPrivateUsage]  # as above


# over a server


@pytest.mark.servers
def test_a_worker_runs_them_as_its_app_does_and_they_log_as_it_does(
    folder: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", redis_url)
    monkeypatch.setenv("PARENT", "0")
    arguments = ("shop.app:app", "--log-format", "json", "--concurrency", "1")
    with Worker(folder, *arguments) as worker:
        worker.until("runs shop.jobs.sealed")
        assert run_call(folder, "jobs.looks.call().get(60)") == "(1, 2)\n"  # those that lead to the worker
        said = run_call(folder, "[jobs.heavy.call(1).get(60), jobs.calls.call(2).get(60), jobs.sealed.call(3).get(60)]")
        assert said == "[1, -2, 3]\n"
        worker.until("around shop.jobs.sealed")
        worker.until("after shop.jobs.calls")
        line = json.loads(worker.until("heavy runs"))
        assert worker.stop() == 0
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "shop", "heavy runs")
