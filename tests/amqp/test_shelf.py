"""Who is taken next, and how much is held: the two decisions of a listener, without a server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from typeddingo._io.amqp_arrived import Arrived
from typeddingo.brokers._amqp_prefetch import Demand
from typeddingo.brokers._amqp_shelf import LONGEST_PAUSE, PATIENCE, SHORTEST_PAUSE, Shelf


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def message(tag: int, *, suspect: bool = False) -> Arrived:
    return Arrived(1, tag, b"", str(tag), "", 0, False, suspect)


def filled(count: int) -> Shelf:
    shelf = Shelf(Clock())
    for tag in range(count):
        shelf.put(message(tag))
    return shelf


def test_what_is_put_back_comes_first_again_in_its_order() -> None:
    shelf = filled(5)
    taken = shelf.take(3)
    shelf.put_back(taken[:2])
    assert [m.tag for m in shelf.take(9)] == [0, 1, 3, 4]


def test_what_is_too_much_is_the_youngest() -> None:
    shelf = filled(5)
    assert [m.tag for m in shelf.excess(3)] == [3, 4]
    assert shelf.excess(3) == []
    assert [m.tag for m in shelf.clear()] == [0, 1, 2]


def test_a_suspect_waits_for_moves_under_way() -> None:
    shelf = Shelf(Clock())
    shelf.put(message(1, suspect=True))
    assert not shelf.moving(2)
    assert shelf.take_suspect() is None
    assert not shelf.moving(-1)
    assert shelf.moving(-1)
    assert shelf.take_suspect() is not None


def test_a_suspect_that_could_not_run_alone_makes_the_next_wait_longer_each_time() -> None:
    clock = Clock()
    shelf = Shelf(clock)
    shelf.put(message(1, suspect=True))
    for pause in (SHORTEST_PAUSE, SHORTEST_PAUSE * 2):
        assert not shelf.not_alone()
        assert shelf.suspect_in() == pause
        clock.now += pause
        assert shelf.suspect_in() == 0.0
    shelf.ran_alone()
    assert not shelf.not_alone()
    assert shelf.suspect_in() == SHORTEST_PAUSE <= LONGEST_PAUSE


def test_a_suspect_that_is_never_alone_runs_beside_the_others_at_last() -> None:
    shelf = Shelf(Clock())
    assert [shelf.not_alone() for _ in range(PATIENCE)] == [False] * (PATIENCE - 1) + [True]
    assert not shelf.not_alone()


def test_who_asks_for_one_at_a_time_is_held_one() -> None:
    demand = Demand(800)
    assert not demand.note(0, 1)
    assert demand.level == 1


def test_demand_raises_the_level_in_large_steps_up_to_the_bound() -> None:
    demand = Demand(800)
    levels = [demand.level for held in (1, 4, 30, 500, 5000) if demand.note(held, 1)]
    assert levels == [4, 16, 64, 800]


def test_short_tasks_are_fetched_a_batch_ahead() -> None:
    demand = Demand(800)
    demand.note(0, 4)
    assert demand.level == 4
    demand.ended(0.001)
    assert demand.note(0, 4)
    assert demand.level == 16


def test_long_tasks_are_not_fetched_ahead_however_many_takers_wait() -> None:
    demand = Demand(800)
    demand.ended(1.0)
    demand.note(0, 16)
    assert demand.level == 16


def test_who_asks_for_one_task_is_held_one_however_short_they_are() -> None:
    demand = Demand(800)
    demand.ended(0.001)
    assert not demand.note(0, 1)
    assert demand.level == 1


def test_the_level_falls_only_when_little_is_asked_for_twice_in_a_row() -> None:
    demand = Demand(800)
    demand.note(0, 100)
    assert not demand.look(1, 0)  # the large demand lies within this round
    assert not demand.look(1, 0)
    assert demand.look(1, 0)
    assert (demand.level, demand.is_least) == (1, True)


@given(st.integers(1, 2000), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 300), st.booleans())))
def test_the_level_is_never_above_the_bound_nor_below_one(bound: int, steps: list[tuple[int, int, bool]]) -> None:
    demand = Demand(bound)
    for held, asked, look in steps:
        _ = demand.look(held, asked) if look else demand.note(held, asked)
        assert 1 <= demand.level <= bound
