"""What the README shows beside its programs: the two commands, and what mypy says of a wrong call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Worker, environment
from tests.docs.console import argv, check, session
from tests.docs.pages import README, ROOT, Block, blocks

BLOCKS = blocks(README)
CONSOLE = [block for block in BLOCKS if block.language == "console"]


def commands() -> list[str]:
    [block] = [block for block in CONSOLE if block.heading == "Two commands"]
    return [line.removeprefix("$ ") for line in block.text.splitlines()]


@pytest.mark.tools
@pytest.mark.parametrize(
    "shown", [block for block in CONSOLE if "$ mypy" in block.text], ids=lambda block: block.heading
)
def test_mypy_says_what_the_readme_says_it_says(shown: Block, tmp_path: Path) -> None:
    for block in BLOCKS:
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    command, _, expected = shown.text.partition("\n")
    arguments = command.removeprefix("$ mypy ").split()
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == expected
    assert done.returncode == 1


def test_mypys_answer_is_shown() -> None:
    assert any("$ mypy" in block.text and "error:" in block.text for block in CONSOLE)


def test_the_two_commands_are_scripts_of_the_repository() -> None:
    census, test = commands()
    assert (census, test) == ("./scripts/census", "./scripts/test")
    for script in (census, test):
        assert (ROOT / script).stat().st_mode & 0o111
    assert "examples/census.py" in (ROOT / census).read_text(encoding="utf-8")


@pytest.mark.servers
def test_the_program_runs_distributed_as_shown(redis_url: str, tmp_path: Path) -> None:
    [program] = [block for block in BLOCKS if block.file == "sums.py"]
    url = "redis://localhost:6379/0"
    assert program.text.count(url) == 1
    (tmp_path / program.file).write_text(program.text.replace(url, redis_url), encoding="utf-8")
    [block] = [block for block in CONSOLE if block.heading == program.heading]
    first, second = session(block)
    with Worker(tmp_path, *argv(first.command)[4:]) as worker:
        worker.until("is ready")
        check(second, tmp_path, environment())
        assert worker.stop() == 0


def test_ci_runs_the_second_command_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == commands()[1]
    script = (ROOT / "scripts" / "test").read_text(encoding="utf-8")
    assert script.splitlines()[-1].startswith(".venv/bin/python -m pytest")


@pytest.mark.parametrize(
    "script", [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci" / "run"], ids=lambda path: path.name
)
def test_a_script_stops_at_its_first_error_and_runs_from_anywhere(script: Path) -> None:
    text = script.read_text(encoding="utf-8") if script.is_file() else ""
    if "#!/usr/bin/env bash" in text:
        assert "\nset -euo pipefail\n" in text
        assert 'cd "$(dirname "${BASH_SOURCE[0]}")' in text
