"""Serializers of the user's own say how a value is presented; on the wire it is the value that travels."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import (
    Base64Bytes,
    Base64Str,
    Base64UrlBytes,
    BaseModel,
    Field,
    Json,
    PlainSerializer,
    SerializeAsAny,
    WrapSerializer,
    field_serializer,
    model_serializer,
)

from tests.support.carried import Point
from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo.contract import Contract
from typeddingo.errors import SignatureError

EPOCH = dt.datetime(1970, 1, 2)
ID = uuid.UUID(int=5)


class Presented(BaseModel):
    when: dt.datetime = EPOCH
    key: uuid.UUID | str = ""
    more: list[Presented] = []

    @field_serializer("when")
    def as_number(self, value: dt.datetime) -> float:
        return value.timestamp()

    @field_serializer("key", mode="wrap")
    def shouted(self, value: object, handler: Callable[[object], object]) -> str:
        return str(handler(value)).upper()


class Enveloped(BaseModel):
    n: int

    @model_serializer(mode="wrap")
    def envelope(self, handler: Callable[[object], dict[str, object]]) -> dict[str, object]:
        return {"envelope": handler(self)}


class Summed(BaseModel):
    numbers: list[int]

    @model_serializer
    def total(self) -> int:
        return sum(self.numbers)


class Named(BaseModel):
    """Its fields are called as parts of a schema are."""

    serialization: int = 1
    config: Point
    metadata: list[Point] = []
    type: str = "a"


class Texted(TypedDict):
    n: Annotated[int, PlainSerializer(str)]


Text = Annotated[int, PlainSerializer(str)]
Seconds = Annotated[dt.timedelta, PlainSerializer(dt.timedelta.total_seconds)]


def counted(value: Any, handler: Any) -> int:
    return len(handler(value))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Text, 5),
        (Text | bytes, 5),
        (list[Text], [5]),
        (dict[Text, Seconds], {1: dt.timedelta(seconds=1)}),
        (Annotated[list[dt.timedelta], WrapSerializer(counted)], [dt.timedelta(1)]),
        (Annotated[int | str, PlainSerializer(str)], 1),
        (Annotated[set[int], PlainSerializer(sorted, when_used="json")], {1, 2}),
        (Annotated[tuple[int, str], PlainSerializer(str)] | int, (1, "a")),
        (Presented, Presented(when=EPOCH, key=ID, more=[Presented(key=str(ID))])),
        (list[Presented] | Text, [Presented(key=str(ID))]),
        (Enveloped, Enveloped(n=1)),
        (Enveloped | Summed, Summed(numbers=[1, 2])),
        (SerializeAsAny[Enveloped], Enveloped(n=1)),
        (Texted, {"n": 1}),
        (Named, Named(config=Point(1), metadata=[Point(2)])),
        (Base64Bytes, b"abcd"),
        (Base64Bytes, b"\xff not base64"),
        (Base64UrlBytes | str, b"abcd"),
        (Base64Str, "abcd"),
        (Annotated[Base64Bytes, Field(max_length=4)], b"abcd"),
        (Json[int], 5),
        (Json[list[dt.date]], [dt.date(2020, 1, 2)]),
    ],
)
def test_a_value_with_a_serializer_comes_back_as_itself(annotation: Any, value: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), value)
        assert same(returned(marshaller, contract, value), value)


def present(first: Presented, second: Presented, third: SerializeAsAny[Enveloped], fourth: Enveloped) -> None: ...


def test_a_class_with_a_serializer_comes_back_as_itself_when_it_is_named_twice() -> None:
    row = Contract.of(present, name="present").arguments
    values = (Presented(key=ID), Presented(key=str(ID)), Enveloped(n=1), Enveloped(n=2))
    assert row.load_json(row.dump_json(values)) == values
    assert row.load_tree(row.dump_tree(values)) == values


@pytest.mark.parametrize("annotation", [Annotated[Any, PlainSerializer(str)], Json])
def test_a_serializer_does_not_make_what_says_nothing_into_something(annotation: Any) -> None:
    with pytest.raises(SignatureError, match="Any and object"):
        Contract.of(echo_of(annotation), name="echo")
