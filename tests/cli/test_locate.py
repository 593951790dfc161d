"""``module:app`` is found as ``python -m`` would find it, or the message says what to write instead."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Done, run

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(HERE / "shop.py", tmp_path / "shop.py")
    return tmp_path


def complaint(done: Done) -> str:
    """The one line of a command that tried nothing."""
    assert (done.code, done.out) == (2, "")
    return done.err.removeprefix("typeddingo: ").rstrip("\n")


SIGNATURES = """\
async shop.greet(name: str) -> str
shop.halves(number: int, by: int = 2) -> tuple[int, int]
shop.nothing() -> None
shop.total(items: list[Item], *, discount: Decimal = Decimal('0')) -> Decimal
"""


@pytest.mark.parametrize("where", ["shop:app", "shop:make"])
def test_tasks_are_listed_with_their_signatures_as_they_are_written(folder: Path, where: str) -> None:
    assert run(folder, "tasks", where) == Done(0, SIGNATURES, "")


def test_tasks_as_json_are_one_object_a_line(folder: Path) -> None:
    done = run(folder, "tasks", "shop:app", "--json")
    assert [json.loads(line) for line in done.out.splitlines()][:2] == [
        {"name": "shop.greet", "signature": "(name: str) -> str", "async": True, "queue": "default"},
        {
            "name": "shop.halves",
            "signature": "(number: int, by: int = 2) -> tuple[int, int]",
            "async": False,
            "queue": "default",
        },
    ]


def test_a_task_of_another_queue_than_usual_is_shown_with_it(folder: Path) -> None:
    text = "from typeddingo import App\napp = App('local')\n@app.task(queue='mail')\ndef f() -> None: ...\n"
    (folder / "post.py").write_text(text)
    assert run(folder, "tasks", "post:app") == Done(0, "post.f() -> None  (queue 'mail')\n", "")
    assert json.loads(run(folder, "tasks", "post:app", "--json").out)["queue"] == "mail"


def test_a_module_in_a_package_is_found(folder: Path) -> None:
    (folder / "pack" / "inner").mkdir(parents=True)
    shutil.move(folder / "shop.py", folder / "pack" / "inner" / "shop.py")
    assert run(folder, "tasks", "pack.inner.shop:app").out.startswith("async pack.inner.shop.greet(")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("shop", "'shop': expected module:app, for example shop.tasks:app"),
        (":app", "':app': expected module:app, for example shop.tasks:app"),
        ("store:app", "there is no module 'store' here, in {folder}"),
        ("shop.py:app", "there is no module 'shop.py' here, in {folder}; write it with dots and without .py"),
        ("shop:store", "module 'shop' has no attribute 'store'; there is shop:app"),
        ("shop:orphans", "shop:orphans is a Tasks collection, not an App: name the App that includes it"),
        ("shop:greet", "shop:greet is not an App but of type AsyncTask; there is shop:app"),
        ("shop:App", "shop:App is not an App but a class; there is shop:app"),
    ],
)
def test_what_is_not_there_is_said_with_what_to_write(folder: Path, where: str, said: str) -> None:
    assert complaint(run(folder, "tasks", where)) == said.format(folder=folder.resolve())


def test_a_mistake_in_the_module_is_shown_as_python_shows_it(folder: Path) -> None:
    (folder / "broken.py").write_text("import shop\n\nprice = 1 / 0\n")
    said = complaint(run(folder, "tasks", "broken:app"))
    assert said.startswith("broken cannot be imported:\nTraceback (most recent call last):\n")
    assert said.endswith("ZeroDivisionError: division by zero")
    assert 'broken.py", line 3' in said
    assert "locate.py" not in said
    assert "importlib" not in said


def test_a_module_that_the_module_lacks_is_not_taken_for_the_module_itself(folder: Path) -> None:
    (folder / "broken.py").write_text("import nowhere\n")
    assert complaint(run(folder, "tasks", "broken:app")).endswith("No module named 'nowhere'")


def test_a_function_that_needs_arguments_makes_no_app(folder: Path) -> None:
    said = complaint(run(folder, "tasks", "shop:needs"))
    assert "missing 1 required positional argument: 'url'" in said


def test_a_wrong_setting_in_the_module_is_one_line(folder: Path) -> None:
    (folder / "wrong.py").write_text("from typeddingo import App\n\ndef app():\n    return App('http://localhost')\n")
    said = complaint(run(folder, "tasks", "wrong:app"))
    assert "\n" not in said
    assert said.startswith("wrong.py:4: App(where): expected")


def test_a_function_that_ends_the_program_is_told_once(folder: Path) -> None:
    (folder / "strict.py").write_text("import sys\n\ndef app():\n    sys.exit('set SHOP_URL first')\n")
    done = run(folder, "worker", "strict:app")
    assert done.code == 2
    assert "set SHOP_URL first" in done.err


@pytest.mark.parametrize("command", ["worker", "ping", "queues", "dead list", "cancel"])
def test_a_local_app_has_no_queues_and_workers_elsewhere(folder: Path, command: str) -> None:
    task = ["shop.greet", "7"] if command == "cancel" else []
    done = run(folder, *command.split(), "shop:app", *task)
    assert done.code == 2
    assert "shop:app is App('local')" in done.err
    assert "App('redis://localhost:6379/0')" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["work"],
        ["worker"],
        ["worker", "shop:app", "--processes", "0"],
        ["worker", "shop:app", "--concurrency", "two"],
        ["worker", "shop:app", "--deadline", "-1"],
        ["worker", "shop:app", "--deadline", "nan"],
        ["worker", "shop:app", "--tasks", ","],
        ["worker", "shop:app", "--queues", ""],
        ["worker", "shop:app", "--tasks", "shop.greet", "--queues", "default"],
        ["result", "shop:app", "shop.greet"],
        ["result", "shop:app", "shop.greet", "7", "--wait", "-1"],
        ["dead", "shop:app"],
        ["dead", "show", "shop:app", "shop.greet"],
        ["call", "shop:app"],
        ["tasks", "shop:app", "more"],
    ],
)
def test_wrong_usage_says_how_it_is_used(folder: Path, arguments: list[str]) -> None:
    done = run(folder, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: typeddingo")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "worker",
        "ping",
        "queues",
        "call",
        "result",
        "tasks",
        "dead",
        "dead list",
        "dead show",
        "dead replay",
        "dead purge",
    ],
)
def test_every_command_explains_itself(folder: Path, command: str) -> None:
    done = run(folder, *command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: typeddingo {command}".rstrip())


def test_the_installed_command_is_the_same_program() -> None:
    script = Path(sys.executable).parent / "typeddingo"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("typeddingo 0.")


def test_help_does_not_load_the_library() -> None:
    code = (
        "import sys, typeddingo.cli as c; c.parser(); print('pydantic_core' in sys.modules, 'logging' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
