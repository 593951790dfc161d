"""The arithmetic of limits, against a plain model: never more than may, in order, and nobody waits in vain."""

from __future__ import annotations

import json
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from typeddingo.limiter_memory import MANY, MemoryLimiter
from typeddingo.limits import Bounds, Rate, Want, bounds_of
from typeddingo.turnstile import GRACE, SOON, Turnstile


class Limited(RuleBasedStateMachine):
    """Tasks come, ask again when they were told to, end, or are never seen again; the clock is the test's."""

    bounds = Bounds(Rate(3, 2.0), 2)

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.turnstile = Turnstile()
        self.number = 0
        self.due: dict[str, float] = {}
        self.running: dict[str, float] = {}
        self.starts: list[float] = []

    def ask(self, id: str) -> None:
        wait = self.turnstile.ask(id, self.bounds, self.now, lease=5.0)
        self.due.pop(id, None)
        if wait:
            assert SOON * 0.999 <= wait <= 61
            self.due[id] = self.now + wait
        else:
            if id not in self.running:
                self.starts.append(self.now)
            self.running[id] = self.now + 5.0

    @rule()
    def one_comes(self) -> None:
        self.number += 1
        self.ask(f"task {self.number}")

    @precondition(lambda self: self.due)
    @rule()
    def who_is_first_due_asks_again(self) -> None:
        id = min(self.due, key=lambda id: self.due[id])
        self.now = max(self.now, self.due[id])
        self.ask(id)

    @precondition(lambda self: self.due)
    @rule(data=st.data())
    def somebody_asks_too_early(self, data: st.DataObject) -> None:
        self.ask(data.draw(st.sampled_from(sorted(self.due))))

    @precondition(lambda self: self.due)
    @rule(data=st.data())
    def somebody_is_never_seen_again(self, data: st.DataObject) -> None:
        del self.due[data.draw(st.sampled_from(sorted(self.due)))]

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_ends(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[id]
        self.turnstile.release(id, self.now)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_is_renewed(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.running)))
        if self.running[id] > self.now:
            self.turnstile.renew(id, self.now + 5.0)
            self.running[id] = self.now + 5.0

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def it_is_kept_and_restored(self) -> None:
        self.turnstile = Turnstile.restored(json.loads(json.dumps(self.turnstile.state())))

    @invariant()
    def no_more_start_in_a_window_than_may(self) -> None:
        assert self.bounds.rate is not None
        times, seconds = self.bounds.rate
        for at, start in enumerate(self.starts):
            assert at + 1 - bisect_right(self.starts, start - seconds) <= times

    @invariant()
    def no_more_run_than_may(self) -> None:
        assert self.bounds.most is not None
        assert sum(until > self.now for until in self.running.values()) <= self.bounds.most

    def teardown(self) -> None:
        """Whoever waits starts in the end, if the others end."""
        for _ in range(2000):
            if not self.due:
                return
            self.now = max(self.now, min(self.due.values()))
            for id in [id for id, due in self.due.items() if due <= self.now]:
                self.ask(id)
            for id in list(self.running):
                self.turnstile.release(id, self.now)
                del self.running[id]
        raise AssertionError(f"these wait in vain: {self.due}")


class LimitedByRate(Limited):
    bounds = Bounds(Rate(4, 1.5), None)

    @invariant()
    def no_more_run_than_may(self) -> None: ...


TestLimited = Limited.TestCase
TestLimitedByRate = LimitedByRate.TestCase


def crowd(bounds: Bounds, count: int, run: float = 0.0) -> tuple[list[tuple[float, int]], int]:
    """So many come at once, ask when they were told to, and run for so long: who started when, and how many asked."""
    turnstile, now, asked = Turnstile(), 0.0, 0
    due = dict.fromkeys(range(count), 0.0)
    ends: dict[int, float] = {}
    started: list[tuple[float, int]] = []
    while due:
        number = min(due, key=lambda number: (due[number], number))
        if ends and min(ends.values()) <= due[number]:
            first = min(ends, key=lambda number: ends[number])
            now = ends.pop(first)
            turnstile.release(str(first), now)
            continue
        now = due.pop(number)
        asked += 1
        if wait := turnstile.ask(str(number), bounds, now):
            due[number] = now + wait
        else:
            started.append((now, number))
            ends[number] = now + run
    return started, asked


@given(st.integers(1, 20), st.sampled_from([0.5, 1.0]))
def test_a_crowd_starts_about_in_order_at_full_rate_and_asks_about_twice(times: int, seconds: float) -> None:
    count = 5 * times
    started, asked = crowd(Bounds(Rate(times, seconds)), count)
    assert all(abs(number - place) <= times for place, (_, number) in enumerate(started))
    assert started[-1][0] <= 4 * seconds / 0.9
    assert asked <= 2 * count


def test_where_few_may_run_a_crowd_asks_seldom_and_leaves_few_places_free() -> None:
    started, asked = crowd(Bounds(None, 2), 100, run=0.2)
    took = started[-1][0] + 0.2
    assert took <= 10.0 / 0.8
    assert asked / took <= 400


def test_who_comes_anew_does_not_overtake_who_is_due() -> None:
    turnstile, bounds = Turnstile(), Bounds(Rate(1, 1.0))
    assert not turnstile.ask("first", bounds, 0.0)
    wait = turnstile.ask("second", bounds, 0.0)
    assert turnstile.ask("new", bounds, wait + 0.01) > 0.5
    assert not turnstile.ask("second", bounds, wait + 0.02)


def test_who_does_not_come_back_holds_nobody_up_for_long() -> None:
    turnstile, bounds = Turnstile(), Bounds(Rate(1, 1.0))
    assert not turnstile.ask("first", bounds, 0.0)
    wait = turnstile.ask("gone", bounds, 0.0)
    assert not turnstile.ask("new", bounds, wait + GRACE + 0.01)


def test_a_slot_that_nobody_renews_comes_back() -> None:
    turnstile, bounds = Turnstile(), Bounds(None, 1)
    assert not turnstile.ask("dies", bounds, 0.0, lease=5.0)
    assert turnstile.ask("other", bounds, 4.9)
    turnstile.renew("dies", 9.0)
    assert turnstile.ask("other", bounds, 8.9)
    assert not turnstile.ask("other", bounds, 9.1)


def test_keys_that_nobody_asks_for_are_forgotten() -> None:
    now = 0.0
    limiter = MemoryLimiter(lambda: now)
    for number in range(3 * MANY):
        now += 0.1
        want = Want("task", str(number), "id", Bounds(Rate(1, 1.0), 1))
        assert limiter.acquire([want]) == [0.0]
        limiter.release([want])
    assert len(limiter._turnstiles) < 2 * MANY  # pyright: ignore[reportPrivateUsage]  # what it is about


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1)),
        ("100/min", Rate(100, 60)),
        ("5/h", Rate(5, 3600)),
        ("1/d", Rate(1, 86400)),
        ("10/30s", Rate(10, 30)),
        (" 3 / 0.5 s ", Rate(3, 0.5)),
    ],
)
def test_a_limit_is_read(text: str, rate: Rate) -> None:
    assert bounds_of(text, None) == Bounds(rate, None)
    assert bounds_of(text, 2) == Bounds(rate, 2)
    assert bounds_of(None, None) is None
