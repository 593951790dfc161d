"""The in-memory backend keeps the contract of every backend, and its own promises."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.inside import inside
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backends.local import LocalBackend
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError, ResultError, SendError
from typeddingo.events import Event, EventCode, EventLevel
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing import BackendTestSuite, eventually


class TestLocalBackend(BackendTestSuite):
    quiet = 0.02

    def make_backend(self) -> LocalBackend:
        return LocalBackend()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def report(backend: LocalBackend, id: str, *frames: bytes) -> None:
    backend.report([Parcel(Meta("task", id), frame) for frame in frames])


def heard(backend: LocalBackend) -> list[Event]:
    events: list[Event] = []
    backend.events().subscribe(events.append)
    return events


def test_a_task_polled_twice_is_told_and_says_what_to_do() -> None:
    backend = LocalBackend()
    events = heard(backend)
    backend.poll(Meta("task", "1"))
    with pytest.raises(ConfigError, match="call done"):
        backend.poll(Meta("task", "1"))
    assert [(event.code, event.level, event.task, event.id) for event in events] == [
        (EventCode.DUPLICATED_POLLING, EventLevel.ERROR, "task", "1")
    ]


def test_the_address_of_the_caller_is_not_part_of_a_tasks_identity() -> None:
    backend = LocalBackend()
    stream = backend.poll(Meta("task", "1", reply_to="here"))
    report(backend, "1", b"x")
    assert stream.take(0) == [b"x"]


class TestEarlyReports:
    def test_they_are_kept_for_their_time_to_live(self) -> None:
        clock = Clock()
        backend = LocalBackend(ttl=60, clock=clock)
        report(backend, "1", b"early")
        clock.now = 59.9
        assert backend.poll(Meta("task", "1")).take(0) == [b"early"]
        assert backend.kept() == 0

    def test_they_are_dropped_with_an_event_when_it_is_over(self) -> None:
        clock = Clock()
        backend = LocalBackend(ttl=60, clock=clock)
        events = heard(backend)
        report(backend, "1", b"sent", b"success")
        clock.now = 60.0
        assert list(backend.poll(Meta("task", "1")).take(0)) == []
        assert backend.kept() == 0
        assert [(event.code, event.id, event.message) for event in events] == [
            (EventCode.REPORT_DROPPED, "1", "2 reports dropped that nobody asked for")
        ]

    def test_they_expire_by_the_first_report_of_their_task(self) -> None:
        clock = Clock()
        backend = LocalBackend(ttl=60, clock=clock)
        report(backend, "old", b"x")
        clock.now = 30.0
        report(backend, "new", b"x")
        report(backend, "old", b"y")
        clock.now = 70.0
        report(backend, "newest", b"x")
        assert backend.kept() == 2
        assert backend.poll(Meta("task", "new")).take(0) == [b"x"]

    def test_the_oldest_go_when_there_is_no_room(self) -> None:
        backend = LocalBackend(room=2)
        events = heard(backend)
        for id in "123":
            report(backend, id, b"x")
        assert backend.kept() == 2
        assert [event.id for event in events] == ["1"]
        assert backend.poll(Meta("task", "3")).take(0) == [b"x"]

    def test_done_removes_them(self) -> None:
        backend = LocalBackend()
        report(backend, "1", b"x")
        backend.done(Meta("task", "1"))
        assert backend.kept() == 0
        assert list(backend.poll(Meta("task", "1")).take(0)) == []

    def test_those_left_when_the_backend_is_closed_are_told(self) -> None:
        backend = LocalBackend()
        events = heard(backend)
        report(backend, "1", b"x")
        backend.close()
        assert [event.code for event in events] == [EventCode.REPORT_DROPPED]


def test_it_holds_nothing_once_every_task_is_done() -> None:
    backend = LocalBackend()
    for number in range(100):
        meta = Meta("task", str(number))
        backend.poll(meta)
        report(backend, str(number), b"x")
        assert backend.outstanding() == 1
        backend.done(meta)
    assert (backend.outstanding(), backend.kept()) == (0, 0)


def test_a_sink_may_call_back_whatever_it_is_told() -> None:
    """As a result does: it is done with its task once the final report arrives, and may start the next."""
    backend = LocalBackend()
    got: list[bytes] = []

    def sink(frames: Sequence[bytes], error: ResultError | None) -> None:
        got.extend(frames)
        backend.done(Meta("task", "1"))
        if not error and len(got) < 3:
            backend.poll(Meta("task", "1")).attach(sink)

    backend.poll(Meta("task", "1")).attach(sink)
    for frame in (b"a", b"b", b"c", b"d"):
        report(backend, "1", frame)
    assert got == [b"a", b"b", b"c"]
    backend.close()


def test_a_sink_may_finish_while_the_next_report_waits_for_it() -> None:
    """The sink calls done() with its stream locked, the reporter waits for that stream: neither may hold the other."""
    backend = LocalBackend()
    threads = Threads("test")
    got: list[bytes] = []

    def sink(frames: Sequence[bytes], error: ResultError | None) -> None:
        got.extend(frames)
        if len(got) == 1:
            reporter = threads.start("reporter", lambda: report(backend, "1", b"second"))
            eventually(lambda: inside(reporter, "push"), "the reporter waits for the stream")
            threads.start("finisher", lambda: backend.done(Meta("task", "1"))).join(5)
            backend.done(Meta("task", "1"))

    stream = backend.poll(Meta("task", "1"))
    report(backend, "1", b"first")
    stream.attach(sink)
    assert threads.join(Deadline(5)) == []
    assert got == [b"first", b"second"]
    assert backend.outstanding() == 0


@pytest.mark.parametrize(("ttl", "room"), [(0, 1), (-1, 1), (1, 0)])
def test_a_wrong_bound_is_refused(ttl: float, room: int) -> None:
    with pytest.raises(ConfigError, match="expected ttl above 0 seconds and room"):
        LocalBackend(ttl=ttl, room=room)


def test_a_role_it_cannot_play_is_named() -> None:
    with pytest.raises(ConfigError, match=r"LocalBackend cannot be PRODUCER: it can be REPORTER\|STORE"):
        LocalBackend().expect(Role.PRODUCER)


def test_a_closed_backend_says_what_to_do() -> None:
    backend = LocalBackend()
    backend.close()
    with pytest.raises(ConfigError, match="closed: make a new one"):
        backend.poll(Meta("task", "1"))
    with pytest.raises(SendError, match="closed: the reports were not stored"):
        report(backend, "1", b"x")
