"""docs/promises.md names a test for every promise; each of them exists."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
FILES = [*sorted((ROOT / "tests").rglob("test_*.py")), *sorted((ROOT / "typeddingo" / "testing").glob("*_suite.py"))]
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
ALL = [f"F{number:02}" for number in range(1, 67)]


CELLS = [
    (row.split("|")[1].strip(), cell.strip())
    for row in PAGE.partition("## What is not promised")[0].splitlines()
    if row.startswith("| ") and not row.startswith("| |")
    for cell in row.split("|")[2:-1]
]


def listed() -> list[str]:
    return re.findall(r"^\| (F\d\d) \|", PAGE, re.MULTILINE)


def named() -> set[str]:
    """The ids in the table of promises, those between two of them included."""
    table = PAGE.partition("## What is not promised")[0]
    found = set(re.findall(r"F\d\d", table))
    for first, last in re.findall(r"F(\d\d) to F(\d\d)", table):
        found |= {f"F{number:02}" for number in range(int(first), int(last) + 1)}
    return found


def test_the_page_lists_every_fault_test_once_and_in_order() -> None:
    assert listed() == ALL


def test_what_the_promises_name_is_listed() -> None:
    assert named() <= set(listed())


@pytest.mark.parametrize("id", ALL)
def test_every_fault_test_that_is_named_exists(id: str) -> None:
    assert re.search(rf"^ *(?:async )?def test_{id}_\w+\(", TESTS, re.MULTILINE), f"no test is called test_{id}_…"


def test_no_fault_test_is_missing_on_the_page() -> None:
    assert set(re.findall(r"def test_(F\d\d)_", TESTS)) <= set(listed())


@pytest.mark.parametrize(("promise", "cell"), CELLS)
def test_every_cell_names_a_test_that_exists(promise: str, cell: str) -> None:
    if cell in ("–", "the same"):
        return
    others = re.findall(r"`(test_\w+)`", cell)
    assert others or re.search(r"F\d\d", cell), f"{promise}: {cell}"
    for name in others:
        assert re.search(rf"^ *(?:async )?def {name}\(", TESTS, re.MULTILINE), f"{promise}: there is no {name}"
