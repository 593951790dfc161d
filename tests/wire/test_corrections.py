"""``strict=False``: what fits stays as it is, what nearly fits is corrected, and nothing is lost on the way."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.carried import CARRIED
from tests.wire.test_roundtrip import MARSHALLERS, NAMES, echo_of, returned, same, sent
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError


class Level(enum.IntEnum):
    LOW = 1


class Animal(BaseModel):
    legs: int


class Bird(Animal):
    wings: int = 2


@dataclass
class Point:
    x: int
    marks: bytes | str = b""


def lax(annotation: Any) -> Contract:
    return Contract.of(echo_of(annotation), name="echo", strict=False)


@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=NAMES)
def test_what_fits_needs_no_correction(annotation: Any, value: object) -> None:
    contract = lax(annotation)
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), value)
        assert same(returned(marshaller, contract, value), value)


@pytest.mark.parametrize(
    ("annotation", "value", "corrected"),
    [
        (int, "5", 5),
        (float, 3, 3.0),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (dict[int, int], {1: "5"}, {1: 5}),
        (dict[Level, int], {Level.LOW: "1"}, {Level.LOW: 1}),
        (dict[uuid.UUID, int], {uuid.UUID(int=1): "1"}, {uuid.UUID(int=1): 1}),
        (dict[tuple[int, int], int], {(1, 2): "1"}, {(1, 2): 1}),
        (tuple[int, bytes | str], ("5", "YQ=="), (5, "YQ==")),
        (tuple[int, list[bytes | str]], ("5", ["YQ==", b"YQ=="]), (5, ["YQ==", b"YQ=="])),
        (tuple[int, Decimal | str], ("5", "1.0"), (5, "1.0")),
        (tuple[int, list[str] | tuple[str, str]], ("5", ["list", "a"]), (5, ["list", "a"])),
        (Point, {"x": "1", "marks": "YQ=="}, Point(1, "YQ==")),
        (Animal, {"legs": "4"}, Animal(legs=4)),
        (dt.date, "2020-01-02", dt.date(2020, 1, 2)),
    ],
)
def test_what_nearly_fits_is_corrected_and_what_fits_in_it_is_left(
    annotation: Any, value: object, corrected: object
) -> None:
    contract = lax(annotation)
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), corrected)
        assert same(returned(marshaller, contract, value), corrected)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "five"),
        (dict[int, int], {"1": 2, 1: 3}),
        (Animal, Bird(legs=2)),
        (Point, Point("1")),  # type: ignore[arg-type]  # mypy would say so
    ],
)
def test_a_correction_that_would_lose_something_is_refused(annotation: Any, value: object) -> None:
    contract = lax(annotation)
    with pytest.raises(ArgumentError):
        contract.bind((value,), {})
    with pytest.raises(ReturnMisfit):
        contract.split_returns(value)
