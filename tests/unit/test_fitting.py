"""Of two annotations, what certainly does not fit is refused, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict

import pytest

from typeddingo.fitting import fits_into


@dataclass
class Base:
    name: str


@dataclass
class Derived(Base):
    size: int


class Colour(Enum):
    RED = 1


class Sized(Protocol):
    size: int


class Row(TypedDict):
    name: str


UserId = NewType("UserId", int)
FITS: list[tuple[Any, Any]] = [
    (int, int),
    (int, object),
    (int, Any),
    (Any, int),
    (bool, int),
    (int, float),
    (Derived, Base),
    (Derived, Sized),
    (int, int | None),
    (None, int | None),
    (int | str, int | str | None),
    (Annotated[int, "more than nothing"], int),
    (UserId, int),
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (list[int], list[int]),
    (list[int], Sequence[int]),
    (list[int], list),
    (list, list[int]),
    (list[Derived], list[Base]),
    (dict[str, int], Mapping[str, int]),
    (tuple[int, int], tuple[int, ...]),
    (Row, dict[str, str]),
    (Row, Row),
    (Colour, Colour),
]
MISFITS: list[tuple[Any, Any]] = [
    (int, str),
    (str, int),
    (float, int),
    (object, int),
    (None, int),
    (int | None, int),
    (int, str | bytes),
    (Base, Derived),
    (Colour, int),
    (Literal["a"], int),
    (Literal["a", "c"], Literal["a", "b"]),
    (int, Literal["a"]),
    (list[int], list[str]),
    (list[int], int),
    (int, list[int]),
    (list[int], tuple[int, ...]),
    (dict[str, int], dict[str, str]),
    (tuple[int, str], tuple[int, int]),
    (tuple[int], tuple[int, int]),
    (tuple[int, ...], tuple[int, int]),
    (UserId, str),
]


@pytest.mark.parametrize(("given", "wanted"), FITS, ids=str)
def test_what_may_fit_is_let_through(given: object, wanted: object) -> None:
    assert fits_into(given, wanted)


@pytest.mark.parametrize(("given", "wanted"), MISFITS, ids=str)
def test_what_cannot_fit_is_refused(given: object, wanted: object) -> None:
    assert not fits_into(given, wanted)
