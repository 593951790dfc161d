"""Every type that can travel, through whole calls: three wire formats and a local app, there and back."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import fractions
import ipaddress
import itertools
import pathlib
import string
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.carried import CARRIED, Access, Box, Colour, Crate, Level, Odd, Pair, Point, Word
from typeddingo import App, Config, JSONMarshaller, JSONSafeMarshaller, MsgpackMarshaller
from typeddingo.contract import Contract
from typeddingo.header import Header
from typeddingo.marshaller import Marshaller
from typeddingo.message import Report, Status, TaskMessage
from typeddingo.option import Option

MARSHALLERS: list[Marshaller] = [JSONMarshaller(), JSONSafeMarshaller(), MsgpackMarshaller()]
NUMBERS = itertools.count()
NAMES = [f"{i}-{getattr(case[0], '__name__', case[0])}" for i, case in enumerate(CARRIED)]


def echo_of(annotation: Any) -> Any:
    def echo(value: Any) -> Any:
        return value

    echo.__annotations__ = {"value": annotation, "return": annotation}
    return echo


def sent(marshaller: Marshaller, contract: Contract, value: object) -> object:
    """The value as the worker sees it."""
    args, _ = contract.bind((value,), {})
    frame = marshaller.encode_task(contract, TaskMessage(contract.name, "1", args))
    return marshaller.decode_task(contract, Header.from_bytes(frame), frame).args[0]


def returned(marshaller: Marshaller, contract: Contract, value: object) -> object:
    """The value as the caller sees it."""
    values = contract.split_returns(value)
    report = Report[object](contract.name, "1", Status.SUCCESS, Option(), None, values, value)
    frame = marshaller.encode_report(contract, report)
    return marshaller.decode_report(contract, Header.from_bytes(frame), frame).value


def same(left: object, right: object) -> bool:
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("marshaller", MARSHALLERS, ids=lambda marshaller: type(marshaller).__name__)
@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=NAMES)
def test_a_value_comes_back_as_itself_through_every_format(
    annotation: Any, value: object, marshaller: Marshaller
) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    assert same(sent(marshaller, contract, value), value)
    assert same(returned(marshaller, contract, value), value)


@pytest.fixture(scope="module", params=[False, True], ids=["by reference", "through the codec"])
def local(request: pytest.FixtureRequest) -> Iterator[App]:
    with App(config=Config(workers=1, marshal_locally=request.param)) as app:
        yield app


@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=NAMES)
def test_a_value_comes_back_as_itself_from_a_local_worker(annotation: Any, value: object, local: App) -> None:
    name = f"echo {next(NUMBERS)}"
    local.register(name, echo_of(annotation))
    assert same(local.call(name, value).get(timeout=10), value)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
offsets = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(
    lambda offset: dt.timezone(dt.timedelta(seconds=int(offset.total_seconds())))
)
aware = st.tuples(st.datetimes(), offsets).map(lambda both: both[0].replace(tzinfo=both[1]))
STRATEGIES: list[tuple[Any, st.SearchStrategy[object]]] = [
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (str, text),
    (bytes, st.binary()),
    (Decimal, st.decimals(allow_nan=False)),
    (complex, st.complex_numbers(allow_nan=False)),
    (fractions.Fraction, st.fractions()),
    (dt.datetime, st.datetimes() | aware),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas()),
    (uuid.UUID, st.uuids()),
    (pathlib.Path, st.text(string.ascii_letters + "/. \u00e9", max_size=20).map(pathlib.Path)),
    (ipaddress.IPv4Address | ipaddress.IPv6Address, st.ip_addresses()),
    (Colour | Odd | Level | Word, st.sampled_from([*Colour, *Odd, *Level, *Word])),
    (Access, st.sampled_from([Access(0), *Access, Access.READ | Access.WRITE])),
    (Point, st.builds(Point, st.integers(), st.floats(allow_nan=False))),
    (Box[str], st.tuples(text, st.lists(text)).map(lambda both: Box[str](*both))),
    (Crate[bytes], st.binary().map(lambda value: Crate[bytes](value))),
    (Pair, st.builds(Pair, st.integers(), text)),
    (list[int], st.lists(st.integers())),
    (set[str], st.sets(text)),
    (frozenset[dt.date], st.frozensets(st.dates())),
    (tuple[int, str, bool], st.tuples(st.integers(), text, st.booleans())),
    (tuple[bytes, ...], st.lists(st.binary()).map(tuple)),
    (collections.deque[int], st.lists(st.integers()).map(collections.deque)),
    (dict[int, str], st.dictionaries(st.integers(), text)),
    (dict[tuple[int, str], bytes], st.dictionaries(st.tuples(st.integers(), text), st.binary())),
    (dict[uuid.UUID, list[Decimal]], st.dictionaries(st.uuids(), st.lists(st.decimals(allow_nan=False)))),
    (int | float | str | bytes | None, st.none() | st.integers() | st.floats(allow_nan=False) | text | st.binary()),
    (uuid.UUID | str, st.uuids() | text | st.uuids().map(str)),
    (Decimal | str, st.decimals(allow_nan=False) | text | st.integers().map(str)),
    (list[dict[str, Point | None]], st.lists(st.dictionaries(text, st.none() | st.builds(Point, st.integers())))),
]


@pytest.mark.parametrize(("annotation", "values"), STRATEGIES, ids=[str(case[0]) for case in STRATEGIES])
def test_any_value_of_a_type_comes_back_as_itself(annotation: Any, values: st.SearchStrategy[object]) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(values)
    def comes_back(value: object) -> None:
        for marshaller in MARSHALLERS:
            assert same(sent(marshaller, contract, value), value)
            assert same(returned(marshaller, contract, value), value)

    comes_back()


def test_fields_set_after_creation_travel_too() -> None:
    @dataclasses.dataclass
    class Counter:
        name: str
        count: int = dataclasses.field(default=0, init=False)

    contract = Contract.of(echo_of(Counter), name="echo")
    counter = Counter("a")
    counter.count = 3
    for marshaller in MARSHALLERS:
        assert sent(marshaller, contract, counter) == counter
