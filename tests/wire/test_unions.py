"""Unions of what looks alike: the wire says which member a value was, however its parts are written."""

from __future__ import annotations

import datetime as dt
import enum
import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo.contract import Contract


class Measured(BaseModel):
    at: float
    next: Measured | None = None


class Weighed(BaseModel):
    at: float
    next: Weighed | None = None


class Kind(enum.Enum):
    NEAR = "near"
    FAR = 2


class Word(enum.StrEnum):
    NEAR = "near"


class Level(enum.IntEnum):
    FAR = 2


class Near(BaseModel):
    kind: Literal[Kind.NEAR] = Kind.NEAR


class Far(BaseModel):
    kind: Literal[Kind.FAR] = Kind.FAR
    inner: Place | None = None


class NearWord(BaseModel):
    kind: Literal[Word.NEAR] = Word.NEAR


class FarLevel(BaseModel):
    kind: Literal[Level.FAR] = Level.FAR


Place = Annotated[Near | Far, Field(discriminator="kind")]

DAY = dt.timedelta(days=1)
FAR = Measured.model_construct(at=1, next=Measured.model_construct(at=2))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (dict[str, float] | dict[str, int], {"a": 1}),
        (list[list[float]] | list[str], [[1]]),
        (set[float] | list[float], {1}),
        (set[float] | list[float], [1, math.inf, 2.5]),
        (tuple[float, dt.timedelta] | str, (1, DAY)),
        (list[float | None] | list[str], [1, None]),
        (list[dict[str, float] | list[float]] | list[int], [{"a": 1}, [1]]),
        (Weighed | Measured, FAR),
        (Weighed | list[Measured], [FAR]),
    ],
)
def test_an_int_for_a_float_deep_inside_a_union_keeps_its_member(annotation: Any, value: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    for marshaller in MARSHALLERS:
        for loaded in (sent(marshaller, contract, value), returned(marshaller, contract, value)):
            assert type(loaded) is type(value)
            assert loaded == value


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Place, Near()),
        (Place, Far(inner=Far(inner=Near()))),
        (list[Place] | Place, [Near(), Far()]),
        (Annotated[NearWord | FarLevel, Field(discriminator="kind")], NearWord()),
        (Annotated[NearWord | FarLevel, Field(discriminator="kind")], FarLevel()),
        (Annotated[Near | FarLevel, Field(discriminator="kind")], FarLevel()),
    ],
)
def test_models_told_apart_by_an_enum_come_back_as_themselves(annotation: Any, value: object, strict: bool) -> None:
    contract = Contract.of(echo_of(annotation), name="echo", strict=strict)
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), value)
        assert same(returned(marshaller, contract, value), value)
