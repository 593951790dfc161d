"""Pauses between tries: longer each time, within bounds, and not in step with others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from typeddingo._io.backoff import Backoff


def test_the_bound_doubles_up_to_the_longest() -> None:
    backoff = Backoff(first=0.05, longest=2.0, chance=lambda: 1.0)
    pauses = [backoff.next_pause() for _ in range(8)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert backoff.failures == 8


@given(failures=st.integers(0, 2000), chance=st.floats(0, 1))
def test_every_pause_lies_between_the_first_and_the_longest(failures: int, chance: float) -> None:
    backoff = Backoff(chance=lambda: chance)
    for _ in range(failures):
        backoff.next_pause()
    assert 0.05 <= backoff.next_pause() <= 2.0


def test_two_clients_do_not_return_together() -> None:
    pauses: list[float] = []
    for _ in range(20):
        backoff = Backoff()
        for _ in range(10):
            backoff.next_pause()
        pauses.append(backoff.next_pause())
    assert len(set(pauses)) > 15


def test_a_success_starts_over() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(5):
        backoff.next_pause()
    backoff.reset()
    assert (backoff.failures, backoff.next_pause()) == (0, 0.05)
