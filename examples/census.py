"""A census of Python's standard library: one typed task a source file, in this process, nothing to configure.

    python examples/census.py [--limit N] [--json FILE] [--url URL]
    TYPEDDINGO_URL=URL typeddingo worker examples.census:app --processes 2

The second starts workers for the first, where URL is that of a broker: redis://localhost:6379/0, amqp://localhost:5672/.

Shows: a frozen dataclass that comes back as itself, a progress bar over many results, and failures (files that are
unreadable, not UTF-8 or not Python; the library's own test data has some) that are counted and listed, not lost.
"""

from __future__ import annotations

import argparse
import ast
import os
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from typeddingo import App, TaskFailed, Tasks

try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
except ImportError:
    raise SystemExit("the census draws with rich; install it with: pip install 'typeddingo[examples]'") from None

tasks = Tasks()


class Feature(StrEnum):
    """What a module makes use of, by the nodes of its syntax tree."""

    ANNOTATION = "annotated variables"
    ASYNC = "async def"
    COMPREHENSION = "comprehensions"
    DECORATOR = "decorators"
    F_STRING = "f-strings"
    LAMBDA = "lambdas"
    MATCH = "match"
    TRY = "try"
    WALRUS = "walrus"
    WITH = "with"
    YIELD = "yield"


FEATURES: dict[type[ast.AST], Feature] = {
    ast.AnnAssign: Feature.ANNOTATION,
    ast.AsyncFunctionDef: Feature.ASYNC,
    ast.ListComp: Feature.COMPREHENSION,
    ast.SetComp: Feature.COMPREHENSION,
    ast.DictComp: Feature.COMPREHENSION,
    ast.GeneratorExp: Feature.COMPREHENSION,
    ast.JoinedStr: Feature.F_STRING,
    ast.Lambda: Feature.LAMBDA,
    ast.Match: Feature.MATCH,
    ast.Try: Feature.TRY,
    ast.TryStar: Feature.TRY,
    ast.NamedExpr: Feature.WALRUS,
    ast.With: Feature.WITH,
    ast.AsyncWith: Feature.WITH,
    ast.Yield: Feature.YIELD,
    ast.YieldFrom: Feature.YIELD,
}


@dataclass(frozen=True, order=True)
class FunctionSize:
    """A function or method and its length in lines, ``def`` to last statement."""

    lines: int
    name: str


@dataclass(frozen=True)
class ModuleStats:
    """What one source file holds. ``code_lines`` are those that are neither blank nor only a comment."""

    path: Path
    lines: int
    code_lines: int
    functions: int
    classes: int
    longest_function: FunctionSize | None
    imports: frozenset[str]
    features: dict[Feature, int]


@dataclass(frozen=True)
class Unmeasured:
    """A file that could not be measured, and why."""

    path: Path
    exception_type: str
    message: str


@dataclass(frozen=True)
class Census:
    """The whole count. ``seconds`` is wall time."""

    root: Path
    seconds: float
    modules: tuple[ModuleStats, ...]
    failures: tuple[Unmeasured, ...]

    def total(self, of: Callable[[ModuleStats], int]) -> int:
        return sum(map(of, self.modules))


