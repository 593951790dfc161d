"""Validators in annotations: what a function gets is the same by reference and over the wire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    IPvAnyAddress,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WrapValidator,
    field_validator,
    model_serializer,
    model_validator,
)

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo import App, Config
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError, DecodeError


class Pair(NamedTuple):
    low: int
    high: int


RUNS: list[str] = []


class Counted(BaseModel):
    n: int

    @model_validator(mode="after")
    def count(self) -> Counted:
        RUNS.append("count")
        return self

    @model_validator(mode="after")
    def count_again(self) -> Counted:
        RUNS.append("again")
        return self


def ordered(pair: Pair) -> Pair:
    if pair.low > pair.high:
        raise ValueError("low is not low")
    return pair


def positive(counted: Counted) -> Counted:
    if counted.n < 0:
        raise ValueError("n is negative")
    return counted


def absolute(value: object, handler: Callable[[object], int]) -> int:
    return abs(handler(value))


def without_unit(text: str) -> int:
    return int(text.removesuffix("kg"))


def with_unit(weight: int) -> str:
    return f"{weight}kg"


class Parcel(BaseModel):
    """Reads what it writes, in its own way; neither is what travels."""

    when: dt.datetime
    until: dt.datetime
    weight: Annotated[int, BeforeValidator(without_unit), PlainSerializer(with_unit)]
    more: list[Parcel] = []

    @field_validator("when", mode="before")
    @classmethod
    def read_day(cls, value: object) -> object:
        return dt.datetime.strptime(value, "%d.%m.%Y") if isinstance(value, str) else value

    @field_validator("until", mode="wrap")
    @classmethod
    def read_last_day(cls, value: object, handler: Callable[[object], dt.datetime]) -> dt.datetime:
        return handler(cls.read_day(value))

    @model_serializer(mode="wrap")
    def write(self, handler: Callable[[object], dict[str, object]]) -> dict[str, object]:
        return {"parcel": handler(self)}

    @model_validator(mode="before")
    @classmethod
    def unwrap(cls, value: dict[str, object]) -> object:
        return value["parcel"]


RAW = {"parcel": {"when": "1.2.2020", "until": "2.2.2020", "weight": "3kg"}}
PARCEL = Parcel.model_validate(RAW).model_copy(update={"more": [Parcel.model_validate(RAW)]})


def this_century(value: dt.datetime, handler: Callable[[object], dt.datetime]) -> dt.datetime:
    if value.year < 2000:
        raise ValueError("too early")
    return handler(value)


Lower = Annotated[str, StringConstraints(to_lower=True)]
Stripped = Annotated[str, StringConstraints(strip_whitespace=True, max_length=3)]
Sorted = Annotated[list[int], AfterValidator(sorted)]
Absolute = Annotated[int, WrapValidator(absolute)]
Plain = Annotated[int, PlainValidator(int)]
Next = Annotated[int, AfterValidator(lambda number: number + 1)]
Ordered = Annotated[Pair, AfterValidator(ordered)]
Positive = Annotated[Counted, AfterValidator(positive)]

CASES: list[tuple[Any, Any, Any]] = [
    (Lower, "a", "A"),
    (Lower | int, "a", "A"),
    (list[Lower], ["a"], ["A"]),
    (dict[Lower, int], {"a": 1}, {"A": 1}),
    (Stripped, "abc", " a "),
    (Sorted, [1, 2], [2, 1]),
    (Absolute, 1, -1),
    (Plain, 1, "1"),
    (Ordered, Pair(1, 2), Pair(2, 1)),
    (Positive, Counted(n=1), Counted(n=-1)),
    (Annotated[float, AfterValidator(lambda number: number * 1.0)], 1.5, "1.5"),
]


@pytest.mark.parametrize(("annotation", "kept", "changed"), CASES)
def test_a_value_that_its_annotation_changes_is_refused(annotation: Any, kept: object, changed: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, kept), kept)
    with pytest.raises(ArgumentError):
        contract.bind((changed,), {})
    with pytest.raises(ReturnMisfit):
        contract.split_returns(changed)


def test_the_error_does_not_say_what_became_of_the_value() -> None:
    with pytest.raises(ArgumentError, match="expected a value that the annotation does not change") as caught:
        Contract.of(echo_of(Lower), name="echo").bind(("Canary",), {})
    assert "canary" not in str(caught.value).lower()


@pytest.mark.parametrize(("annotation", "value"), [(Next, 1), (list[Next], [1])])
@pytest.mark.parametrize("strict", [True, False])
def test_an_annotation_that_changes_every_value_takes_none(annotation: Any, value: object, strict: bool) -> None:
    with pytest.raises(ArgumentError):
        Contract.of(echo_of(annotation), name="echo", strict=strict).bind((value,), {})


@pytest.mark.parametrize(
    ("annotation", "value", "corrected"),
    [
        (Lower, "A", "a"),
        (Stripped, " a ", "a"),
        (Sorted, [2, 1], [1, 2]),
        (Absolute, -1, 1),
        (Plain, "1", 1),
    ],
)
@pytest.mark.parametrize("marshal", [False, True])
def test_where_it_is_allowed_the_value_is_changed_once_whichever_way_it_goes(
    annotation: Any, value: object, corrected: object, marshal: bool
) -> None:
    with App(config=Config(marshal_locally=marshal)) as app:
        app.register("echo", echo_of(annotation), strict=False)
        assert same(app.call("echo", value).get(timeout=10), corrected)


def test_an_address_of_any_version_is_no_text() -> None:
    with pytest.raises(ArgumentError):
        Contract.of(echo_of(IPvAnyAddress), name="echo").bind(("1.2.3.4",), {})


@pytest.mark.parametrize("annotation", [Counted, tuple[Counted, Counted], Positive, tuple[Positive, Counted]])
def test_validators_of_a_model_do_not_run_again_where_it_is_sent(annotation: Any) -> None:
    counted = Counted(n=1)
    RUNS.clear()
    contract = Contract.of(echo_of(annotation), name="echo")
    contract.bind(((counted, counted) if annotation not in (Counted, Positive) else counted,), {})
    assert not RUNS


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Parcel, PARCEL),
        (Parcel | Counted, PARCEL),
        (Annotated[int, BeforeValidator(lambda number: number * 2)], 3),
        (Annotated[int | str, BeforeValidator(int)], "3"),
        (Annotated[dt.datetime, WrapValidator(this_century)], dt.datetime(2020, 1, 1)),
        (Annotated[Counted, BeforeValidator(lambda counted: counted.n)], Counted(n=1)),
    ],
)
def test_validators_see_the_value_and_never_its_wire_form(annotation: Any, value: object, strict: bool) -> None:
    contract = Contract.of(echo_of(annotation), name="echo", strict=strict)
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract, value), value)
        assert same(returned(marshaller, contract, value), value)


def test_a_validator_around_a_value_holds_on_arrival() -> None:
    contract = Contract.of(echo_of(Annotated[dt.datetime, WrapValidator(this_century)]), name="echo")
    with pytest.raises(DecodeError, match="too early"):
        contract.arguments.load_json(b'["1999-01-01T00:00:00"]')


def test_raw_input_is_prepared_where_corrections_are_allowed() -> None:
    contract = Contract.of(echo_of(Parcel), name="echo", strict=False)
    [parcel], _ = contract.bind((RAW,), {})
    assert parcel == Parcel.model_validate(RAW)
    with pytest.raises(ArgumentError):
        Contract.of(echo_of(Parcel), name="echo").bind((RAW,), {})
