"""What a process remembers of the tasks it runs and has run, against a model that remembers everything."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from typeddingo import Delivery, Listener, Meta, Parcel, Receipt
from typeddingo.window import LARGEST, ROOM_BYTES, Done, Key, Window


class Nowhere(Listener):
    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        return ()

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None: ...

    def close(self) -> None: ...

    @property
    def closed(self) -> bool:
        return True


def delivery() -> Delivery:
    return Delivery(b"", Nowhere())


def key(id: str) -> Key:
    return "task", id, ""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


ids = st.sampled_from(["1", "2", "3", "4"])


class WindowMachine(RuleBasedStateMachine):
    """Room for four tasks that are done, ten seconds long."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.window = Window(room=4, seconds=10.0, clock=self.clock)
        self.running: dict[str, list[Delivery]] = {}
        self.done: dict[str, tuple[bytes | None, float]] = {}
        """In the order in which they ended."""

    @rule(id=ids)
    def delivered(self, id: str) -> None:
        new = delivery()
        admitted = self.window.admit(key(id), new)
        if id in self.running:
            assert admitted is False
            self.running[id].append(new)
        elif isinstance(admitted, Done):
            report, until = self.done[id]
            assert until > self.clock.now
            assert admitted.report == report
        else:
            assert admitted is True
            report, until = self.done.pop(id, (None, 0.0))
            assert until <= self.clock.now or id not in self.latest, "the latest two are remembered for their time"
            self.running[id] = []

    @rule(id=ids, size=st.sampled_from([0, LARGEST, LARGEST + 1]))
    def finished(self, id: str, size: int) -> None:
        if id not in self.running:
            return
        parcel = Parcel(Meta("task", id), b"x" * size)
        assert list(self.window.finish(key(id), parcel)) == self.running.pop(id)
        self.done.pop(id, None)
        self.done[id] = (parcel.body if size <= LARGEST else None, self.clock.now + 10.0)
        self.latest = list(self.done)[-2:]

    latest: Sequence[str] = ()

    @rule(id=ids)
    def given_back(self, id: str) -> None:
        assert list(self.window.forget(key(id))) == self.running.pop(id, [])

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_keeps_no_more_than_it_has_room_for(self) -> None:
        assert len(self.window) <= 4


TestWindow = WindowMachine.TestCase


def test_two_callers_may_count_their_ids_alike() -> None:
    window = Window()
    assert window.admit(("task", "1", "here"), delivery()) is True
    assert window.admit(("task", "1", "there"), delivery()) is True


def test_reports_are_kept_up_to_a_number_of_bytes() -> None:
    window = Window()
    report = b"x" * LARGEST
    for number in range(2 * ROOM_BYTES // LARGEST):
        window.admit(key(str(number)), delivery())
        window.finish(key(str(number)), Parcel(Meta("task", str(number)), report))
    assert len(window) <= ROOM_BYTES // LARGEST + 1
