"""Types that a signature names more than once, or that contain themselves: held to the same rules as any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

import msgpack
import pytest
from pydantic import BaseModel, InstanceOf, PlainSerializer

from typeddingo.contract import Contract
from typeddingo.errors import SignatureError


class Untyped(BaseModel):
    anything: Any = None


class Calling(BaseModel):
    next: Calling | None = None
    then: Callable[[], int] | None = None


class Sorted(BaseModel):
    numbers: Annotated[set[int], PlainSerializer(sorted, when_used="json")]


class Held(BaseModel):
    inner: InstanceOf[Sorted]


def takes_two(first: Untyped, second: Untyped) -> int:
    return 2


def takes_one_and_gives_one(number: int, calling: Calling) -> int:
    return number


def merge(first: Sorted, second: Sorted) -> Sorted:
    return Sorted(numbers=first.numbers | second.numbers)


def hold(first: Held, second: InstanceOf[Sorted]) -> Held:
    return Held(inner=second)


@pytest.mark.parametrize(
    ("task", "words"),
    [(takes_two, r"'first' \(at \.anything\): Any"), (takes_one_and_gives_one, r"'calling' \(at \.then\): a callable")],
)
def test_what_cannot_travel_is_refused_at_decoration_however_often_its_class_is_named(
    task: Callable[..., int], words: str
) -> None:
    with pytest.raises(SignatureError, match=words):
        Contract.of(task, name="task")


@pytest.mark.parametrize("strict", [True, False])
def test_a_class_named_twice_travels_in_binary_formats_too(strict: bool) -> None:
    row = Contract.of(merge, name="merge", strict=strict).arguments
    values = (Sorted(numbers={2, 1}), Sorted(numbers={3}))
    unpacked = cast("list[object]", msgpack.unpackb(msgpack.packb(row.dump_tree(values))))
    assert row.load_tree(unpacked) == values
    assert row.load_json(row.dump_json(values)) == values


@pytest.mark.parametrize("strict", [True, False])
def test_instance_of_a_class_that_is_named_twice_is_carried_as_that_class(strict: bool) -> None:
    row = Contract.of(hold, name="hold", strict=strict).arguments
    values = row.check((Held(inner=Sorted(numbers={1})), Sorted(numbers={2})))
    assert row.load_tree(row.dump_tree(values)) == values
    assert row.load_json(row.dump_json(values)) == values
