"""Background threads: each has an owner, a name and an end; deadlines are shared and monotonic."""

from __future__ import annotations

import threading
import time

import pytest

from typeddingo._io.threads import Deadline, Threads, running
from typeddingo.testing.waiting import eventually, no_thread_left


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestDeadline:
    def test_it_counts_down_and_never_below_zero(self) -> None:
        clock = Clock()
        deadline = Deadline(5, clock)
        assert (deadline.left, deadline.passed) == (5, False)
        clock.now += 4
        assert (deadline.left, deadline.passed) == (1, False)
        clock.now += 2
        assert (deadline.left, deadline.passed) == (0, True)

    def test_without_seconds_it_never_passes(self) -> None:
        clock = Clock()
        deadline = Deadline(None, clock)
        clock.now += 1e12
        assert (deadline.left, deadline.passed) == (None, False)

    def test_zero_seconds_have_passed_at_once(self) -> None:
        assert Deadline(0, Clock()).passed


class TestThreads:
    def test_a_thread_is_a_daemon_named_after_its_owner(self) -> None:
        threads, stop = Threads("owner"), threading.Event()
        with no_thread_left():
            thread = threads.start("work-1", stop.wait)
            assert thread.name == "typeddingo-owner-work-1"
            assert thread.daemon
            assert threads.alive() == ["typeddingo-owner-work-1"]
            assert "typeddingo-owner-work-1" in running()
            stop.set()
            assert threads.join(Deadline(10)) == []
            assert threads.alive() == []

    def test_join_names_those_that_still_run_when_the_deadline_passes(self) -> None:
        threads, stop = Threads("owner"), threading.Event()
        threads.start("quick", lambda: None)
        threads.start("slow", stop.wait)
        start = time.monotonic()
        assert threads.join(Deadline(0.05)) == ["typeddingo-owner-slow"]
        assert time.monotonic() - start < 0.9
        stop.set()
        assert threads.join(Deadline(10)) == []

    def test_a_thread_that_joins_its_own_group_waits_for_the_others_only(self) -> None:
        threads, stop = Threads("owner"), threading.Event()
        left: list[list[str]] = []
        threads.start("other", stop.wait)
        threads.start("closer", lambda: left.append(threads.join(Deadline(0.05))))
        eventually(lambda: left, "join returned in its own thread")
        assert left == [["typeddingo-owner-other"]]
        stop.set()
        assert threads.join(Deadline(10)) == []

    def test_joining_nothing_returns_at_once(self) -> None:
        assert Threads("owner").join(Deadline(None)) == []

    def test_ended_threads_are_forgotten_when_another_starts(self) -> None:
        threads = Threads("owner")
        for number in range(50):
            threads.start(str(number), lambda: None).join(10)
        assert threads.alive() == []
        assert len(threads._threads) == 1  # pyright: ignore[reportPrivateUsage]  # memory has no public face


class TestWaiting:
    def test_eventually_says_what_did_not_happen(self) -> None:
        with pytest.raises(AssertionError, match="the moon is green"):
            eventually(lambda: False, "the moon is green", timeout=0.01)

    def test_a_thread_left_running_is_named(self) -> None:
        threads, stop = Threads("leak"), threading.Event()
        with pytest.raises(AssertionError, match="typeddingo-leak-worker"), no_thread_left(timeout=0.05):
            threads.start("worker", stop.wait)
        stop.set()
        assert threads.join(Deadline(10)) == []
