"""pydantic models of unusual make, and attrs classes inside what pydantic carries."""

from __future__ import annotations

import dataclasses
import enum
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Required, TypedDict, TypeVar

import attrs
import pytest
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.dataclasses import dataclass

from tests.unit.test_codec import contract_of
from tests.wire.test_roundtrip import MARSHALLERS, returned, same, sent
from typeddingo.errors import ArgumentError, DecodeError, SignatureError

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "r"
    TWO = 2


class Odd(enum.Enum):
    MONEY = Decimal(1)
    LIST = [1]  # noqa: RUF012  # a value, which cannot be hashed


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Values(BaseModel):
    model_config = ConfigDict(use_enum_values=True)
    colour: Colour
    odd: Odd = Odd.MONEY
    many: list[Colour] = []
    either: Colour | int | None = None
    access: Access = Access.READ | Access.WRITE


VALUES = [
    Values(colour=Colour.RED),
    Values(colour="r", odd=Odd.LIST, many=[Colour.TWO, Colour.RED], either=Colour.TWO),  # type: ignore[arg-type]  # what arrives  # pyright: ignore[reportArgumentType]  # the same
    Values(colour=Colour.TWO, either=7, access=Access.WRITE),
]


class TypedExtra(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Decimal]  # pyright: ignore[reportIncompatibleVariableOverride]  # pydantic's own way
    a: int


@attrs.define
class Holder(Generic[T]):
    value: T


class Holding(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    many: list[Holder[int]]
    one: Holder[Decimal] | None = None
    inner: list[Holding] = []


class Generically(BaseModel, Generic[T]):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    one: Holder[list[T]]


class Rooted(RootModel[Any]):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    root: dict[str, Holder[int]]


@dataclass(config=ConfigDict(arbitrary_types_allowed=True))
class HoldingToo:
    many: list[Holder[int]]


class Tuple(NamedTuple):
    one: Holder[int]


class Marked(TypedDict, total=False):
    a: Annotated[Required[int], "always"]
    b: Annotated[NotRequired[list[Holder[int]]], Field(max_length=2)]


class MarkedToo(typing_extensions.TypedDict, total=False):
    a: Annotated[Required[int], "always"]
    b: Annotated[NotRequired[list[int]], Field(max_length=2)]


CARRIED: list[tuple[Any, object]] = [
    *((Values, value) for value in VALUES),
    (TypedExtra, TypedExtra.model_validate({"a": 1, "b": Decimal("1.5"), "c": Decimal(2)})),
    (TypedExtra, TypedExtra.model_validate({"a": 1})),
    (Holding, Holding(many=[Holder(1)], one=Holder(Decimal(2)), inner=[Holding(many=[])])),
    (Generically[bytes], Generically[bytes](one=Holder([b"\xff"]))),
    (HoldingToo, HoldingToo([Holder(1)])),
    (Rooted, Rooted({"a": Holder(1)})),
    (list[Tuple], [Tuple(Holder(1))]),
    (Marked, {"a": 1, "b": [Holder(2)]}),
    (Marked, {"a": 1}),
    (MarkedToo, {"a": 1, "b": [2]}),
]


@pytest.mark.parametrize("marshaller", MARSHALLERS, ids=lambda marshaller: type(marshaller).__name__)
@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=str)
def test_an_unusual_model_comes_back_as_itself(annotation: Any, value: object, marshaller: Any) -> None:
    contract = contract_of(annotation)
    for back in (sent(marshaller, contract, value), returned(marshaller, contract, value)):
        assert same(back, value)
        assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("annotation", "value", "where"),
    [
        (Values, Values.model_construct(colour="x"), "value.colour: expected the value of a member of Colour"),
        (Values, Values.model_construct(colour=2.0), "value.colour: expected the value of a member of Colour"),
        (TypedExtra, TypedExtra.model_construct(a=1, b="x"), "value.b: expected"),
        (Holding, Holding.model_construct(many=[Holder("x")]), r"value.many\[0\].value: expected an int"),
        (Marked, {"b": []}, "value.a: expected a value, it is missing"),
        (Marked, {"a": 1, "b": [Holder(1)] * 3}, "value.b: "),
    ],
)
def test_what_does_not_fit_an_unusual_model_is_refused(annotation: Any, value: object, where: str) -> None:
    with pytest.raises(ArgumentError, match=where):
        contract_of(annotation).bind((value,), {})


