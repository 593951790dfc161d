"""The gate: many usual deliveries together, a suspect alone, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.inside import inside
from typeddingo._io.gate import Gate
from typeddingo.testing import eventually

SECONDS = 10.0


class Clock:
    """Time stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Start = Callable[[Callable[[], bool]], "Future[bool]"]


@pytest.fixture
def start() -> Start:
    """Run it in a thread, and return once it waits there or is through."""

    def run(enter: Callable[[], bool]) -> Future[bool]:
        future: Future[bool] = Future()
        thread = threading.Thread(target=lambda: future.set_result(enter()), daemon=True)
        thread.start()
        eventually(lambda: future.done() or inside(thread, "wait"), "it waits at the gate")
        return future

    return run


def test_usual_deliveries_are_let_in_together() -> None:
    gate = Gate()
    assert gate.enter(3)
    assert gate.enter(200)
    assert gate.held == 203
    gate.leave(200)
    assert gate.held == 3


def test_a_suspect_waits_until_nothing_is_held(start: Start) -> None:
    gate = Gate()
    gate.enter(2)
    suspect = start(lambda: gate.enter_alone(SECONDS))
    gate.leave()
    assert not suspect.done()
    gate.leave()
    assert suspect.result(SECONDS)
    assert gate.held == 1


def test_nothing_joins_a_suspect(start: Start) -> None:
    gate = Gate()
    assert gate.enter_alone(SECONDS)
    assert not gate.enter(1, timeout=0.01)
    assert not gate.enter_alone(0.01)
    usual = start(lambda: gate.enter(1))
    assert not usual.done()
    gate.leave()
    assert usual.result(SECONDS)
    assert gate.held == 1


def test_nothing_overtakes_a_suspect_that_waits(start: Start) -> None:
    gate = Gate()
    gate.enter(1)
    suspect = start(lambda: gate.enter_alone(SECONDS))
    usual = start(lambda: gate.enter(1))
    assert not usual.done()
    gate.leave()
    assert suspect.result(SECONDS)
    assert not usual.done()
    gate.leave()
    assert usual.result(SECONDS)


def test_suspects_run_one_at_a_time(start: Start) -> None:
    gate = Gate()
    suspects = [start(lambda: gate.enter_alone(SECONDS)) for _ in range(3)]
    for through in range(1, 4):
        eventually(lambda: sum(suspect.done() for suspect in suspects) == through)  # noqa: B023  # asked now
        assert gate.held == 1
        gate.leave()
    assert gate.held == 0


def test_a_suspect_that_gives_up_lets_the_others_in(start: Start) -> None:
    gate = Gate()
    gate.enter(1)
    suspect = start(lambda: gate.enter_alone(0.05))
    usual = start(lambda: gate.enter(1))
    assert not suspect.result(SECONDS)
    assert usual.result(SECONDS)


def test_a_suspect_that_lives_for_long_gets_company() -> None:
    clock = Clock()
    gate = Gate(alone=5.0, clock=clock)
    assert gate.enter_alone(SECONDS)
    clock.now += 4.9
    assert not gate.enter(1, timeout=0)
    clock.now += 0.2
    assert gate.enter(1, timeout=0)
    assert gate.held == 2


def test_who_waits_notices_by_itself_that_the_time_alone_is_over(start: Start) -> None:
    gate = Gate(alone=0.05)
    assert gate.enter_alone(SECONDS)
    assert start(lambda: gate.enter(1)).result(SECONDS)


def test_the_next_suspect_has_its_own_time_alone() -> None:
    clock = Clock()
    gate = Gate(alone=5.0, clock=clock)
    gate.enter_alone(SECONDS)
    clock.now += 100
    gate.leave()
    assert gate.enter_alone(SECONDS)
    assert not gate.enter(1, timeout=0)


def test_close_sends_away_who_waits_and_who_comes(start: Start) -> None:
    gate = Gate(alone=10 * SECONDS)
    gate.enter_alone(SECONDS)
    waiting = [start(lambda: gate.enter(1)), start(lambda: gate.enter_alone(10 * SECONDS))]
    gate.close()
    gate.close()
    assert [future.result(SECONDS) for future in waiting] == [False, False]
    gate.leave()
    assert not gate.enter(1)
    assert not gate.enter_alone(SECONDS)
    assert gate.held == 0


def test_leaving_too_often_does_no_harm() -> None:
    gate = Gate()
    gate.enter(1)
    gate.leave(5)
    assert gate.held == 0
    assert gate.enter_alone(0)


def test_many_threads_never_meet_a_suspect() -> None:
    gate = Gate(alone=SECONDS)
    lock, usual, alone, worst = threading.Lock(), 0, 0, 0

    def count(usually: int, suspects: int) -> None:
        nonlocal usual, alone, worst
        with lock:
            usual += usually
            alone += suspects
            if alone:
                worst = max(worst, usual + alone)

    def work(number: int) -> int:
        passed = 0
        for turn in range(200):
            suspect = (turn + number) % 7 == 0
            if gate.enter_alone(SECONDS) if suspect else gate.enter(1, SECONDS):
                count(not suspect, suspect)
                count(-(not suspect), -suspect)
                gate.leave()
                passed += 1
        return passed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 8 * 200
    assert (worst, gate.held) == (1, 0)
