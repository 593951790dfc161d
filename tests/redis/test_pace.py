"""How often one object connects: the rule of it, on a clock of the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.inside import inside
from typeddingo._io.redis_pace import BURST, CALM, PROBE, SPACING, Pace
from typeddingo._io.threads import Deadline, Threads
from typeddingo.testing import eventually

MANY = 100


class Clocked:
    """A pace whose time goes on when the test says so."""

    def __init__(self, listeners: int = 0) -> None:
        self.now = 0.0
        self.pace = Pace(lambda: self.now)
        for _ in range(listeners):
            self.pace.add()

    def go(self) -> int:
        """Connect as often as is allowed now, and with success; returns how often that was."""
        count = 0
        while self.pace.pause() == 0:
            count += 1
            self.pace.worked()
        return count


@pytest.fixture
def clocked() -> Clocked:
    return Clocked(MANY)


class TestAtOnce:
    def test_a_few_connections_need_no_listener(self) -> None:
        assert Clocked().go() == BURST

    def test_every_listener_may_connect_at_the_start(self, clocked: Clocked) -> None:
        assert clocked.go() == BURST + MANY
        assert 0 < clocked.pace.pause() <= SPACING

    def test_all_may_connect_again_when_their_connections_are_lost_soon_after_the_start(self, clocked: Clocked) -> None:
        clocked.go()
        clocked.now = 1.0
        clocked.pace.lost()
        assert clocked.go() > MANY

    def test_those_that_are_lost_together_count_once(self, clocked: Clocked) -> None:
        clocked.go()
        clocked.now = SPACING
        for _ in range(MANY):
            clocked.pace.lost()
        assert clocked.go() == 1 + MANY
        clocked.pace.lost()
        assert clocked.go() == 0

    def test_a_closed_listener_takes_its_connection_away(self, clocked: Clocked) -> None:
        for _ in range(MANY):
            clocked.pace.remove()
        assert clocked.go() == BURST

    def test_a_storm_is_held_to_the_spacing(self, clocked: Clocked) -> None:
        clocked.go()
        made, seconds = 0, 20
        for _ in range(seconds * 10):
            clocked.pace.lost()
            made += clocked.go()
            clocked.now += 0.1
        assert made <= MANY + seconds / SPACING

    def test_after_a_storm_it_is_calm_again(self, clocked: Clocked) -> None:
        for _ in range(3):
            clocked.pace.lost()
            clocked.go()
        clocked.now += CALM
        clocked.pace.lost()
        assert clocked.go() >= MANY


class TestInDoubt:
    def test_one_tries_when_the_server_was_lost_and_the_others_go_when_it_is_found(self, clocked: Clocked) -> None:
        clocked.pace.lost()
        assert clocked.pace.pause() == 0
        assert 0 < clocked.pace.pause() <= PROBE
        clocked.pace.worked()
        assert clocked.go() >= MANY

    def test_a_try_that_hangs_keeps_the_others_for_a_moment_only(self, clocked: Clocked) -> None:
        clocked.pace.lost()
        assert clocked.pace.pause() == 0
        clocked.now += PROBE
        assert clocked.pace.pause() == 0
        assert clocked.pace.pause() > 0

    def test_tries_while_the_server_is_away_cost_no_listener_its_turn(self, clocked: Clocked) -> None:
        clocked.go()
        clocked.pace.lost()
        for _ in range(20):
            clocked.now += 0.1
            if clocked.pace.pause() == 0:
                clocked.pace.failed()
        clocked.now += 2.0
        assert clocked.go() > MANY

    def test_it_waits_longer_from_failure_to_failure_and_all_threads_share_that(self) -> None:
        clocked = Clocked()
        pace = clocked.pace
        assert clocked.go() == BURST
        assert 0 < pace.pause() <= SPACING
        pace.failed()
        assert pace.pause() > 0
        clocked.now = 100.0
        assert pace.pause() == 0.0
        for _ in range(10):
            pace.failed()
        assert pace.pause() <= 2.0
        pace.worked()
        assert pace.pause() == 0.0


class TestWaiting:
    """One try is out, and time stands still: nobody's turn comes by itself."""

    @pytest.fixture
    def pace(self, clocked: Clocked) -> Pace:
        clocked.pace.lost()
        assert clocked.pace.pause() == 0
        return clocked.pace

    def test_there_is_no_waiting_beyond_the_deadline(self, pace: Pace) -> None:
        assert not pace.wait(Deadline(0.01), lambda: False)

    @pytest.mark.parametrize("share", [False, True])
    def test_who_waits_ends_at_once_when_it_is_over(self, pace: Pace, share: bool) -> None:
        assert not ended_by(pace, pace.wake, share=share)

    def test_so_does_one_whose_listener_is_closed(self, pace: Pace) -> None:
        assert not ended_by(pace, pace.remove)

    def test_so_does_one_who_shares_what_was_put_back(self, pace: Pace) -> None:
        assert not ended_by(pace, pace.put_back, share=True)

    def test_who_waits_goes_at_once_when_the_server_is_found(self, pace: Pace) -> None:
        assert ended_by(pace, pace.worked)


def ended_by(pace: Pace, act: Callable[[], object], *, share: bool = False) -> bool:
    """What a thread is told that waits until this was done, and ends soon after it."""
    over = threading.Event()
    answers: list[bool] = []
    thread = Threads("test").start(
        "waiter", lambda: answers.append(pace.wait(Deadline(None), over.is_set, share=share))
    )
    eventually(lambda: inside(thread, "wait"), "it waits")
    time.sleep(0.05)
    over.set()
    act()
    thread.join(PROBE / 2)
    assert answers, "it waits for its own time to come"
    return answers[0]
