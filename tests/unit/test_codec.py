"""Every annotated type comes back as itself; what does not fit is refused before it is sent."""

from __future__ import annotations

import collections
import copy
import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypedDict, Unpack

import pytest
from pydantic import BaseModel, JsonValue, field_validator

from tests.support.carried import CARRIED, MODEL, REFUSED, Cat, Left, Model, Partial
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError, DecodeError, SignatureError
from typeddingo.row import Row


def contract_of(annotation: Any, *, strict: bool = True, namespace: Mapping[str, object] | None = None) -> Contract:
    def task(value: Any) -> Any:
        return value

    task.__annotations__ = {"value": annotation, "return": annotation}
    return Contract.of(task, name="task", strict=strict, namespace=namespace)


def by_json(row: Row, values: tuple[object, ...]) -> tuple[object, ...]:
    return row.load_json(row.dump_json(values))


def by_chunks(row: Row, values: tuple[object, ...]) -> tuple[object, ...]:
    return row.load_chunks(row.dump_chunks(values))


def by_tree(row: Row, values: tuple[object, ...]) -> tuple[object, ...]:
    return row.load_tree(row.dump_tree(values))


WAYS = [by_json, by_chunks, by_tree]


def named(cases: Iterable[tuple[Any, ...]]) -> list[str]:
    return [f"{i}-{getattr(case[0], '__name__', case[0])}" for i, case in enumerate(cases)]


def same(left: object, right: object) -> bool:
    """Equal, of the same type, down to the text (sets have no order to print)."""
    if type(left) is not type(right) or left != right:
        return False
    return isinstance(left, (set, frozenset)) or repr(left) == repr(right)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=named(CARRIED))
def test_an_argument_comes_back_as_itself(
    annotation: Any, value: object, way: Callable[[Row, tuple[object, ...]], tuple[object, ...]]
) -> None:
    contract = contract_of(annotation)
    args, _ = contract.bind((value,), {})
    [loaded] = way(contract.arguments, args)
    assert same(loaded, value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=named(CARRIED))
def test_a_return_value_comes_back_as_itself(
    annotation: Any, value: object, way: Callable[[Row, tuple[object, ...]], tuple[object, ...]]
) -> None:
    contract = contract_of(annotation)
    values = way(contract.returns, contract.split_returns(value))
    assert same(contract.join_returns(values), value)


@pytest.mark.parametrize(("annotation", "value"), CARRIED, ids=named(CARRIED))
def test_a_checked_value_is_the_same_object(annotation: Any, value: object) -> None:
    [checked], _ = contract_of(annotation).bind((value,), {})
    assert checked is value


@pytest.mark.parametrize(("annotation", "value", "path"), REFUSED, ids=named(REFUSED))
def test_an_argument_that_does_not_fit_is_refused_at_its_place(
    annotation: Any, value: object, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(ArgumentError) as caught:
        contract_of(annotation).bind((value,), {})
    assert caught.value.path == ("value", *path)
    assert caught.value.task == "task"
    assert "expected" in str(caught.value) or "should" in str(caught.value)


@pytest.mark.parametrize(("annotation", "value", "path"), REFUSED, ids=named(REFUSED))
def test_a_return_value_that_does_not_fit_is_refused(
    annotation: Any, value: object, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(ReturnMisfit, match="does not fit"):
        contract_of(annotation).split_returns(value)


def test_an_error_never_repeats_the_value() -> None:
    with pytest.raises(ArgumentError) as caught:
        contract_of(list[int]).bind((["canary-7f3a"],), {})
    assert "canary" not in str(caught.value)
    with pytest.raises(DecodeError) as refused:
        contract_of(list[int]).arguments.load_json(b'[["canary-7f3a"]]')
    assert "canary" not in str(refused.value)


def test_an_int_given_for_a_float_becomes_one() -> None:
    [value], _ = contract_of(float).bind((3,), {})
    assert same(value, 3.0)


@pytest.mark.parametrize("annotation", [Any, object, list, dict[str, Any], Callable[[], int], type[int], Iterable[int]])
def test_an_annotation_that_says_too_little_is_refused_at_decoration(annotation: Any) -> None:
    with pytest.raises(SignatureError, match="'value'"):
        contract_of(annotation)


def test_a_plain_class_is_refused_with_what_to_make_of_it() -> None:
    class Plain: ...

    with pytest.raises(SignatureError, match="dataclass, an attrs class or a pydantic model"):
        contract_of(Plain)


def test_a_missing_annotation_is_refused_with_what_to_write() -> None:
    def task(value) -> None: ...  # type: ignore[no-untyped-def]  # the subject  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]  # the subject

    with pytest.raises(SignatureError, match="write 'value: int'"):
        Contract.of(task, name="task")  # pyright: ignore[reportUnknownArgumentType]  # the subject


def test_lax_tasks_correct_what_is_nearly_right() -> None:
    [value], _ = contract_of(int, strict=False).bind(("5",), {})
    assert same(value, 5)


def test_a_model_field_that_was_set_wrongly_later_is_found() -> None:
    model = copy.copy(MODEL)
    object.__setattr__(model, "number", "one")
    with pytest.raises(ArgumentError) as caught:
        contract_of(Model).bind((model,), {})
    assert caught.value.path == ("value", "number")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Decimal, '"1_0"'),
        (Decimal, '" 1"'),
        (Decimal, "1.5"),
        (uuid.UUID, '"12345678123456781234567812345678"'),
        (int, "1.0"),
        (int, '"1"'),
        (bool, "1"),
        (str, "null"),
        (float, '"1.5"'),
        (bytes, '"YQ"'),
        (dt.datetime, '"2020-01-01"'),
        (dt.timedelta, "1.5"),
        (dict[int, int], '{"01":1}'),
        (dict[tuple[int, int], int], "[[[1,2],3],[[1,2],4]]"),
        (uuid.UUID | str, '["bytes","a"]'),
    ],
)
def test_the_wire_is_read_strictly(annotation: Any, text: str) -> None:
    with pytest.raises(DecodeError, match="value"):
        contract_of(annotation).arguments.load_json(f"[{text}]".encode())


