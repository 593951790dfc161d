"""The tables of settings on the servers' pages are those that the adapters know."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT
from typeddingo._io import amqp_settings, redis_settings
from typeddingo._io.address import TLS_SETTINGS


def table(page: str, first: str = "setting") -> set[str]:
    """The first column of a page's first table that begins with this heading."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = text.partition(f"\n| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize(
    ("page", "known"), [("redis.md", redis_settings.SETTINGS), ("rabbitmq.md", amqp_settings.KNOWN)]
)
def test_every_setting_stands_on_its_page_and_no_other(page: str, known: frozenset[str]) -> None:
    assert table(page) == known


def test_the_settings_of_encrypted_connections_stand_on_their_page() -> None:
    assert table("security.md") == TLS_SETTINGS
