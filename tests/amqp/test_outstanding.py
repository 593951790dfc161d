"""Acknowledgements stand for exactly what is settled, with as few frames as can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from typeddingo._io.amqp_outstanding import Outstanding


def filled(*consumers: str) -> Outstanding:
    outstanding = Outstanding()
    for tag, consumer in enumerate(consumers, 1):
        outstanding.add(tag, consumer)
    return outstanding


def test_a_prefix_goes_with_one_frame_and_the_rest_one_by_one() -> None:
    outstanding = filled(*"aaaaaa")
    assert outstanding.acknowledge([2, 1, 5]) == [(2, True), (5, False)]
    assert outstanding.acknowledge([3]) == [(3, False)]
    assert outstanding.acknowledge([4, 6]) == [(6, True)]


def test_what_is_not_there_is_not_acknowledged_twice() -> None:
    outstanding = filled("a")
    assert outstanding.acknowledge([1, 1, 7]) == [(1, False)]
    assert outstanding.acknowledge([1]) == []


def test_each_consumer_is_counted_by_itself() -> None:
    outstanding = filled("a", "b", "a")
    assert (outstanding.held("a"), outstanding.held("b"), outstanding.held("c"), len(outstanding)) == (2, 1, 0, 3)
    assert outstanding.settle([1, 9]) == [1]
    assert (outstanding.held("a"), 1 in outstanding, 3 in outstanding) == (1, False, True)
    outstanding.clear()
    assert (outstanding.held("a"), len(outstanding)) == (0, 0)


@given(st.permutations(range(1, 13)), st.lists(st.integers(1, 5), min_size=1))
def test_a_server_that_takes_each_frame_at_its_word_forgets_what_was_settled(
    order: list[int], sizes: list[int]
) -> None:
    outstanding = filled(*["a"] * len(order))
    server = set(order)
    left = list(order)
    for size in [*sizes, len(order)]:
        batch, left = left[:size], left[size:]
        for tag, multiple in outstanding.acknowledge(batch):
            assert tag in server  # a tag the server does not know would close the channel
            server -= {known for known in server if known <= tag} if multiple else {tag}
        assert server == set(left)
