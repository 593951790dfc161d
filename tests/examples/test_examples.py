"""Every example is run, and prints what its reader is told."""

from __future__ import annotations

import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.examples.programs import EXAMPLES, output_of, run_example

PROGRAMS = sorted(path for path in EXAMPLES.glob("*.py") if path.name != "__init__.py")

OUTPUT = {
    "first.py": """\
        sum: 5
        """,
    "local_pool.py": """\
        00000000 ''
        ba6bd213 'test'
        248bfa47 'hello'
        2e4ff723 'The quick brown fox jumps over the lazy dog'
        """,
    "stateful.py": """\
        balance: 19.90
        balance: 20.00
        balance: 25.00
        No. 1: first
        No. 2: second
        the object itself: 25.00
        """,
    "progress.py": """\
        SENT
        PROGRESS
        SUCCESS: 42
        SENT
        PROGRESS
        FAIL: ValueError: invalid literal for int() with base 10: 'forty-two'
        SUCCESS: 7
        """,
    "custom_marshaller.py": """\
        'due' will travel as plain text
        'due' will travel as plain text
        the invoker got ('2026-11-24', '30')
        datetime.date(2026, 12, 24)
        """,
    "listen.py": """\
        the caller: no worker here runs a task of this name
        all rooms: ERROR WORKER_NOT_FOUND from MAPPER: a task was refused: no worker here runs a task of this name
        the broker: ERROR WORKER_NOT_FOUND from CONSUMER: dead-lettered: no worker here runs a task of this name
        dropped: 0
        """,
    "caller_worker.py": """\
        remind me at 2026-12-24 17:00:00+01:00
        """,
}


@pytest.mark.parametrize("name", OUTPUT)
def test_the_example_prints(name: str) -> None:
    assert output_of(name) == dedent(OUTPUT[name])


def test_no_example_is_left_out() -> None:
    assert {path.name for path in PROGRAMS} == {*OUTPUT, "census.py"}


def test_a_first_program_has_at_most_ten_lines() -> None:
    lines = (EXAMPLES / "first.py").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 10


def test_a_first_program_prints_its_typed_result_in_under_a_second() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        assert run_example("first.py").stdout == "sum: 5\n"
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) < 1


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_an_example_is_short_and_says_what_it_shows(program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    if program.name != "first.py":
        assert "\nShows: " in text[:700]
    assert text.count("\n") <= (250 if program.name == "census.py" else 60)
