"""What an annotation demands beyond the type: held on the caller's side and where a value arrives, by every way."""

from __future__ import annotations

import dataclasses
import sys
from decimal import Decimal
from typing import Annotated, Any

import pytest
from annotated_types import Predicate
from pydantic import AfterValidator, BaseModel, Field

from tests.wire.test_roundtrip import MARSHALLERS, echo_of, same, sent
from typeddingo import App, Config
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError, DecodeError, SignatureError

Money = Annotated[Decimal, Field(max_digits=10, decimal_places=2)]


class Weight(BaseModel):
    kilos: float


def even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


Even = Annotated[int, AfterValidator(even)]
Upper = Annotated[str, Predicate(str.isupper)]
Short = Annotated[int, Field(max_length=3)]


@dataclasses.dataclass
class Halves:
    count: Even
    name: Upper = "A"


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


@pytest.mark.parametrize(
    ("annotation", "fitting", "unfit"),
    [
        (Even, 2, 3),
        (Upper, "A", "a"),
        (Even | None, 2, 3),
        (Halves, Halves(2), Halves(3)),
        (Halves, Halves(2), Halves(2, "a")),
    ],
)
def test_a_validator_of_a_single_value_is_asked(annotation: Any, fitting: object, unfit: object) -> None:
    contract = Contract.of(echo_of(annotation), name="echo")
    quick_bind, quick_return = contract.quick_bind(), contract.quick_return()
    assert not quick_bind((unfit,))
    assert not quick_return(unfit)
    assert contract.bind((fitting,), {}) == ((fitting,), {})
    with pytest.raises(ArgumentError):
        contract.bind((unfit,), {})
    with pytest.raises(ReturnMisfit):
        contract.split_returns(unfit)


def test_a_constraint_that_no_value_of_the_type_can_meet_lets_none_through() -> None:
    with pytest.raises(ArgumentError):
        Contract.of(echo_of(Short), name="echo").bind((5,), {})


HUGE = 10**400


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, HUGE),
        (float, -HUGE),
        (float | None, HUGE),
        (float | str, HUGE),
        (list[float], [1.5, 2, HUGE]),
        (list[Annotated[float, Field(gt=0)]], [HUGE]),
        (dict[str, float], {"a": HUGE}),
        (tuple[float, int], (HUGE, HUGE)),
        (Weight, Weight.model_construct(kilos=HUGE)),
    ],
    ids=lambda part: "" if part in (HUGE, -HUGE) else None,
)
def test_an_int_that_is_no_float_is_refused_where_a_float_is_expected(
    annotation: Any, value: object, strict: bool
) -> None:
    contract = Contract.of(echo_of(annotation), name="echo", strict=strict)
    with pytest.raises(ArgumentError):
        contract.bind((value,), {})
    with pytest.raises(ReturnMisfit):
        contract.split_returns(value)


def test_ints_as_large_as_floats_can_be_are_floats() -> None:
    most = int(sys.float_info.max)
    contract = Contract.of(echo_of(list[float]), name="echo")
    contract.bind(([most, -most, 1.5],), {})
    [loaded] = contract.arguments.load_json(contract.arguments.dump_json(([most, -most],)))
    assert loaded == [sys.float_info.max, -sys.float_info.max]
