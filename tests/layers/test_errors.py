"""The error tree is drawn in ``errors.py``; the classes, ``__all__`` and the README agree with the drawing."""

from __future__ import annotations

import re
from textwrap import dedent

import typeddingo
from tests.layers.source import ROOT
from typeddingo import errors

LIST = re.compile(r"\w+(?:\(\w+\))?(?: · \w+(?:\(\w+\))?)+")


def drawing() -> str:
    """The tree: everything below the first paragraph, without its indentation."""
    return dedent((errors.__doc__ or "").partition("\n\n")[2]).strip()


def drawn() -> dict[str, set[str]]:
    """Parent to children, as drawn."""
    tree: dict[str, set[str]] = {"TypedDingoError": set(), "Exception": {"TypedDingoError", "TaskFailed", "Retry"}}
    for line in drawing().splitlines():
        if branch := re.match(r"[├└]─ (\w+)", line):
            tree["TypedDingoError"].add(branch[1])
            if leaves := LIST.search(line.removeprefix(branch[0])):
                tree[branch[1]] = {re.sub(r"\(.*\)", "", leaf) for leaf in leaves[0].split(" · ")}
            elif leaves := re.search(r": ([A-Z]\w+)$", line):
                tree[branch[1]] = {leaves[1]}
    return tree


def defined() -> dict[str, set[str]]:
    """Parent to children, as the classes are."""
    tree: dict[str, set[str]] = {}
    for name, found in vars(errors).items():
        if isinstance(found, type) and issubclass(found, Exception) and found.__module__ == errors.__name__:
            tree.setdefault(found.__mro__[1].__name__, set()).add(name)
    return tree


def test_the_classes_are_those_of_the_drawing() -> None:
    assert defined() == drawn()


def test_every_error_is_exported() -> None:
    names = set[str]().union(*defined().values())
    assert names <= set(errors.__all__)
    assert names <= set(typeddingo.__all__)


def test_a_timeout_can_be_caught_as_pythons_own() -> None:
    assert "ResultTimeout(TimeoutError)" in drawing()
    assert issubclass(errors.ResultTimeout, TimeoutError)


def test_the_readme_draws_the_same_tree() -> None:
    assert drawing() in (ROOT / "README.md").read_text(encoding="utf-8")
