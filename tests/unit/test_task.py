"""Handles: what the decorator makes of a function, and what it refuses."""

from __future__ import annotations

import asyncio
import copy
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from typeddingo import App, AsyncTask, ConfigError, Context, Option, SignatureError, SyncTask, Task
from typeddingo.decorator import task_name

SECONDS = 10.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def app() -> Iterator[App]:
    with App("local") as app:
        yield app


def triple(x: int, /) -> int:
    """Three times as much."""
    return 3 * x


def test_a_handle_looks_like_its_function(app: App) -> None:
    task = app.task(triple)
    assert (task.__name__, task.__doc__, task.__module__) == ("triple", "Three times as much.", __name__)  # type: ignore[attr-defined]  # set by update_wrapper  # pyright: ignore[reportAttributeAccessIssue]
    assert task.fn is triple
    assert task.name == f"{__name__}.triple"
    assert repr(task) == f"<SyncTask '{__name__}.triple'>"


def test_a_handle_is_of_the_kind_of_its_function(app: App) -> None:
    class Callable_:
        async def __call__(self, x: int) -> int:
            return x

    async def waits(x: int) -> int:
        return x

    @functools.wraps(waits)
    def wrapped(x: int) -> object:
        return waits(x)

    assert type(app.register("sync", triple)) is SyncTask
    asyncs: list[Callable[[int], object]] = [waits, Callable_(), wrapped, functools.partial(waits)]
    for number, fn in enumerate(asyncs):
        task: Task[[int], object] = app.register(f"async{number}", fn)
        assert isinstance(task, AsyncTask), fn
    assert issubclass(SyncTask, Task)
    assert issubclass(AsyncTask, Task)


def test_calling_a_handle_runs_the_function_here_unchanged(app: App) -> None:
    @app.task
    def anything(x: int) -> int:
        return x

    assert anything("not checked") == "not checked"  # type: ignore[arg-type, comparison-overlap]  # on purpose  # pyright: ignore[reportArgumentType, reportUnnecessaryComparison]


def test_an_injected_task_called_here_gets_a_context_of_its_own(app: App) -> None:
    @app.task(context=True, name="ctx")
    def ctx_name(ctx: Context, x: int) -> str:
        ctx.progress(1, 2)
        return f"{ctx.name} {ctx.cancelled} {x}"

    @app.task(context=True, name="actx")
    async def actx_name(ctx: Context, x: int) -> str:
        return f"{ctx.name} {x}"

    assert ctx_name(3) == "ctx False 3"
    assert asyncio.run(actx_name(3)) == "actx 3"
    again = app.register("again", ctx_name.fn, context=True)
    assert again.name == "again"


# names


def test_a_name_is_the_module_and_the_qualified_name(app: App) -> None:
    assert task_name(triple) == f"{__name__}.triple"
    assert app.task(name="billing.triple")(triple).name == "billing.triple"
    assert task_name(Option.__init__) == "typeddingo.option.Option.__init__"


NAMELESS: list[Callable[[int], int]] = [lambda x: x, functools.partial(triple)]


@pytest.mark.parametrize("nameless", NAMELESS, ids=["lambda", "partial"])
def test_what_has_no_name_must_be_given_one(nameless: Callable[[int], int], app: App) -> None:
    with pytest.raises(ConfigError, match=r"register it under one, app.register\('name', …\)"):
        app.task(nameless)


@pytest.mark.parametrize("how", [["-m", "pkg.prog"], ["pkg/prog.py"], ["-m", "pkg"]], ids=["module", "file", "package"])
def test_a_name_never_contains_main(how: list[str], tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    for file in ("prog.py", "__main__.py"):
        (package / file).write_text(
            "from typeddingo import App\napp = App()\n@app.task\ndef f(x: int) -> int: ...\nprint(f.name)\n"
        )
    done = subprocess.run(
        [sys.executable, *how],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        done.stdout.strip() == {"-m pkg.prog": "pkg.prog.f", "pkg/prog.py": "prog.f", "-m pkg": "pkg.f"}[" ".join(how)]
    )


# annotations


def test_annotations_may_name_classes_that_are_local_to_the_place_of_declaration(app: App) -> None:
    @dataclass(frozen=True)
    class Point:
        x: int

    @app.task
    def move(point: Point) -> Point:
        return Point(point.x + 1)

    @app.task(name="moved")
    def move_again(point: Point) -> Point:
        return move(move(point))

    def by(point: Point) -> Point:
        return point

    assert move.call(Point(1)).get(SECONDS) == Point(2)
    assert move_again.call(Point(1)).get(SECONDS) == Point(3)
    assert app.register("by", by).call(Point(1)).get(SECONDS) == Point(1)


class Holder:
    """Functions as a class body holds them."""

    @staticmethod
    def static(x: int) -> int:
        return x

    @classmethod
    def of_class(cls, x: int) -> int:
        return x


REFUSED: list[tuple[object, str]] = [
    (3, "a task must be callable, not int"),
    (vars(Holder)["static"], "@task goes below @staticmethod"),
    (vars(Holder)["of_class"], "a classmethod cannot be a task"),
]


@pytest.mark.parametrize(("thing", "text"), REFUSED, ids=["int", "staticmethod", "classmethod"])
def test_what_is_no_function_is_refused(thing: object, text: str, app: App) -> None:
    with pytest.raises(SignatureError, match=text):
        app.task(thing)  # type: ignore[call-overload]  # untyped callers  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(SignatureError, match=text):
        app.register("thing", thing)  # type: ignore[call-overload]  # untyped callers  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_a_missing_annotation_is_refused_at_decoration_and_registers_nothing(app: App) -> None:
    def careless(x) -> int:  # type: ignore[no-untyped-def]  # what is refused  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        return 1

    with pytest.raises(SignatureError, match="parameter 'x' has no annotation"):
        app.register("careless", careless)  # pyright: ignore[reportUnknownArgumentType]  # what is refused
    with pytest.raises(ConfigError, match="no task is called 'careless'"):
        app.call("careless", 1)


# options


def test_with_options_changes_what_is_named_and_leaves_the_task_alone(app: App) -> None:
    task = app.task(name="triple", option=Option(monitor_progress=True))(triple)
    quiet = task.with_options(monitor_progress=False)
    both = quiet.with_options(ignore_report=True)
    options = [handle.call(1).option for handle in (task, quiet, both)]
    assert options == [Option(monitor_progress=True), Option(), Option(ignore_report=True)]
    assert (quiet.name, quiet(2), quiet.fn) == ("triple", 6, triple)


def test_a_handle_without_options_of_its_own_follows_the_task(app: App) -> None:
    task = app.task(triple)
    app.set_option(task, Option(monitor_progress=True))
    assert task.call(1).option == Option(monitor_progress=True)
    assert task.with_options(ignore_report=False).call(1).option == Option(monitor_progress=True)


def test_an_unknown_option_is_refused_with_those_there_are(app: App) -> None:
    task = app.task(triple)
    with pytest.raises(ConfigError, match="there is no option 'retry'; there are: delay, eta, expires, ignore"):
        task.with_options(retry=3)  # type: ignore[call-arg]  # untyped callers  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="option ignore_report: expected True or False"):
        task.with_options(ignore_report="no")  # type: ignore[arg-type]  # untyped callers  # pyright: ignore[reportArgumentType]


def test_a_handle_can_be_copied_and_is_still_the_same_task(app: App) -> None:
    twin = copy.copy(app.task(triple))
    assert twin.call(2).get(SECONDS) == 6
