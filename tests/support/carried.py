"""Values of every annotation that can travel, and values that must be refused. Comes from the tests of the codec."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import fractions
import ipaddress
import math
import pathlib
import typing
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, Required, TypeVar

import attrs
import pydantic
from pydantic import BaseModel, Field, JsonValue, SecretStr
from typing_extensions import TypeAliasType

from tests.support.classes import CLASSES

T = TypeVar("T")
UTC = dt.timezone.utc  # noqa: UP017  # what comes back is this object
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Odd(enum.Enum):
    PAIR = (1, 2)
    MONEY = Decimal(1)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: float = 1.0


@dataclasses.dataclass(kw_only=True)
class Node:
    point: Point
    when: dt.datetime
    tags: set[str]
    next: Node | None = None
    visits: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class Box(Generic[T]):
    value: T
    more: list[T]


@attrs.frozen
class Crate(Generic[T]):
    value: T


class Model(BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    number: int = Field(alias="NO")
    secret: SecretStr
    key: uuid.UUID | str
    price: Decimal | str
    point: Point | None = None
    parts: list[Model] = []
    _private: int = pydantic.PrivateAttr(3)


@attrs.define
class Parcel:
    model: Model
    prices: dict[uuid.UUID, Decimal]
    inner: Parcel | None = None
    data: bytes = b""


class Mixed(BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    parcel: Parcel
    node: Node


class Pair(NamedTuple):
    a: int
    b: str = "x"


class Partial(typing.TypedDict, total=False):
    a: Required[int]
    b: list[Decimal]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    n: int = 1


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    n: int = 1


@dataclasses.dataclass
class Left:
    n: int


@dataclasses.dataclass
class Right:
    n: int


@dataclasses.dataclass
class Longer(Left):
    z: int = 1


class BiggerModel(Model):
    extra: int = 1


class MyInt(int):
    pass


Nested = TypeAliasType("Nested", "dict[str, Nested] | list[Nested] | str | int | None")
Tree = TypeAliasType("Tree", "dict[str, Tree] | Decimal")
UserId = NewType("UserId", int)
Place = NewType("Place", Point)

MODEL = Model(
    NO=1,
    secret=SecretStr("s"),
    key=str(ID),
    price="1.10",
    point=Point(1),
    parts=[Model(NO=2, secret=SecretStr("t"), key=ID, price=Decimal("1.10"))],
)
NODE = Node(
    point=Point(3, 2.5),
    when=dt.datetime(2020, 1, 1, tzinfo=UTC),
    tags={"a"},
    next=Node(point=Point(1), when=dt.datetime(2020, 1, 1, 0, 0, 0, 120000), tags=set()),
)
PARCEL = Parcel(MODEL, {ID: Decimal("1.0")}, Parcel(MODEL, {}), b"\xff\x00")

# ruff: noqa: E501, UP045  # tables, read across; Optional[T] is one of the spellings
CARRIED: list[tuple[Any, object]] = [
    (int, 10**30), (int, -5), (float, 1.5), (float, math.inf), (float, -math.inf), (bool, True), (type(None), None),
    (str, "a\u00e9\U0001f600\0"), (bytes, bytes(range(256))), (bytearray, bytearray(b"x")),
    (Decimal, Decimal("1.10")), (Decimal, Decimal("1E+50")), (Decimal, Decimal("-0")), (complex, 1 - 2j),
    (fractions.Fraction, fractions.Fraction(1, 3)),
    (dt.datetime, dt.datetime(2020, 1, 2, 3, 4, 5, 678000)),
    (dt.datetime, dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
    (dt.date, dt.date(2020, 2, 29)), (dt.time, dt.time(1, 2, 3, 4)), (dt.timedelta, dt.timedelta(days=-1, microseconds=1)),
    (dt.timedelta, dt.timedelta.max), (uuid.UUID, ID), (pathlib.Path, pathlib.Path("/a/b")),
    (pathlib.PurePath, pathlib.PurePath("x")), (ipaddress.IPv4Address, ipaddress.IPv4Address("1.2.3.4")),
    (ipaddress.IPv6Address, ipaddress.IPv6Address("::1")),
    (Colour, Colour.RED), (Colour, Colour.BLUE), (Odd, Odd.PAIR), (Odd, Odd.MONEY), (Level, Level.LOW), (Word, Word.A),
    (Access, Access.READ | Access.WRITE), (Point, Point(1)), (Node, NODE), (Box[int], Box(1, [2])),
    (Box[Decimal], Box(Decimal(1), [Decimal(2)])), (list[Box[Point]], [Box(Point(1), [])]), (Model, MODEL), (Parcel, PARCEL),
    (Crate[int], Crate(3)), (Mixed, Mixed(parcel=PARCEL, node=NODE)), (list[int], [1, 2]), (set[str], {"a"}),
    (frozenset[Decimal], frozenset({Decimal(1)})), (tuple[int, str], (1, "a")), (tuple[int, ...], (1, 2, 3)), (tuple[()], ()),
    (collections.deque[int], collections.deque([1, 2])), (collections.deque[int], collections.deque([1], 5)),
    (collections.OrderedDict[str, int], collections.OrderedDict(b=1, a=2)),
    (collections.defaultdict[str, int], collections.defaultdict(int, a=1)), (collections.Counter[str], collections.Counter("aab")),
    (Pair, Pair(1, "y")), (Partial, {"a": 1, "b": [Decimal(1)]}), (Partial, {"a": 1}), (Literal[1, "a"], 1),
    (Literal[Colour.RED, Word.A], Word.A), (Literal[b"x"], b"x"), (Optional[dt.datetime], None), (Optional[Decimal], Decimal(2)),
    (int | str, "1"), (int | str, 1), (int | None | str, None), (bool | int, True), (bool | int, 1), (float | int, 1),
    (float | int, 1.0), (float | str, "NaN"), (float | str, math.inf), (Decimal | str, "1.10"), (Decimal | str, Decimal("1.10")),
    (uuid.UUID | str, str(ID)), (uuid.UUID | str, ID), (bytes | str, "YQ=="), (bytes | str, b"YQ=="),
    (dt.date | dt.datetime, dt.date(2020, 1, 1)), (dt.date | dt.datetime, dt.datetime(2020, 1, 1)),
    (list[int] | list[str], ["a"]), (list[int] | list[str], [1]), (Left | Right, Right(3)), (Left | Right, Left(3)),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Dog()), (Cat | Dog, Dog()), (dict[int, str], {1: "a", -2: "b"}),
    (dict[uuid.UUID, int], {ID: 1}), (dict[Decimal, int], {Decimal("1.10"): 1}), (dict[Colour, int], {Colour.RED: 1, Colour.BLUE: 2}),
    (dict[Level, int], {Level.LOW: 1}), (dict[dt.date, int], {dt.date(2020, 1, 1): 1}),
    (dict[tuple[int, str], Decimal], {(1, "a"): Decimal(1)}), (dict[bool, int], {True: 1}), (dict[Point, int], {Point(1): 1}),
    (dict[str, dict[str, list[Point | None]]], {"a": {"b": [None, Point(1)]}}), (Nested, {"a": [1, "x", None, {"b": "c"}]}),
    (Tree, {"a": {"b": Decimal(1)}}), (UserId, 3), (Place, Point(3)), (Annotated[int, Field(gt=0)], 3),
    (Annotated[Decimal, Field(gt=0)], Decimal("3.5")), (JsonValue, {"a": [1, 2.5, None, "x", True]}), (list[float], [1.0, math.inf]),
    (SecretStr, SecretStr("x")), (Sequence[int], [1]), (Mapping[str, int], {"a": 1}), (set[tuple[int, bytes]], {(1, b"\xff")}),
    (set[Point], {Point(1)}), (JsonValue | Decimal, Decimal(1)), (JsonValue | Decimal, "1"), (JsonValue | Decimal, [1]),
]  # fmt: skip

CARRIED.extend(CLASSES)

REFUSED: list[tuple[Any, object, tuple[str | int, ...]]] = [
    (int, True, ()), (int, "5", ()), (int, 1.0, ()), (int, MyInt(3), ()), (int, Level.LOW, ()), (int, 10**4301, ()), (int, None, ()),
    (str, 5, ()), (str, Word.A, ()), (str, "\ud800", ()), (list[str], ["\ud800"], ()), (bytes, bytearray(b"x"), ()),
    (list[int], [1, "x"], (1,)), (list[int], [1, True], (1,)), (list[int], [MyInt(1)], ()), (list[int], (1,), ()),
    (float, True, ()), (float, "1", ()), (Decimal, 1.0, ()), (Decimal, "1", ()), (dt.date, dt.datetime(2020, 1, 1), ()),
    (dt.datetime, dt.date(2020, 1, 1), ()), (uuid.UUID, str(ID), ()), (pathlib.Path, "x", ()), (Colour, 1, ()),
    (Model, BiggerModel(NO=1, secret=SecretStr("s"), key="k", price="p"), ()), (Left, Longer(1), ()),
    (Left, Left("x"), ("n",)), (Left | Right, Left("x"), ("n",)),  # type: ignore[arg-type]  # mypy would say so
    (Node, dataclasses.replace(NODE, point=Point("y")), ("point", "x")),  # type: ignore[arg-type]  # mypy would say so
    (set[int], {"a"}, (0,)), (dict[str, int], {"a": "b"}, ("a",)), (tuple[int, str], (1,), (1,)), (tuple[int, str], [1, "a"], ()),
    (Literal[1, "a"], 2, ()), (Literal[1], True, ()), (Partial, {"b": []}, ("a",)), (Partial, {"a": 1, "c": 2}, ("c",)),
    (Partial, {"a": "x"}, ("a",)), (Pair, (1, "a"), ()), (Optional[int], "x", ()), (int | str, 1.5, ()),
    (Annotated[int, Field(gt=0)], -1, ()), (Annotated[list[int], Field(max_length=1)], [1, 2], ()), (Decimal | str, 5, ()),
    (JsonValue, {"a": (1,)}, ()), (JsonValue, math.nan, ()), (collections.deque[int], [1], ()), (Parcel, MODEL, ()),
]  # fmt: skip
