"""Which tasks run here or have run here lately. Comes from the desk, asked before a task is run.

A broker delivers at least once. When it loses its connection it delivers again what a living worker holds; when a
receipt is lost, what is done. Neither is run a second time by this process: the first is settled together with the run
that goes on, the second is reported again and settled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from typeddingo.broker import Delivery, Parcel

__all__ = ["Done", "Key", "Window"]

Key: TypeAlias = "tuple[str, str, str]"
"""Name, id and the address of the caller's reports: two callers may count their ids alike."""

ROOM = 10_000
"""Tasks that are remembered after they are done; at least half of them are."""
ROOM_BYTES = 4 * 1024 * 1024
"""Bytes of their reports."""
SECONDS = 600.0
"""How long they are."""
LARGEST = 4096
"""Bytes of a report that is kept, so that who sent the task twice hears twice."""


class Done(NamedTuple):
    """A task that ended here."""

    report: bytes | None
    """The frame of its final report, if it has one that is not too large to keep."""
    until: float


class Window:
    """One an app; thread-safe."""

    def __init__(self, room: int = ROOM, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._half = max(1, room // 2)
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[Key, list[Delivery] | None] = {}
        """With what else was delivered of each, which is nothing as a rule."""
        # Two generations: a full one replaces the older. Cheaper than to find the oldest each time. Plain tuples: made
        # in a tenth of the time, and no work for the garbage collector.
        self._done: dict[Key, tuple[bytes | None, float]] = {}
        self._older: dict[Key, tuple[bytes | None, float]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """How many tasks it remembers as done."""
        return len(self._done) + len(self._older)

    def admit(self, key: Key, delivery: Delivery) -> Done | bool:
        """True: run it, and tell by ``finish`` or ``forget`` how that ended. False: it is running here, and the
        delivery is settled together with that run. ``Done``: it has run here."""
        with self._lock:
            running = self._running
            if key in running:
                running[key] = [*(running[key] or ()), delivery]
                return False
            if (done := self._done.get(key) or self._older.get(key)) is not None and done[1] > self._clock():
                return Done(*done)
            running[key] = None
            return True

    def finish(self, key: Key, parcel: Parcel | None) -> Sequence[Delivery]:
        """Its report is stored. Returns the further deliveries of it that came meanwhile."""
        report = parcel.body if parcel is not None and len(parcel.body) <= LARGEST else None
        with self._lock:
            again = self._running.pop(key, None)
            self._done[key] = (report, self._clock() + self._seconds)
            if report is not None:
                self._bytes += len(report)
            if len(self._done) >= self._half or self._bytes > ROOM_BYTES // 2:
                self._older, self._done, self._bytes = self._done, {}, 0
            return again or ()

    def forget(self, key: Key) -> Sequence[Delivery]:
        """It goes back unfinished. Returns the further deliveries of it that came meanwhile."""
        with self._lock:
            return self._running.pop(key, None) or ()
