"""Converters of the user's own: asked first, at any depth, in the worker and in the caller."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import cast

import attrs
import cattrs
import pytest

from typeddingo import (
    App,
    ArgumentError,
    Config,
    Converter,
    DecodeError,
    SignatureError,
    TaskFailed,
    Tree,
    ValueConverter,
)
from typeddingo.contract import Contract
from typeddingo.converters.cattrs import CattrsConverter

SECONDS = 10.0


class Celsius:
    """A plain class, which no built-in converter carries."""

    def __init__(self, degrees: int) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Celsius) and other.degrees == self.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


class CelsiusAsText:
    def check(self, value: object, /) -> object:
        if type(value) is not Celsius:
            raise ValueError("expected a temperature")
        return value

    def dump(self, value: object, /, *, binary: bool) -> Tree:
        return f"{cast('Celsius', value).degrees} C"

    def load(self, tree: object, /, *, binary: bool) -> object:
        if type(tree) is not str or not tree.endswith(" C"):
            raise ValueError("expected a temperature")
        return Celsius(int(tree[:-2]))


class Temperatures:
    """Takes one class, and leaves everything else to the built-in converters."""

    def handles(self, annotation: object, /) -> bool:
        return annotation is Celsius

    def prepare(self, annotation: object, /) -> ValueConverter:
        return CelsiusAsText()


@dataclass
class Day:
    name: str
    noon: Celsius


def warmer(days: list[Day], by: Celsius) -> dict[str, Celsius | None]:
    return {day.name: Celsius(day.noon.degrees + by.degrees) for day in days}


CONVERTER: Converter = Temperatures()


def test_a_plain_class_is_refused_without_a_converter_of_its_own() -> None:
    with pytest.raises(SignatureError, match="class Celsius"):
        Contract.of(warmer, name="warmer")


@pytest.mark.parametrize("marshal", [False, True])
@pytest.mark.parametrize("marshaller", [1, 2, 3])
def test_a_converter_carries_its_class_at_any_depth_there_and_back(marshal: bool, marshaller: int) -> None:
    with App(config=Config(marshal_locally=marshal)) as app:
        task = app.register("warmer", warmer, converter=CONVERTER, marshaller=marshaller, report_marshaller=marshaller)
        result = task.call([Day("monday", Celsius(20))], Celsius(2))
        assert result.get(SECONDS) == {"monday": Celsius(22)}


def test_what_a_converter_refuses_is_an_argument_error_at_its_place() -> None:
    contract = Contract.of(warmer, name="warmer", converter=CONVERTER)
    with pytest.raises(ArgumentError, match=r"days\[0\]\.noon: .*expected a temperature"):
        contract.bind(([Day("monday", cast("Celsius", 20))], Celsius(2)), {})
    with pytest.raises(DecodeError, match=r"by: .*expected a temperature"):
        contract.arguments.load_json(b'[[],"warm"]')


@attrs.define
class Host:
    address: ipaddress.IPv4Address


def host_converter() -> CattrsConverter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(ipaddress.IPv4Address, int)
    converter.register_structure_hook(ipaddress.IPv4Address, lambda tree, _: ipaddress.IPv4Address(tree))
    return CattrsConverter(converter)


def test_a_cattrs_converter_of_the_users_own_is_used_with_its_hooks() -> None:
    def same(host: Host) -> list[Host]:
        return [host]

    contract = Contract.of(same, name="same", converter=host_converter())
    host = Host(ipaddress.IPv4Address("1.2.3.4"))
    data = contract.arguments.dump_json((host,))
    assert data == b'[{"address":16909060}]'
    assert contract.arguments.load_json(data) == (host,)
    with pytest.raises(DecodeError, match="host: expected what the converter of Host takes"):
        contract.arguments.load_json(b'[{"address":"nowhere"}]')
    with pytest.raises(ArgumentError, match="host: expected Host itself"):
        contract.bind(("1.2.3.4",), {})


def test_a_converter_that_fails_on_a_return_value_fails_the_task() -> None:
    def broken(by: Celsius) -> Celsius:
        return cast("Celsius", by.degrees)

    with App() as app:
        task = app.register("broken", broken, converter=CONVERTER)
        with pytest.raises(TaskFailed, match="does not fit"):
            task.call(Celsius(1)).get(SECONDS)
