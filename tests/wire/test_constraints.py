"""What an annotation demands beyond the type: held on the caller's side and where a value arrives, by every way."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, same, sent
from typeddingo import App, Config
from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError, DecodeError, SignatureError

Money = Annotated[Decimal, Field(max_digits=10, decimal_places=2)]


class Bill(BaseModel):
    total: Money


PRICE = Decimal("1.25")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Money, PRICE), (list[Money], [PRICE]), (Money | None, PRICE), (Money | str, PRICE), (Bill, Bill(total=PRICE))],
)
def test_a_decimal_of_limited_digits_is_carried(annotation: Any, value: object, strict: bool) -> None:
    contract = Contract.of(echo_of(annotation), name="echo", strict=strict)
    assert all(same(sent(marshaller, contract, value), value) for marshaller in MARSHALLERS)


def test_a_task_with_a_decimal_of_limited_digits_runs_in_this_process() -> None:
    with App(config=Config(marshal_locally=True)) as app:
        app.register("echo", echo_of(Money))
        assert app.call("echo", PRICE).get(timeout=10) == PRICE


@pytest.mark.parametrize("value", [Decimal("1.234"), Decimal("123456789.00"), Decimal("NaN"), Decimal("Infinity")])
def test_a_decimal_of_too_many_digits_is_refused_at_both_ends(value: Decimal) -> None:
    contract = Contract.of(echo_of(Money), name="echo")
    with pytest.raises(ArgumentError):
        contract.bind((value,), {})
    with pytest.raises(DecodeError):
        contract.arguments.load_json(f'["{value}"]'.encode())


def test_constraints_that_contradict_each_other_are_refused_at_decoration() -> None:
    contradiction = Annotated[Decimal, Field(max_digits=3, allow_inf_nan=True)]
    with pytest.raises(SignatureError, match="'value' cannot be read as an annotation"):
        Contract.of(echo_of(contradiction), name="echo")
