"""Dates and times in zones: the offset travels, and where there is none to be known the value is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from tests.unit.test_codec import contract_of
from tests.wire.test_roundtrip import MARSHALLERS, same, sent
from typeddingo.contract import ReturnMisfit
from typeddingo.errors import ArgumentError

BERLIN = dt.time(2, tzinfo=ZoneInfo("Europe/Berlin"))


class Shop(BaseModel):
    opens: dt.time


class Nowhere(dt.tzinfo):
    """A zone that knows no offset."""

    def utcoffset(self, when: dt.datetime | None, /) -> None:
        return None

    def dst(self, when: dt.datetime | None, /) -> None:
        return None

    def tzname(self, when: dt.datetime | None, /) -> None:
        return None


@pytest.mark.parametrize(
    ("annotation", "value", "where"),
    [
        (dt.time, BERLIN, "value"),
        (list[dt.time], [dt.time(1), BERLIN], r"value\[1\]"),
        (Shop, Shop(opens=BERLIN), r"value\.opens"),
        (dt.time | str, BERLIN, "value"),
    ],
)
def test_a_time_whose_offset_depends_on_the_date_is_refused(annotation: Any, value: object, where: str) -> None:
    with pytest.raises(ArgumentError, match=rf"{where}: expected a time of day with a fixed offset or none"):
        contract_of(annotation).bind((value,), {})
    with pytest.raises(ReturnMisfit, match="fixed offset"):
        contract_of(annotation).split_returns(value)


@pytest.mark.parametrize("zone", [None, dt.UTC, dt.timezone(dt.timedelta(hours=-3, seconds=7))])
def test_a_time_with_a_fixed_offset_comes_back_as_itself(zone: dt.tzinfo | None) -> None:
    value = dt.time(23, 59, 59, 120000, tzinfo=zone)
    for marshaller in MARSHALLERS:
        back = sent(marshaller, contract_of(dt.time), value)
        assert same(back, value)
        assert isinstance(back, dt.time)
        assert back.utcoffset() == value.utcoffset()


@pytest.mark.parametrize("microsecond", [0, 1])
def test_a_datetime_in_a_zone_without_an_offset_does_not_arrive_without_a_zone(microsecond: int) -> None:
    value = dt.datetime(2020, 1, 1, microsecond=microsecond, tzinfo=Nowhere())
    for marshaller in MARSHALLERS:
        with pytest.raises(ArgumentError):
            sent(marshaller, contract_of(dt.datetime), value)