def test_a_value_that_no_member_has_is_refused_on_arrival() -> None:
    with pytest.raises(DecodeError, match="expected the value of a member of Colour"):
        contract_of(Values).arguments.load_json(b'[{"colour":"x"}]')


class OwnConstructor(BaseModel):
    a: int
    b: int = 1

    def __init__(self, a: int, extra: int = 0) -> None:
        super().__init__(a=a + extra)


class TakesAll(BaseModel):
    a: int = Field(alias="A")

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class SameAlias(BaseModel):
    a: int = Field(alias="x")
    b: int = Field(validation_alias="x")


@dataclass
class SameAliasToo:
    a: int = Field(alias="x")
    b: int = Field(alias="x")


class TwoHolders(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    either: Holder[int] | list[Holder[str]]


@attrs.define
class Left:
    kind: Literal["left"] = "left"


@attrs.define
class Right:
    kind: Literal["right"] = "right"


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (OwnConstructor, r"OwnConstructor, whose __init__ does not take its fields by name \(a, b\)"),
        (list[OwnConstructor], "OwnConstructor, whose __init__"),
        (SameAlias, "two fields have the alias 'x'"),
        (SameAliasToo, "two fields have the alias 'x'"),
        (TwoHolders, r"Holder\[int\] and .*Holder\[str\]: give each a field of its own"),
        (Annotated[Left | Right, Field(discriminator="kind")], "Left is an attrs class: leave the discriminator out"),
    ],
)
def test_a_class_that_could_be_sent_and_not_arrive_is_refused_at_decoration(annotation: Any, reason: str) -> None:
    with pytest.raises(SignatureError, match=f"'value' .*{reason}"):
        contract_of(annotation)


def test_a_constructor_of_the_users_own_that_takes_the_fields_is_called_on_arrival() -> None:
    value = TakesAll(A=1)
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract_of(TakesAll), value), value)


@dataclass
class Counter:
    name: str
    count: int = dataclasses.field(default=0, init=False)
    parts: list[Counter] = dataclasses.field(default_factory=list["Counter"])


@dataclass(frozen=True)
class Doubled:
    a: int
    b: Decimal = dataclasses.field(default=Decimal(0), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "b", Decimal(self.a * 2))


def late(value: T, **fields: object) -> T:
    for name, item in fields.items():
        object.__setattr__(value, name, item)
    return value


LATE = [Counter("a"), late(Counter("b", [late(Counter("c"), count=2)]), count=3), late(Doubled(1), b=Decimal("0.5"))]


@pytest.mark.parametrize("value", LATE, ids=str)
def test_a_field_that_the_constructor_does_not_take_keeps_its_value(value: object) -> None:
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract_of(type(value)), value), value)
        assert same(returned(marshaller, contract_of(type(value)), value), value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"name":1,"count":1}', "value.name: "),
        ('{"name":"a","count":"x"}', "value.count: "),
        ('{"name":"a","more":1}', "value.more: "),
        ('{"name":"a","parts":[{"name":"b","count":null}]}', r"value.parts\[0\].count: "),
        ("[]", "value: "),
    ],
)
def test_a_field_that_the_constructor_does_not_take_is_checked_on_arrival(text: str, where: str) -> None:
    row = contract_of(Counter).arguments
    assert row.load_json(b'[{"name":"a"}]') == (Counter("a"),), "it may be left out"
    with pytest.raises(DecodeError, match=where):
        row.load_json(f"[{text}]".encode())
