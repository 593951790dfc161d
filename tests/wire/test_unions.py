"""Unions of what looks alike: the wire says which member a value was, however its parts are written."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest
from pydantic import BaseModel

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, sent
from typeddingo.contract import Contract


class Measured(BaseModel):
    at: float
    next: Measured | None = None


class Weighed(BaseModel):
    at: float
    next: Weighed | None = None


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
