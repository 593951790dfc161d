"""The calls that store tasks: the short way of a lone task says what the long one does."""

from __future__ import annotations

import pytest

from typeddingo._io.redis_keys import NativeKeys
from typeddingo.broker import Parcel
from typeddingo.brokers._redis_compose import compose
from typeddingo.message import Meta
from typeddingo.terms import AT_ONCE

KEYS = NativeKeys("tdg")


def parcel(name: str, id: str, reply_to: str = "somebody") -> Parcel:
    return Parcel(Meta(name, id, reply_to), b"frame of " + id.encode(), AT_ONCE)


@pytest.mark.parametrize("bound", [0, 5])
@pytest.mark.parametrize("reply_to", ["", "somebody"])
def test_a_lone_task_is_stored_as_one_of_a_batch_is(bound: int, reply_to: str) -> None:
    one = parcel("shop.add", "1", reply_to)
    other = parcel("shop.pay", "2")  # of another name: it shares nothing with the first but the call
    ([alone], [of_alone]) = compose(KEYS, bound, [[one]])
    ([both], [of_both]) = compose(KEYS, bound, [[one, other]])
    count = len(alone.arguments)
    assert alone.script is both.script
    assert [*alone.keys] == [*both.keys][:1]
    assert [*alone.arguments] == [*both.arguments][:count]
    assert (count, len(both.arguments)) == (7, 13)
    assert [*of_alone] == [*of_both] == [0]
