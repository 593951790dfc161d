"""Sends what is due: one thread an app, from its first schedule with workers here until it is closed.

Comes from ``App.allocate``; goes to the timetable of the broker, which sees to it that many schedulers fire once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError, QueueFull, TypedDingoError
from typeddingo.events import EventCode, EventLevel
from typeddingo.rhythm import CatchUp, Rhythm, chosen, spelled
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.timetable import ScheduleKey, Seat, Timetable

__all__ = ["Planned", "Scheduler"]

_log = logging.getLogger("typeddingo")

LOOK = 30.0
"""Seconds: nobody waits for longer without looking at the clock that decides."""
PAUSE = 1.0
"""Seconds until the next try when a server is away."""
LONG_PAUSE = 30.0
"""Seconds until the next try when it refuses us: somebody may correct it."""


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """One schedule, as far as the scheduler is concerned."""

    key: ScheduleKey
    rhythm: Rhythm
    catch_up: CatchUp
    parcel: Callable[[str], Parcel]
    """The task to send, by the id that it shall have."""


@dataclass(slots=True, eq=False)
class _Chair:
    planned: Planned
    seat: Seat
    again: float = 0.0
    """When to look again, by the scheduler's clock."""
    woken: bool = True
    told: str = ""
    """The complaint that was published last: a server that is away is told once."""
    warned_of: set[float] = field(default_factory=set[float])
    one_by_one: bool = False
    """All that was missed does not fit into the queue at once."""


class Scheduler:
    """Thread-safe. ``clock`` gives monotonic seconds; who injects one calls ``attend`` himself and ``wake`` never."""

    def __init__(
        self, runtime: Runtime, timetable: Callable[[], Timetable], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runtime = runtime
        self._timetable = timetable
        self._clock = clock
        self._threads = Threads(runtime.owner)
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._chairs: dict[ScheduleKey, _Chair] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def serve(self, plans: Iterable[Planned], *, start: bool = True) -> None:
        """Take part in these schedules, unless we do already. Raises ``ConfigError``: the broker cannot."""
        with self._lock:
            for planned in plans:
                if self._closed or planned.key in self._chairs:
                    continue
                seat = self._timetable().take_part(planned.key, partial(self._wake, planned.key))
                self._chairs[planned.key] = _Chair(planned, seat)
            if start and self._chairs and self._thread is None and not self._closed:
                self._thread = self._threads.start("schedules", self._run)
        self._bell.set()

    def close(self) -> None:
        """Fire no more, and let others do so. Idempotent; does not wait."""
        with self._lock:
            self._closed = True
            chairs, self._chairs = list(self._chairs.values()), {}
        self._bell.set()
        for chair in chairs:
            chair.seat.leave()

    def join(self, deadline: Deadline) -> list[str]:
        """After ``close``: wait for the thread."""
        return self._threads.join(deadline)

    def attend(self) -> float:
        """Look after whatever it is time for; returns the seconds until there is something to do again."""
        for chair in self._all():
            if chair.woken or chair.again <= self._clock():
                chair.woken = False
                chair.again = self._clock() + self._carefully(chair)
        waits = [0.0 if chair.woken else chair.again - self._clock() for chair in self._all()]
        return max(0.0, min(waits, default=LOOK))

    def _run(self) -> None:
        while not self._closed:
            self._bell.clear()
            self._bell.wait(self.attend())

    def _all(self) -> Sequence[_Chair]:
        with self._lock:
            return list(self._chairs.values())

    def _wake(self, key: ScheduleKey) -> None:
        if (chair := self._chairs.get(key)) is not None:  # no lock: called from within the adapter's own
            chair.woken = True
        self._bell.set()

    def _carefully(self, chair: _Chair) -> float:
        try:
            seconds = self._look_after(chair)
        except ConfigError as error:
            self._complain(chair, EventLevel.ERROR, error)
            return LONG_PAUSE
        except TypedDingoError as error:
            self._complain(chair, EventLevel.WARNING, error)
            return PAUSE
        except Exception as error:  # without this thread no schedule would fire
            _log.exception("schedule %r: firing failed, trying again", chair.planned.key.name)
            self._complain(chair, EventLevel.ERROR, error)
            return PAUSE
        chair.told = ""
        return seconds

    def _look_after(self, chair: _Chair) -> float:
        """Fire what is due; returns the seconds until the next look."""
        planned, seat, beaten = chair.planned, chair.seat, False
        while not self._closed:
            now, last, ours = seat.look()
            if not ours:
                return LOOK
            if last is None:  # seen for the first time: from now on
                fired = seat.fire(None, now, ())
            elif (due := chosen(planned.rhythm, last, now, planned.catch_up)) is not None:
                fired = self._fire_what_fits(chair, last, *due)
            else:
                chair.one_by_one = False
                following = planned.rhythm.after(max(last, now))
                self._warn_of_future(chair, last, now)
                return LOOK if following is None else min(LOOK, max(0.0, following - now))
            if not fired and beaten:  # not once by another process, but by an answer that is still to come
                return PAUSE
            beaten = not fired
        return LOOK

    def _fire_what_fits(self, chair: _Chair, last: float, to: float, moments: Sequence[float]) -> bool:
        if chair.one_by_one and moments:
            to, moments = moments[0], moments[:1]
        try:
            return self._fire(chair.planned, chair.seat, last, to, moments)
        except QueueFull:
            chair.one_by_one = True
            raise

    def _fire(self, planned: Planned, seat: Seat, last: float, to: float, moments: Sequence[float]) -> bool:
        name = planned.key.name
        parcels = [planned.parcel(f"{name}@{spelled(moment)}") for moment in moments]
        if not seat.fire(last, to, parcels):
            return False
        for parcel in parcels:
            self._tell(planned, EventLevel.DEBUG, f"schedule {name!r} has fired", parcel.meta.id)
        return True

    def _warn_of_future(self, chair: _Chair, last: float, now: float) -> None:
        if last > now + LOOK and last not in chair.warned_of:
            chair.warned_of = {last}
            what = f"has fired at {spelled(last)}, which the clock here has not come to: it does not fire until then"
            self._tell(chair.planned, EventLevel.WARNING, f"schedule {chair.planned.key.name!r} {what}")

    def _complain(self, chair: _Chair, level: EventLevel, error: Exception) -> None:
        if chair.told != str(error) and not self._closed:
            chair.told = str(error)
            self._tell(
                chair.planned, level, f"schedule {chair.planned.key.name!r} could not fire, trying again: {error}"
            )

    def _tell(self, planned: Planned, level: EventLevel, what: str, id: str = "") -> None:
        self._runtime.publish(Role.BRIDGE, level, EventCode.GENERIC, what, task=planned.key.task, id=id)