@tasks.task(name="census.measure", workers=2)
def measure(path: Path) -> ModuleStats:
    """Read and parse one file. It must be UTF-8, whatever it declares: anything else is a failure to report."""
    text = path.read_text(encoding="utf-8-sig")
    functions: list[FunctionSize] = []
    classes = 0
    imports: set[str] = set()
    features: Counter[Feature] = Counter()
    for node in ast.walk(ast.parse(text)):
        if feature := FEATURES.get(type(node)):
            features[feature] += 1
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions.append(FunctionSize((node.end_lineno or node.lineno) - node.lineno + 1, node.name))
                features[Feature.DECORATOR] += len(node.decorator_list)
            case ast.ClassDef():
                classes += 1
                features[Feature.DECORATOR] += len(node.decorator_list)
            case ast.Import():
                imports.update(alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                imports.add(module.partition(".")[0])
            case _:
                pass
    lines = text.removesuffix("\n").split("\n") if text else []
    return ModuleStats(
        path=path,
        lines=len(lines),
        code_lines=sum(bool(line) and not line.startswith("#") for line in map(str.strip, lines)),
        functions=len(functions),
        classes=classes,
        longest_function=max(functions, default=None),
        imports=frozenset(imports),
        features=dict(+features),
    )


def app(url: str = os.environ.get("TYPEDDINGO_URL", "local")) -> App:
    """What the caller and its workers have in common: where the tasks go, and which there are."""
    warnings.filterwarnings("ignore", module="<unknown>")  # what the sources warn about is not our business
    app = App(url)
    app.include(tasks)
    return app


def sources(root: Path) -> Iterator[Path]:
    """Every source file below ``root``, without what was installed later."""
    later = {"site-packages", "dist-packages", "__pycache__"}
    return (path for path in sorted(root.rglob("*.py")) if later.isdisjoint(path.relative_to(root).parts))


def take_census(app: App, root: Path, paths: Sequence[Path], tick: Callable[[], object] = lambda: None) -> Census:
    """Measure ``paths``, one task each; ``tick`` is called once for each that is finished."""
    started = time.perf_counter()
    modules: list[ModuleStats] = []
    failures: list[Unmeasured] = []
    with app.batch():
        results = [(path, measure.call(path)) for path in paths]
    for path, result in results:
        try:
            modules.append(result.get())
        except TaskFailed as failure:
            failures.append(Unmeasured(path, failure.exception_type, failure.message))
        tick()
    return Census(root, time.perf_counter() - started, tuple(modules), tuple(failures))


def tables(census: Census) -> Iterator[Table]:
    """The census as tables: totals, the largest modules, syntax, failures."""
    totals = Table(
        "files", "lines", "code lines", "functions", "classes", "failures", "seconds", title=str(census.root)
    )
    counts = (
        len(census.modules) + len(census.failures),
        census.total(lambda m: m.lines),
        census.total(lambda m: m.code_lines),
        census.total(lambda m: m.functions),
        census.total(lambda m: m.classes),
        len(census.failures),
    )
    totals.add_row(*(f"{count:,}" for count in counts), f"{census.seconds:.1f}")
    yield totals

    largest = Table("module", "code lines", "functions", "longest function", title="The largest modules")
    for module in sorted(census.modules, key=lambda m: m.code_lines, reverse=True)[:10]:
        longest = module.longest_function
        largest.add_row(
            str(module.path.relative_to(census.root)),
            f"{module.code_lines:,}",
            f"{module.functions:,}",
            f"{longest.name} ({longest.lines:,})" if longest else "",
        )
    yield largest

    syntax = Table("syntax", "uses", "files", title="What they are written with")
    for feature in sorted(Feature, key=lambda f: -census.total(lambda m: m.features.get(f, 0))):
        uses = [module.features[feature] for module in census.modules if feature in module.features]
        syntax.add_row(feature, f"{sum(uses):,}", f"{len(uses):,}")
    yield syntax

    if census.failures:
        failed = Table("exception", "file", title="Not measured", row_styles=["red"])
        for failure in sorted(census.failures, key=lambda f: (f.exception_type, f.path)):
            failed.add_row(failure.exception_type, str(failure.path.relative_to(census.root)))
        yield failed


def main() -> None:
    options = argparse.ArgumentParser(description="Measure every source file of Python's standard library.")
    options.add_argument("--url", metavar="URL", help="where tasks go (default: TYPEDDINGO_URL, else this process)")
    options.add_argument("--limit", type=int, metavar="N", help="measure the first N files only")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the whole census there, too")
    given = options.parse_args()
    root = Path(sysconfig.get_path("stdlib")).resolve()
    paths = list(sources(root))[: given.limit]
    bar = Progress(
        TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)
    )
    with app(given.url) if given.url else app() as opened, bar:
        files = bar.add_task("measuring", total=len(paths))
        census = take_census(opened, root, paths, lambda: bar.advance(files))
    console = Console()
    for table in tables(census):
        console.print(table)
    if given.json:
        given.json.write_bytes(TypeAdapter(Census).dump_json(census, indent=2))


if __name__ == "__main__":
    main()
