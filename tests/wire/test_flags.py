"""Flags: every combination comes back as itself, and the class keeps none that only the wire has made."""

from __future__ import annotations

import enum
import time
from typing import Any

import pytest

from tests.unit.test_codec import contract_of
from tests.wire.test_roundtrip import MARSHALLERS, same, sent
from typeddingo.converters import flags
from typeddingo.errors import DecodeError


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


class Kept(enum.Flag, boundary=enum.KEEP):
    READ = 1
    WRITE = 2


class Conforming(enum.Flag, boundary=enum.CONFORM):
    READ = 1
    WRITE = 2


class Ejecting(enum.Flag, boundary=enum.EJECT):
    READ = 1
    WRITE = 2


class Wide(enum.Flag):
    A, B, C, D, E, F, G, H, J, K, L, M = (1 << i for i in range(12))


def kept_by(cls: type[enum.Flag]) -> int:
    return len(cls._value2member_map_)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many combinations from the wire may be in a class now."""
    monkeypatch.setattr(flags, "MOST", 100)
    monkeypatch.setattr(flags, "PAUSE", 0.05)
    return 100


@pytest.mark.parametrize("value", [Mode(3), Mode(4), Mode(1 << 70 | 1), Kept(3), Kept(9), Access(0), ~Access.READ])
def test_a_combination_comes_back_as_itself_with_bits_that_have_no_name(value: enum.Flag) -> None:
    for marshaller in MARSHALLERS:
        assert same(sent(marshaller, contract_of(type(value)), value), value)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("cls", "number"), [(Access, 4), (Access, -1), (Mode, -9), (Kept, -1), (Conforming, 5), (Ejecting, 5)]
)
def test_an_int_that_no_combination_has_is_refused(cls: type[enum.Flag], number: int, strict: bool) -> None:
    before = kept_by(cls)
    with pytest.raises(DecodeError, match=rf"value: expected a member of {cls.__name__}$"):
        contract_of(cls, strict=strict).arguments.load_json(b"[%d]" % number)
    assert kept_by(cls) == before


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("cls", [Mode, Kept, Wide])
def test_many_combinations_from_the_wire_are_not_kept(cls: Any, strict: bool, few: int) -> None:
    row = contract_of(list[cls], strict=strict).arguments
    before = kept_by(cls)
    for number in range(2_000):
        row.load_json(b"[[%d, %d]]" % (number, number + 1))
    assert kept_by(cls) <= before + few + 2


def test_more_combinations_than_may_be_are_refused_only_while_somebody_holds_them(few: int) -> None:
    row = contract_of(list[Kept]).arguments
    before = kept_by(Kept)
    many = str([[*range(1_000, 2_000)]]).encode()
    for _ in range(3):
        with pytest.raises(DecodeError, match="expected a member of Kept"):
            row.load_json(many)
        assert kept_by(Kept) <= before + few
    time.sleep(0.06)
    assert row.load_json(b"[[3000]]") == ([Kept(3000)],)
    numbers = contract_of(list[Mode]).arguments
    assert numbers.load_json(many) == ([*range(1_000, 2_000)],), "ints need not be the same object"


@pytest.mark.parametrize("cls", [Kept, Wide])
def test_a_combination_that_somebody_holds_stays_the_one_there_is(cls: Any, few: int) -> None:
    row = contract_of(cls).arguments
    [first] = row.load_json(b"[1027]")
    for number in range(1_000):
        row.load_json(b"[%d]" % number)
    assert first == cls(1) | cls(2) | cls(1024)
    assert row.load_json(b"[1027]") == (first,)


def test_a_lax_task_takes_a_flag_as_text() -> None:
    row = contract_of(Mode, strict=False).arguments
    assert row.check(("3",)) == (Mode.READ | Mode.WRITE,)
    assert row.load_json(b'["1"]') == (Mode.READ,)
