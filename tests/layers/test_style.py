"""What every file of the repository has in common."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from statistics import median

import pytest

import typeddingo
from tests.layers.source import MODULES, ROOT, Module

FILLED = [module for module in MODULES if module.text.strip()]
ANY_IS_MEANT = {"App.call", "App.call_async"}
"""By name nothing is known of the result."""


def of(module: Module) -> str:
    return module.name or "__init__"


def public_functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions, and the methods of the classes, that the package exports."""
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in typeddingo.__all__:
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name in typeddingo.__all__:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def annotations_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    given = function.args
    for parameter in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if parameter is not None and parameter.annotation is not None:
            yield parameter.annotation
    if function.returns is not None:
        yield function.returns


@pytest.mark.parametrize("module", FILLED, ids=of)
def test_a_module_begins_by_saying_what_it_is_for(module: Module) -> None:
    docstring = ast.get_docstring(module.tree)
    assert docstring is not None, "a module begins with its walk: 'Comes from X, goes to Y.'"
    assert re.match(r"[^\n]+[.:!](\s|$)", docstring), "the first line of the docstring is a sentence"


@pytest.mark.parametrize("module", FILLED, ids=of)
def test_no_public_signature_says_any(module: Module) -> None:
    """``Callable[..., Any]`` is the one way to say "any function"."""
    leaks = [
        name
        for name, function in public_functions(module)
        for annotation in annotations_of(function)
        if re.search(r"\bAny\b", ast.unparse(annotation).replace("Callable[..., Any]", "")) and name not in ANY_IS_MEANT
    ]
    assert leaks == []


MOST_LINES = 400
"""400 is the aim; three rooms that many branches run through are above it."""


def test_files_are_small() -> None:
    sizes = {module.name: module.text.count("\n") for module in FILLED}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}
    assert median(sizes.values()) <= 150


def repository_files() -> Iterator[tuple[str, str]]:
    wanted = {".py", ".md", ".toml", ".ini", ".cfg", ".yml", ".yaml", ".json", ".sh", ".pyi", ""}
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if path.is_file() and path.suffix in wanted and not hidden and not {"dist", "build"} & set(parts):
            yield "/".join(parts), path.read_text(encoding="utf-8")


def test_the_repository_speaks_of_no_machine() -> None:
    machine = re.compile(
        "|".join(("/" + "work/", "/" + "root/", "/" + "home/[a-z]", r"\.\./" + "shared", "/" + "tmp/[a-z]"))
    )
    found = {name: machine.findall(text) for name, text in repository_files() if machine.search(text)}
    assert found == {}


def test_an_ignored_type_error_says_which_and_why() -> None:
    ignore = re.compile(r"# (?:type|pyright): ignore(?P<code>\[[\w, -]+\])?(?P<why>.*)")
    bare = [
        f"{name}: {match.group()}"
        for name, text in repository_files()
        if name.endswith(".py") and not name.startswith("tests/layers/")
        for match in ignore.finditer(text)
        if not match["code"] or "#" not in match["why"]
    ]
    assert bare == []
