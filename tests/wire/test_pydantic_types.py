"""The types pydantic brings along: they come back as themselves, of the very class that was annotated."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ByteSize,
    Field,
    HttpUrl,
    PlainSerializer,
    PostgresDsn,
    RedisDsn,
    UrlConstraints,
)

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError, DecodeError


class Site(BaseModel):
    address: HttpUrl
    database: PostgresDsn | None = None
    size: ByteSize


HOME = HttpUrl("http://example.com/a?b=c#d")
DATABASE = PostgresDsn("postgres://user@one,two:5432/data")
SITE = Site(address=HOME, database=DATABASE, size=ByteSize(3000))
Short = Annotated[HttpUrl, UrlConstraints(max_length=30)]

ITSELF: list[tuple[Any, object]] = [
    (HttpUrl, HOME),
    (AnyUrl, AnyUrl("other://place")),
    (PostgresDsn, DATABASE),
    (RedisDsn, RedisDsn("redis://host")),
    (HttpUrl | str, HOME),
    (HttpUrl | str, str(HOME)),
    (HttpUrl | AnyUrl, AnyUrl(str(HOME))),
    (dict[HttpUrl, int], {HOME: 1}),
    (Short, HOME),
    (Annotated[HttpUrl, PlainSerializer(lambda url: len(str(url)))], HOME),
    (Annotated[HttpUrl, AfterValidator(lambda url: url)], HOME),
    (ByteSize, ByteSize(5)),
    (Annotated[ByteSize, Field(gt=3)], ByteSize(5)),
    (ByteSize | int, 5),
    (ByteSize | str, ByteSize(5)),
    (Site, SITE),
    (list[Site] | str, [SITE]),
]

REFUSED: list[tuple[Any, object]] = [
    (HttpUrl, str(HOME)),
    (HttpUrl, AnyUrl(str(HOME))),
    (AnyUrl, HOME),
    (Short, HttpUrl("http://example.com/" + "a" * 30)),
    (ByteSize, 5),
    (ByteSize, "5kb"),
    (ByteSize, ByteSize(-1)),
    (Annotated[ByteSize, Field(gt=3)], ByteSize(3)),
    (Site, SITE.model_copy(update={"size": 3000})),
    (Site, SITE.model_copy(update={"address": str(HOME)})),
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("annotation", "value"), ITSELF)
def test_a_url_or_a_size_comes_back_as_itself(annotation: Any, value: object, strict: bool) -> None:
    contract = Contract.of(echo_of(annotation), name="echo", strict=strict)
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), value)
        assert same(returned(marshaller, contract, value), value)


@pytest.mark.parametrize(("annotation", "value"), REFUSED)
def test_what_only_looks_like_a_url_or_a_size_is_refused(annotation: Any, value: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    with pytest.raises(ArgumentError, match=r"URL|ByteSize|expected greater"):
        contract.bind((value,), {})
    with pytest.raises(ReturnMisfit, match=r"URL|ByteSize|expected greater"):
        contract.split_returns(value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (HttpUrl, '"ftp://example.com"'),
        (HttpUrl, '"nowhere"'),
        (HttpUrl, "1"),
        (Short, f'"http://example.com/{"a" * 30}"'),
        (ByteSize, "-1"),
        (ByteSize, '"5kb"'),
    ],
)
def test_the_constraints_of_a_url_or_a_size_hold_on_arrival(annotation: Any, text: str) -> None:
    with pytest.raises(DecodeError, match="value"):
        Contract.of(echo_of(annotation), name="echo").arguments.load_json(f"[{text}]".encode())


@pytest.mark.parametrize(
    ("annotation", "value", "corrected"),
    [
        (HttpUrl, str(HOME), HOME),
        (HttpUrl, AnyUrl(str(HOME)), HOME),
        (ByteSize, 5, ByteSize(5)),
        (ByteSize, "5kb", ByteSize(5000)),
        (Site, {"address": str(HOME), "database": str(DATABASE), "size": "3kb"}, SITE),
    ],
)
def test_where_it_is_allowed_text_becomes_the_url_or_the_size(
    annotation: Any, value: object, corrected: object
) -> None:
    contract = Contract.of(echo_of(annotation), name="echo", strict=False)
    [checked], _ = contract.bind((value,), {})
    assert same(checked, corrected)
    assert all(same(sent(marshaller, contract, value), corrected) for marshaller in MARSHALLERS)
