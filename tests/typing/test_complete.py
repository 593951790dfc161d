"""Every type of the package is written down: a program that uses it never meets an unknown one."""

from __future__ import annotations

import json
from typing import TypedDict, cast

import pytest

from tests.typing.checkers import run


class _Symbol(TypedDict):
    name: str
    isExported: bool
    isTypeKnown: bool
    isTypeAmbiguous: bool


class _Completeness(TypedDict):
    completenessScore: float
    symbols: list[_Symbol]


class _Verified(TypedDict):
    typeCompleteness: _Completeness


@pytest.mark.tools
def test_pyright_knows_every_public_type() -> None:
    out = run("pyright", "--verifytypes", "typeddingo", "--ignoreexternal", "--outputjson")
    complete = cast("_Verified", json.loads(out))["typeCompleteness"]
    exported = [symbol for symbol in complete["symbols"] if symbol["isExported"]]
    assert len(exported) > 500
    assert [s["name"] for s in exported if not s["isTypeKnown"] or s["isTypeAmbiguous"]] == []
    assert complete["completenessScore"] == 1
