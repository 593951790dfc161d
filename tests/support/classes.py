"""Classes that use what attrs, dataclasses and pydantic offer, with values. Comes from the tests of the codec."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import attrs
import pydantic
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    RootModel,
    computed_field,
    field_validator,
    model_validator,
)

T = TypeVar("T")
U = TypeVar("U")


@pydantic.dataclasses.dataclass
class Checked:
    a: int
    b: list[Decimal] = dataclasses.field(default_factory=list[Decimal])


@dataclasses.dataclass
class Base:
    a: int
    shared: ClassVar[int] = 3


@dataclasses.dataclass(slots=True, kw_only=True)
class Derived(Base):
    b: Annotated[Decimal, Field(gt=0)]
    c: Derived | None = None


@dataclasses.dataclass
class Doubled:
    a: int
    b: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.b = self.a * 2


@attrs.define(kw_only=True)
class Named:
    _x: int = attrs.field(alias="x")
    y: float = attrs.field(converter=float, default=1)
    z: list[str] = attrs.field(factory=list[str], alias="zed")


@attrs.define
class Positive:
    n: int = attrs.field(validator=attrs.validators.ge(0))
    more: dict[str, Positive] = attrs.Factory(dict[str, "Positive"])


@attrs.define(slots=False)
class Dated(Positive):
    when: dt.datetime | None = None


@attrs.frozen
class Both(Generic[T, U]):
    a: T
    b: dict[str, U]
    c: Both[T, U] | None = None


class Generic1(BaseModel, Generic[T]):
    x: T
    items: list[T]


class Shouting(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper, populate_by_name=True, frozen=True)
    foo_bar: int
    data: bytes = b""


class Validated(BaseModel):
    a: int
    b: str = ""

    @field_validator("b")
    @classmethod
    def upper(cls, value: str) -> str:
        return value.upper()

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know a decorated property
    @property
    def next(self) -> int:
        return self.a + 1

    @model_validator(mode="after")
    def positive(self) -> Validated:
        if self.a < 0:
            raise ValueError("a is negative")
        return self


class Extended(Validated):
    price: Decimal | str | None = None


class Measured(BaseModel):
    value: float
    more: list[float] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Rooted(RootModel[dict[str, list[Decimal]]]):
    pass


class Hiding(BaseModel):
    a: int
    hidden: int = Field(3, exclude=True)
    read_as: int = Field(4, validation_alias=AliasChoices("q", "r"))
    written_as: int = Field(5, serialization_alias="zz")


class Chain(TypedDict):
    next: NotRequired[Chain]
    value: Decimal


class Row(NamedTuple):
    a: Decimal
    base: Base
    rest: tuple[int, ...] = ()


@dataclasses.dataclass
class First:
    n: int
    kind: Literal["first"] = "first"


@dataclasses.dataclass
class Second:
    n: int
    kind: Literal["second"] = "second"


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    a: int
    b: tuple[str, ...]
    c: int = dataclasses.field(default=0, init=False)


OPEN = Open.model_validate({"a": 1, "b": 2, "c": ["x"]})
HIDING = Hiding.model_validate({"a": 1, "hidden": 9, "q": 8, "written_as": 7})

CLASSES: list[tuple[Any, object]] = [
    (Checked, Checked(1, [Decimal("1.0")])),
    (Derived, Derived(a=1, b=Decimal(2), c=Derived(a=2, b=Decimal(1)))),
    (Base, Base(1)),
    (Doubled, Doubled(3)),
    (Named, Named(x=1, y=2, zed=["q"])),
    (Positive, Positive(1, {"k": Positive(2)})),
    (Dated, Dated(1, {}, dt.datetime(2020, 1, 1))),
    (Both[int, Decimal], Both(1, {"a": Decimal(1)}, Both[int, Decimal](2, {}))),
    (Both[list[int], Base], Both([1], {"a": Base(1)})),
    (Generic1[Decimal], Generic1[Decimal](x=Decimal(1), items=[Decimal(2)])),
    (Generic1[Base], Generic1[Base](x=Base(1), items=[])),
    (Shouting, Shouting(foo_bar=1, data=b"\xff")),
    (Validated, Validated(a=1, b="x")),
    (Extended, Extended(a=1, price="1.0")),
    (Open, OPEN),
    (Measured, Measured(value=float("inf"), more=[float("-inf"), 1.0])),
    (Rooted, Rooted({"a": [Decimal(1)]})),
    (Hiding, HIDING),
    (Chain, {"next": {"value": Decimal(2)}, "value": Decimal(1)}),
    (list[Row], [Row(Decimal(1), Base(2), (1,)), Row(Decimal(1), Base(2))]),
    (First | Second, Second(1)),
    (Annotated[First | Second, Field(discriminator="kind")], Second(1)),
    (frozenset[Frozen], frozenset({Frozen(1, ("a",))})),
    (dict[Frozen, int], {Frozen(1, ()): 2}),
    (Sequence[Base], [Base(1)]),
    (InstanceOf[Base], Base(1)),
    (InstanceOf[Validated], Validated(a=1)),
    (Mapping[str, Base], {"a": Base(1)}),
    (list[Base | None] | dict[str, Base], {"a": Base(1)}),
    (dict[str | int, int], {"1": 1, 1: 2}),
    (dict[bytes, int], {b"\xff": 1}),
]
