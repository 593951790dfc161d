"""Parameters of every kind: what a legal call means in Python, it means over the wire."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.wire.test_roundtrip import MARSHALLERS
from typeddingo.contract import Contract
from typeddingo.header import Header
from typeddingo.marshaller import Marshaller
from typeddingo.message import TaskMessage


def ran(marshaller: Marshaller, function: Callable[..., object], *args: object, **kwargs: object) -> object:
    """What the function makes of a call that has travelled."""
    contract = Contract.of(function, name="task")
    bound = contract.bind(args, kwargs)
    frame = marshaller.encode_task(contract, TaskMessage("task", "1", *bound))
    task = marshaller.decode_task(contract, Header.from_bytes(frame), frame)
    contract.check_loaded(task.args, task.kwargs)
    return function(*task.args, **task.kwargs)


@pytest.mark.parametrize("marshaller", MARSHALLERS, ids=lambda marshaller: type(marshaller).__name__)
def test_a_named_extra_may_be_called_as_a_positional_only_parameter_is(marshaller: Marshaller) -> None:
    def task(a: int, /, **named: Decimal) -> str:
        return repr((a, named))

    assert ran(marshaller, task, 1, a=Decimal(2)) == task(1, a=Decimal(2))


@pytest.mark.parametrize("values", [(1, 2, 3), (1, 2.0, 3), (1,), (1, 2)])
def test_every_int_for_a_float_in_the_tail_becomes_one(values: tuple[int | float, ...]) -> None:
    def task(x: int, *more: float) -> None: ...

    [first, *more], _ = Contract.of(task, name="task").bind(values, {})
    assert type(first) is int
    assert [type(value) for value in more] == [float] * (len(values) - 1)
    assert (first, *more) == values


def test_an_int_in_the_tail_stays_one_where_the_tail_takes_both() -> None:
    def task(x: float, *more: int) -> None: ...

    [first, *more], _ = Contract.of(task, name="task").bind((1, 2, 3), {})
    assert [type(value) for value in (first, *more)] == [float, int, int]
