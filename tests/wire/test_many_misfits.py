"""A frame in which nearly everything is wrong costs no more than one in which all is right."""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from tests.unit.test_codec import contract_of
from typeddingo.errors import ArgumentError, DecodeError

MANY = 50_000
SECONDS = 5.0
"""Far more than it takes; what was quadratic took minutes."""


class Closed(TypedDict):
    x: int


class Model(BaseModel):
    x: int = 1


@dataclasses.dataclass
class Point:
    x: int
    model: Model | None = None


def keys(value: str) -> str:
    return "{" + ",".join(f'"k{i}":{value}' for i in range(MANY)) + "}"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (dict[str, int], keys('""')),
        (dict[int, int], keys("1")),
        (dict[str, Point], keys('{"x":""}')),
        (dict[tuple[int, int], int], "[" + ",".join(['[[1,1],""]'] * MANY) + "]"),
        (collections.deque[int], "[" + ",".join(['""'] * MANY) + "]"),
        (collections.Counter[str], keys('""')),
    ],
    ids=str,
)
def test_many_wrong_items_are_refused_at_the_first(annotation: Any, text: str) -> None:
    row = contract_of(annotation).arguments
    started = time.process_time()
    with pytest.raises(DecodeError) as caught:
        row.load_json(f"[{text}]".encode())
    assert time.process_time() - started < SECONDS
    assert len(caught.value.misfits) == 1


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(Closed, keys("1")), (Model, keys("1")), (Point, keys("1")), (Point, '{"x":1,"model":' + keys("1") + "}")],
    ids=["typed dict", "model", "dataclass", "model inside"],
)
def test_many_unknown_keys_are_refused_without_a_list_of_them(annotation: Any, text: str) -> None:
    row = contract_of(annotation).arguments
    started = time.process_time()
    with pytest.raises(DecodeError) as caught:
        row.load_json(f"[{text}]".encode())
    assert time.process_time() - started < SECONDS
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(list[int], ["x"] * MANY), (dict[str, int], dict.fromkeys(map(str, range(MANY)), "x"))],
    ids=["list", "dict"],
)
def test_many_wrong_values_of_a_caller_are_told_at_once(annotation: Any, value: object) -> None:
    started = time.process_time()
    with pytest.raises(ArgumentError, match=r"value(\[|\.)0\]?: expected.* more\.") as caught:
        contract_of(annotation).bind((value,), {})
    assert time.process_time() - started < SECONDS
    assert len(caught.value.misfits) == 1_000
