"""docs/from-go.md maps every name of the Go packages, and every Python name in it exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "from-go.md"
INDEX = HERE / "go_index.txt"
NONE = "–"


class Row(NamedTuple):
    go: str
    python: str
    note: str


def rows() -> list[Row]:
    found: list[Row] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| `") else []
        if cells:
            go, python, note = (*cells, "")[:3]
            found.append(Row(re.sub(r"\(.*", "", go.strip("`")), python.strip("`"), note.strip("| ")))
    return found


def resolve(dotted: str) -> object:
    """The object behind a dotted name: the longest importable module, then attributes (dataclass fields count)."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if part in getattr(found, "__dataclass_fields__", ()):
                return part
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.go)
def test_every_row_names_something_that_exists_or_says_why_not(row: Row) -> None:
    if row.python == NONE:
        assert row.note, f"{row.go} has no counterpart and no reason"
    else:
        assert row.python.startswith("typeddingo.")
        resolve(row.python)


def test_every_exported_go_name_has_exactly_one_row() -> None:
    mapped = [row.go for row in rows()]
    assert sorted(mapped) == INDEX.read_text(encoding="utf-8").split()


def test_a_name_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(AttributeError):
        resolve("typeddingo.errors.NoSuchError")
    with pytest.raises(ModuleNotFoundError):
        resolve("no_such_package.thing")
