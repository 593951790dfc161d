"""Literals of anything Python allows there: each member comes back as itself, and nothing else is let through."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Painted(BaseModel):
    colour: Literal[Colour.RED] | int


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Literal[Colour.RED], Colour.BLUE),
        (Literal[b"a"], b"b"),
        (Literal[True, b"a"], False),
        (Literal[True, b"a"], 1),
        (Literal[Level.LOW], Level.HIGH),
        (Literal[Colour.RED] | int, Colour.BLUE),
        (list[Literal[Colour.RED]], [Colour.BLUE]),
        (dict[Literal[b"a"], int], {b"b": 1}),
        (Painted, Painted.model_construct(colour=Colour.BLUE)),
    ],
)
def test_what_is_no_member_of_a_literal_is_refused_before_it_is_sent(annotation: Any, value: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    with pytest.raises(ArgumentError, match="expected"):
        contract.bind((value,), {})
    with pytest.raises(ReturnMisfit, match="expected"):
        contract.split_returns(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Literal[Colour.RED] | Literal[Colour.BLUE], Colour.BLUE),
        (Literal[Colour.RED] | Colour, Colour.BLUE),
        (Colour | Literal[Colour.RED], Colour.RED),
        (Literal[b"a"] | bytes, b"b"),
        (Literal[b"a"] | Literal["a"], "a"),
        (Literal[1] | float, 2.0),
        (Literal[True, b"a"], True),
        (Painted, Painted(colour=Colour.RED)),
    ],
)
def test_a_member_of_a_literal_in_a_union_comes_back_as_itself(annotation: Any, value: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), value)
        assert same(returned(marshaller, contract, value), value)
