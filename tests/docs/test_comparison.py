"""What the README's table claims of this library, measured: 31 types there and back through the default marshaller."""

from __future__ import annotations

import enum
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import pydantic
import pytest

from tests.docs.pages import README
from typeddingo import App, ArgumentError, Config, ErrorCode, TaskFailed


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Simple:
    name: str
    count: int


@dataclass(frozen=True)
class Rich:
    price: Decimal
    at: datetime
    parts: tuple[Simple, ...]


@attrs.frozen
class Attrs:
    price: Decimal
    name: str


class Model(pydantic.BaseModel):
    price: Decimal
    at: datetime


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Point(NamedTuple):
    x: int
    y: Decimal


class Movie(TypedDict):
    title: str
    released: date


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
NOW = datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC)
RICH = Rich(Decimal("1.10"), NOW, (Simple("a", 1),))

TYPES: dict[str, tuple[Any, object]] = {
    "int": (int, 7),
    "bigint": (int, 2**200),
    "float_inf": (float, float("inf")),
    "Decimal": (Decimal, Decimal("1.10")),
    "datetime": (datetime, NOW),
    "date": (date, NOW.date()),
    "time": (time, time(9, 30, 0, 5)),
    "timedelta": (timedelta, timedelta(days=3, microseconds=7)),
    "UUID": (uuid.UUID, uuid.UUID(int=5)),
    "Enum": (Color, Color.BLUE),
    "IntEnum": (Level, Level.HIGH),
    "dataclass": (Rich, RICH),
    "dataclass(simple)": (Simple, Simple("a", 1)),
    "attrs": (Attrs, Attrs(Decimal("1.10"), "a")),
    "pydantic": (Model, Model(price=Decimal("1.10"), at=NOW)),
    "set": (set[int], {1, 2}),
    "frozenset": (frozenset[str], frozenset({"a"})),
    "tuple": (tuple[int, str, Decimal], (1, "a", Decimal("1.10"))),
    "NamedTuple": (Point, Point(1, Decimal("1.10"))),
    "TypedDict": (Movie, {"title": "a", "released": NOW.date()}),
    "bytes": (bytes, b"\xff\x00"),
    "Optional[datetime]": (datetime | None, NOW),
    "None": (None, None),
    "Union[int,str]": (int | str, "1"),
    "Union[Decimal,str]": (Decimal | str, Decimal("1.10")),
    "discriminated": (Pet, Dog(tricks=["sit"])),
    "list[dataclass]": (list[Rich], [RICH]),
    "Literal": (Literal["a", "b"], "b"),
    "dict[int,Decimal]": (dict[int, Decimal], {1: Decimal("1.10")}),
    "nested generic": (dict[str, list[tuple[int, Rich | None]]], {"a": [(1, RICH), (2, None)]}),
    "Path": (Path, Path("a/b.py")),
}


def test_there_are_as_many_types_as_the_table_says() -> None:
    assert len(TYPES) == 31


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_arrives_as_it_was_as_argument_and_as_result(kind: str) -> None:
    annotation, value = TYPES[kind]
    seen: list[object] = []

    def task(value: object) -> object:
        seen.append(value)
        return value

    task.__annotations__ = {"value": annotation, "return": annotation}
    app = App("local", config=Config(marshal_locally=True))
    handle = app.register(f"echo {kind}", task)
    with app:
        result = handle.call(value).get(timeout=10)
    assert (seen, result) == ([value], value)
    assert type(seen[0]) is type(result) is type(value)
    assert repr(seen[0]) == repr(result) == repr(value)


def add(a: int, b: int) -> int:
    return a + b


def lies() -> int:
    return "not an int"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # what is tested


def test_a_text_for_an_int_is_refused_by_the_caller() -> None:
    app = App("local")
    task = app.register("add", add)
    unchecked: Any = "abc"
    with app, pytest.raises(ArgumentError):
        task.call(unchecked, 1)


def test_a_return_value_that_does_not_fit_its_annotation_fails_the_task() -> None:
    app = App("local")
    task = app.register("lies", lies)
    with app, pytest.raises(TaskFailed) as failed:
        task.call().get(timeout=10)
    assert failed.value.code == ErrorCode.RETURN


def test_the_readme_claims_what_is_measured_here() -> None:
    rows = re.findall(r"^\| (?P<what>[^|]+) \| (?P<ours>[^|]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    ours = dict(rows)
    assert ours["of 31 types, arrive as they were: arguments / results (JSON)"] == "31 / 31"
    assert ours['`"abc"` for an `int`, at run time'] == "refused by the caller"