def test_json_values_may_be_as_deep_as_any_value_and_hold_no_lone_surrogate() -> None:
    contract = contract_of(JsonValue)
    deep: list[object] = []
    for _ in range(63):
        deep = [deep]
    assert contract.bind((deep,), {})[0] == (deep,)
    for refused in ([deep], {"\ud800": 1}, ["\ud800"]):
        with pytest.raises(ArgumentError):
            contract.bind((refused,), {})


def test_a_long_list_of_wrong_items_is_refused_at_the_first() -> None:
    data = b"[[" + b"[]," * 100_000 + b"[]]]"
    with pytest.raises(DecodeError) as caught:
        contract_of(list[int]).arguments.load_json(data)
    assert [misfit.path for misfit in caught.value.misfits] == [("value", 0)]


def test_unpacked_keywords_are_refused_with_what_to_write() -> None:
    class Members(TypedDict):
        a: int

    def task(**members: Unpack[Members]) -> int:
        return members["a"]

    with pytest.raises(SignatureError, match="parameters of their own"):
        Contract.of(task, name="task", namespace=locals())


@pytest.mark.parametrize(
    ("annotation", "text", "path"),
    [
        (Cat, '{"kind":"cat","n":1,"more":2}', ("value", "more")),
        (Left, '{"n":1,"more":2}', ("value",)),
        (Partial, '{"a":1,"more":2}', ("value", "more")),
        (collections.deque[int], '{"items":[1,2,3],"maxlen":2}', ("value",)),
    ],
)
def test_more_than_the_annotation_has_is_refused_from_the_wire(
    annotation: Any, text: str, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(DecodeError) as caught:
        contract_of(annotation).arguments.load_json(f"[{text}]".encode())
    assert caught.value.misfits[0].path == path


@pytest.mark.parametrize("value", [[1, 10**4300], [-(10**4300)]])
def test_an_int_that_is_too_long_for_text_is_found_in_a_list(value: list[int]) -> None:
    with pytest.raises(ArgumentError, match="4300 digits"):
        contract_of(list[int]).bind((value,), {})


def test_a_float_that_looks_like_an_int_is_still_a_float_in_a_union() -> None:
    [value] = contract_of(float | bool).arguments.load_json(b"[1]")
    assert same(value, 1.0)


def test_validators_of_a_model_do_not_run_again_where_it_is_sent() -> None:
    runs: list[int] = []

    class Counted(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def count(cls, value: int) -> int:
            runs.append(value)
            return value

    contract = contract_of(Counted)
    model = Counted(n=1)
    assert runs == [1]
    args, _ = contract.bind((model,), {})
    contract.arguments.dump_json(args)
    assert runs == [1]
    contract.arguments.load_json(b'[{"n":2}]')
    assert runs == [1, 2], "what comes from the wire is validated"
