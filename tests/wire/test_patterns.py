"""Compiled regular expressions: their text travels, with the flags they were compiled with."""

from __future__ import annotations

import re
import typing
from typing import Any

import pytest
from pydantic import BaseModel

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, returned, same, sent
from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError, DecodeError, SignatureError

Pattern = re.Pattern[str]


class Rule(BaseModel):
    pattern: re.Pattern[str]


PATTERNS = [
    re.compile("a"),
    re.compile("a", re.IGNORECASE),
    re.compile("^a # no more$", re.MULTILINE | re.VERBOSE | re.DOTALL),
    re.compile("a", re.ASCII),
    re.compile("(?i)a"),
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_keeps_its_flags(pattern: re.Pattern[str], strict: bool) -> None:
    cases: list[tuple[Any, object]] = [
        (Pattern, pattern),
        (re.Pattern, pattern),
        (typing.Pattern[str], pattern),
        (Pattern | str, pattern),
        (Pattern | str, pattern.pattern),
        (list[Pattern], [pattern]),
        (dict[Pattern, int], {pattern: 1}),
        (Rule, Rule(pattern=pattern)),
    ]
    for annotation, value in cases:
        contract = Contract.of(echo_of(annotation), name="echo", strict=strict)
        for marshaller in MARSHALLERS:
            assert same(sent(marshaller, contract, value), value)
            assert same(returned(marshaller, contract, value), value)


def test_a_pattern_without_flags_is_its_text() -> None:
    row = Contract.of(echo_of(Pattern), name="echo").arguments
    assert row.dump_json((re.compile("a+"),)) == b'["a+"]'
    assert row.load_json(b'["a+"]') == (re.compile("a+"),)


def test_a_pattern_for_bytes_is_refused() -> None:
    with pytest.raises(SignatureError, match="'value': a regular expression for bytes"):
        Contract.of(echo_of(re.Pattern[bytes]), name="echo")
    for annotation in (Pattern, re.Pattern):
        with pytest.raises(ArgumentError, match="expected a regular expression for text"):
            Contract.of(echo_of(annotation), name="echo").bind((re.compile(b"a"),), {})


@pytest.mark.parametrize("text", ['"("', '["a",128]', '["a",288]', '["a"]', '["a",true]', "1", '"a{99999999999}"'])
def test_what_is_no_pattern_is_refused_on_arrival(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DecodeError, match="expected a regular expression"):
        Contract.of(echo_of(Pattern), name="echo").arguments.load_json(f"[{text}]".encode())
    assert not capsys.readouterr().out
