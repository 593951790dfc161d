"""The census counts what is there: compared with a count by other means, and with files that cannot be counted."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from examples.census import Census, Feature, FunctionSize, ModuleStats, measure, sources, take_census, tasks
from tests.examples.programs import EXAMPLES, run_example
from tests.examples.tally import Tally, tally
from typeddingo import App

STDLIB = Path(sysconfig.get_path("stdlib")).resolve()


def as_tally(stats: ModuleStats) -> Tally:
    return Tally(
        lines=stats.lines,
        code_lines=stats.code_lines,
        functions=stats.functions,
        classes=stats.classes,
        longest=stats.longest_function.lines if stats.longest_function else 0,
        imports=stats.imports,
        async_functions=stats.features.get(Feature.ASYNC, 0),
        withs=stats.features.get(Feature.WITH, 0),
        decorators=stats.features.get(Feature.DECORATOR, 0),
    )


def cannot_be_measured(path: Path) -> bool:
    """Asked of the compiler itself, with bytes that say what their encoding is."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        compile(text, str(path), "exec", dont_inherit=True, flags=0x400)  # 0x400: parse only
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return True
    return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text(
        "import os.path, sys as system\nfrom email.mime import text\n\n# a comment\n"
        "@staticmethod\nasync def f(x: int) -> int:\n    def g():\n        return 1\n    return x\n\n\nclass A: pass\n"
    )
    (tmp_path / "dangling.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "latin.py").write_bytes("# -*- coding: latin-1 -*-\nname = 'Käse'\n".encode("latin-1"))
    (tmp_path / "python2.py").write_text("print 'hello'\n")
    (tmp_path / "empty.py").touch()
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "later.py").write_text("pass\n")
    return tmp_path


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    """One for all tests: a collection of tasks belongs to one app."""
    with App("local") as app:
        app.include(tasks)
        yield app


def test_what_a_module_holds_is_measured(folder: Path) -> None:
    assert measure(folder / "good.py") == ModuleStats(
        path=folder / "good.py",
        lines=12,
        code_lines=8,
        functions=2,
        classes=1,
        longest_function=FunctionSize(lines=4, name="f"),
        imports=frozenset({"os", "sys", "email"}),
        features={Feature.ASYNC: 1, Feature.DECORATOR: 1},
    )


def test_files_that_cannot_be_measured_are_failures_and_none_is_lost(app: App, folder: Path) -> None:
    census = take_census(app, folder, list(sources(folder)))
    assert [(failure.path.name, failure.exception_type) for failure in census.failures] == [
        ("dangling.py", "FileNotFoundError"),
        ("latin.py", "UnicodeDecodeError"),
        ("python2.py", "SyntaxError"),
    ]
    assert [module.path.name for module in census.modules] == ["empty.py", "good.py"]


def test_stats_come_back_as_the_types_they_were(app: App, folder: Path) -> None:
    [good] = take_census(app, folder, [folder / "good.py"]).modules
    assert type(good) is ModuleStats
    assert good == measure(folder / "good.py")


def test_the_bar_moves_once_for_each_file(app: App, folder: Path) -> None:
    moves: list[None] = []
    take_census(app, folder, list(sources(folder)), lambda: moves.append(None))
    assert len(moves) == 5


@pytest.mark.parametrize("package", ["asyncio", "collections", "email", "json"])
def test_the_numbers_are_those_of_an_independent_count(package: str) -> None:
    paths = list(sources(STDLIB / package))
    assert len(paths) > 1
    for path in paths:
        assert as_tally(measure(path)) == tally(path), path


def test_the_program_prints_a_table_and_writes_the_census(tmp_path: Path) -> None:
    out = tmp_path / "census.json"
    done = run_example("census.py", "--limit", "25", "--json", str(out))
    assert done.returncode == 0, done.stderr
    census = TypeAdapter(Census).validate_json(out.read_bytes())
    assert len(census.modules) + len(census.failures) == 25
    for shown in ("The largest modules", "What they are written with", f"{census.total(lambda m: m.lines):,}"):
        assert shown in done.stdout
    assert "25/25" in done.stderr


def test_without_rich_the_program_says_what_to_install() -> None:
    code = f"import sys, runpy; sys.modules['rich'] = None; runpy.run_path({str(EXAMPLES / 'census.py')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'typeddingo[examples]'")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # the sources of the standard library warn about themselves
def test_the_whole_standard_library_is_counted_right(tmp_path: Path) -> None:
    out = tmp_path / "census.json"
    done = run_example("census.py", "--json", str(out), timeout=240)
    assert done.returncode == 0, done.stderr
    census = TypeAdapter(Census).validate_json(out.read_bytes())
    measured = {module.path for module in census.modules}
    failed = {failure.path for failure in census.failures}
    everything = set(sources(STDLIB))
    assert len(everything) > 400
    assert measured | failed == everything
    assert not measured & failed
    assert failed == {path for path in everything if cannot_be_measured(path)}
    some = census.modules[::8]  # counting is slower by other means
    wrong = [module.path for module in some if as_tally(module) != tally(module.path)]
    assert wrong == []
    assert json.loads(out.read_bytes())["root"] == str(STDLIB)
