"""Schedules of this process, in its memory: missed is what came while the process was not there, so nothing is.

Used by the local brokers and by ``App("local")``; lost with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from typeddingo.broker import Parcel
from typeddingo.timetable import Look, ScheduleKey, Seat, Timetable

__all__ = ["LocalTimetable"]


class LocalTimetable(Timetable):
    """Thread-safe. ``send`` stores tasks and may refuse them."""

    def __init__(self, send: Callable[[Sequence[Parcel]], object], clock: Callable[[], float] = time.time) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.RLock()
        self._last: dict[ScheduleKey, float] = {}

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """See ``Timetable.take_part``."""
        return _LocalSeat(self, key)

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """See ``Timetable.last_fired``."""
        with self._lock:
            return [self._last.get(key) for key in keys]

    def look(self, key: ScheduleKey) -> Look:
        with self._lock:
            return Look(self._clock(), self._last.get(key))

    def fire(self, key: ScheduleKey, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        with self._lock:
            if self._last.get(key) != before or to > self._clock():
                return False
            if parcels:
                self._send(parcels)
            self._last[key] = to
            return True


class _LocalSeat(Seat):
    def __init__(self, table: LocalTimetable, key: ScheduleKey) -> None:
        self._table = table
        self._key = key

    def look(self) -> Look:
        return self._table.look(self._key)

    def fire(self, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        return self._table.fire(self._key, before, to, parcels)

    def leave(self) -> None:
        return None
