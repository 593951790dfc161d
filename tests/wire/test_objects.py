"""Attrs classes and dataclasses of unusual make: fields that the constructor does not take, names that others use."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import pytest

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo.contract import Contract
from typeddingo.errors import DecodeError, SignatureError
from typeddingo.marshaller import Marshaller


@dataclasses.dataclass(frozen=True)
class Stamped:
    a: int
    b: int = dataclasses.field(init=False, default=0)


@dataclasses.dataclass(frozen=True, slots=True)
class StampedSlots:
    a: int
    b: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "b", self.a * 2)


@attrs.frozen
class StampedAttrs:
    _b: int
    b: int = attrs.field(init=False, default=0, validator=attrs.validators.ge(0))


@attrs.define
class StampedDefine:
    a: int
    b: int = attrs.field(init=False, default=0, validator=attrs.validators.ge(0))


STAMPED: list[type[Any]] = [Stamped, StampedSlots, StampedAttrs, StampedDefine]


@pytest.mark.parametrize("marshaller", MARSHALLERS, ids=lambda marshaller: type(marshaller).__name__)
@pytest.mark.parametrize("cls", STAMPED)
def test_a_field_that_the_constructor_does_not_take_keeps_its_value(cls: type[Any], marshaller: Marshaller) -> None:
    contract = Contract.of(echo_of(cls), name="echo")
    value = cls(1)
    object.__setattr__(value, "b", 9)
    assert same(sent(marshaller, contract, value), value)
    assert same(returned(marshaller, contract, value), value)


@pytest.mark.parametrize("cls", STAMPED)
def test_a_field_that_the_constructor_does_not_take_is_checked_on_arrival(cls: type[Any]) -> None:
    row = Contract.of(echo_of(cls), name="echo").arguments
    first = dataclasses.fields(cls)[0].name if dataclasses.is_dataclass(cls) else attrs.fields(cls)[0].name
    assert row.load_json(f'[{{"{first}":1}}]'.encode()) == (cls(1),), "it may be left out"
    with pytest.raises(DecodeError, match=r"value\.b: expected|value\.b: Input"):
        row.load_json(f'[{{"{first}":1,"b":"x"}}]'.encode())


@pytest.mark.parametrize("cls", [StampedAttrs, StampedDefine])
def test_validators_of_a_field_that_the_constructor_does_not_take_run_on_arrival(cls: type[Any]) -> None:
    row = Contract.of(echo_of(cls), name="echo").arguments
    [first, _] = attrs.fields(cls)
    with pytest.raises(DecodeError, match="constructor"):
        row.load_json(f'[{{"{first.name}":1,"b":-1}}]'.encode())


NAMES = ["converter", "cl", "attrs", "typevar_map", "self", "o", "res", "errors", "instance", "_cattrs_use_alias"]


@pytest.mark.parametrize("marshaller", MARSHALLERS, ids=lambda marshaller: type(marshaller).__name__)
@pytest.mark.parametrize("name", NAMES)
def test_a_field_may_have_any_name(name: str, marshaller: Marshaller) -> None:
    made = dataclasses.make_dataclass("Made", [(name, int), ("more", list[int])])
    contract = Contract.of(echo_of(made), name="echo")
    value = made(1, [2])
    assert same(sent(marshaller, contract, value), value)
    with pytest.raises(DecodeError, match=rf"value\.{name}: "):
        contract.arguments.load_json(f'[{{"{name}":"x","more":[]}}]'.encode())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "self"])
def test_a_field_of_an_attrs_class_may_have_any_name(name: str) -> None:
    made = attrs.make_class("Made", {name: attrs.field(type=int)})
    contract = Contract.of(echo_of(made), name="echo")
    for marshaller in MARSHALLERS:
        assert sent(marshaller, contract, made(1)) == made(1)


@dataclasses.dataclass(init=False)
class ByHand:
    a: int

    def __init__(self, other: int) -> None:
        self.a = other


@attrs.mutable(init=False)
class Unmade:
    a: int


@attrs.mutable(init=False)
class HandedOn:
    a: int

    def __init__(self, a: int, b: int = 2) -> None:
        self.a = a


@pytest.mark.parametrize("cls", [ByHand, Unmade])
def test_a_class_whose_constructor_does_not_take_its_fields_is_refused_at_decoration(cls: type[Any]) -> None:
    with pytest.raises(SignatureError, match=rf"{cls.__name__}: its __init__ does not take its fields by name \(a\)"):
        Contract.of(echo_of(cls), name="echo")


def test_a_constructor_written_by_hand_may_take_more_than_the_fields() -> None:
    for marshaller in MARSHALLERS:
        assert sent(marshaller, Contract.of(echo_of(HandedOn), name="echo"), HandedOn(1)) == HandedOn(1)
