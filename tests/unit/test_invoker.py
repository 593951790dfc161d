"""Invokers: exact, correcting, direct, and somebody's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import attrs
import pytest
from pydantic import BaseModel

from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError
from typeddingo.invoker import (
    DirectInvoker,
    GenericInvoker,
    InvokeError,
    Invoker,
    LazyInvoker,
    compile_call,
)
from typeddingo.marshaller import Marshaller
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.msgpack import MsgpackMarshaller


@dataclass
class Point:
    x: int
    y: int


@attrs.define
class Size:
    width: int


class Label(BaseModel):
    text: str


def add(a: int, b: int = 10) -> int:
    return a + b


def shapes(point: Point, size: Size, label: Label, pair: tuple[int, str]) -> Point:
    assert isinstance(size, Size)
    assert isinstance(label, Label)
    return Point(point.x + pair[0], point.y + size.width)


def split(text: str) -> tuple[int, str]:
    return len(text), text


async def later(a: int) -> int:
    return a + 1


LAX, EXACT, DIRECT = GenericInvoker(), LazyInvoker(), DirectInvoker()


def test_the_direct_invoker_calls_as_it_is_told() -> None:
    def same(value: object) -> object:
        return value

    assert DIRECT.call(same, ("anything",)) == "anything"
    assert DIRECT.returns(same, ("5",)) == ("5",)


def test_the_lazy_invoker_takes_exact_types() -> None:
    assert EXACT.call(add, (1, 2)) == 3
    assert EXACT.call(add, (1,)) == 11


@pytest.mark.parametrize("args", [("1", 2), (1.0, 2), (True, 2), (None, 2), (1, 2, 3), ()])
def test_the_lazy_invoker_refuses_another_type_or_count_before_it_calls(args: tuple[object, ...]) -> None:
    with pytest.raises(InvokeError) as caught:
        EXACT.call(_must_not_run, args)
    assert "_must_not_run" in str(caught.value)


def _must_not_run(a: int, b: int) -> int:
    raise AssertionError("called")


@pytest.mark.parametrize(
    ("args", "total"), [(("5", 1), 6), ((5.0, 1), 6), ((5, "1"), 6), (("5",), 15), (("-7", "1"), -6)]
)
def test_the_generic_invoker_corrects_what_loses_nothing(args: tuple[object, ...], total: int) -> None:
    assert LAX.call(add, args) == total


@pytest.mark.parametrize("args", [(5.9, 1), ("5.5", 1), ("five", 1), (None, 1), ([5], 1), (1, 2, 3), ()])
def test_the_generic_invoker_refuses_what_would_lose_something(args: tuple[object, ...]) -> None:
    with pytest.raises(InvokeError):
        LAX.call(_must_not_run, args)


def test_the_generic_invoker_makes_classes_of_dicts_and_tuples_of_lists() -> None:
    assert LAX.call(shapes, ({"x": 1, "y": 2}, {"width": 3}, {"text": "a"}, [10, "b"])) == Point(11, 5)


def test_the_generic_invoker_leaves_values_of_the_right_type_alone() -> None:
    point, size, label = Point(1, 2), Size(3), Label(text="a")
    assert LAX.call(shapes, (point, size, label, (10, "b"))) == Point(11, 5)


def test_return_values_are_corrected_or_refused_like_arguments() -> None:
    assert LAX.returns(split, ("5", "abc")) == (5, "abc")
    assert LAX.returns(shapes, ({"x": 1, "y": 2},)) == (Point(1, 2),)
    assert EXACT.returns(split, (5, "abc")) == (5, "abc")
    for invoker in (LAX, EXACT):
        with pytest.raises(InvokeError):
            invoker.returns(split, ("five", "abc"))
        with pytest.raises(InvokeError):
            invoker.returns(split, (5,))


def test_what_the_function_raises_is_not_an_invoke_error() -> None:
    def breaks(a: int) -> int:
        raise ArgumentError("of its own")

    for invoker in (DIRECT, EXACT, LAX):
        with pytest.raises(ArgumentError) as caught:
            invoker.call(breaks, (1,))
        assert type(caught.value) is ArgumentError


def test_an_async_function_gives_its_coroutine() -> None:
    call = compile_call(LAX, Contract.of(later, name="later"), later)

    async def waits() -> object:
        coroutine = call(("1",), {})
        assert asyncio.iscoroutine(coroutine)
        result: object = await coroutine
        return result

    assert asyncio.run(waits()) == 2


def test_an_error_says_what_was_expected_and_never_the_value() -> None:
    with pytest.raises(InvokeError) as caught:
        LAX.call(add, ("hunter2", 1))
    assert "a: expected" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.parameter == "a"


@pytest.mark.parametrize("invoker", [DIRECT, EXACT, LAX])
def test_a_compiled_call_takes_named_arguments(invoker: Invoker) -> None:
    call = compile_call(invoker, Contract.of(add, name="add"), add)
    assert call((1,), {"b": 2}) == 3
    assert call((1, 2), {}) == 3


def test_a_compiled_call_corrects_by_the_contract_and_calls_what_it_is_given() -> None:
    def with_context(*args: object, **kwargs: object) -> tuple[str, tuple[object, ...], dict[str, object]]:
        return "context", args, kwargs

    contract = Contract.of(add, name="add")
    assert compile_call(LAX, contract, with_context)(("1",), {"b": "2"}) == ("context", (1,), {"b": 2})
    with pytest.raises(InvokeError, match="'add'"):
        compile_call(EXACT, contract, with_context)(("1",), {})


def test_somebodys_own_invoker_is_called_with_positions() -> None:
    class Doubling:
        def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
            return fn(*(value * 2 for value in args if isinstance(value, int)))

        def returns(self, fn: Callable[..., object], values: tuple[object, ...], /) -> tuple[object, ...]:
            return values

    invoker: Invoker = Doubling()
    assert isinstance(invoker, Invoker)
    assert compile_call(invoker, Contract.of(add, name="add"), add)((1,), {"b": 5}) == 7


def test_the_built_in_marshallers_call_directly() -> None:
    for marshaller in (JSONMarshaller(), MsgpackMarshaller()):
        assert isinstance(marshaller, Invoker)
        assert type(marshaller).call is DirectInvoker.call


def test_a_marshaller_combined_with_an_invoker_invokes_as_that_one_does() -> None:
    class Mine(JSONMarshaller, GenericInvoker): ...

    class Exact(JSONMarshaller, LazyInvoker): ...

    mine: Marshaller = Mine()
    assert isinstance(mine, Invoker)
    assert mine.call(add, ("5", 1)) == 6
    with pytest.raises(InvokeError):
        Exact().call(add, ("5", 1))


def test_a_compiled_correction_is_kept_per_function() -> None:
    class Service:
        def __init__(self) -> None:
            self.calls = 0

        def bump(self, by: int) -> int:
            self.calls += by
            return self.calls

    service = Service()
    bump = service.bump
    assert [LAX.call(bump, ("2",)), LAX.call(bump, (3,)), EXACT.call(bump, (1,))] == [2, 5, 6]
