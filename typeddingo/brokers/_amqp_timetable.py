"""Schedules on RabbitMQ, which has no place to compare and set: a baton for each, held by the process that may fire.

When that process ends, the server hands the baton to another one. The clock is the holder's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_baton import Baton, Firing, settled_in
from typeddingo._io.amqp_channel import Channel, Dialogue
from typeddingo._io.amqp_errand import Getter, run_or
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message, Route
from typeddingo.broker import Confirmation, Parcel
from typeddingo.errors import ConnectionLost
from typeddingo.terms import AT_ONCE
from typeddingo.timetable import Look, ScheduleKey, Seat, Timetable

__all__ = ["AmqpTimetable"]

RENEW = 60.0
"""Seconds: no message is held for longer, lest the server takes it for forgotten (RabbitMQ does, after 30 minutes)."""


class AmqpTimetable(Timetable):
    """Thread-safe. ``baton`` and ``fired`` give the routes of a schedule's queues, ``task`` that of a task's."""

    def __init__(
        self,
        link: Link,
        baton: Callable[[ScheduleKey], Route],
        fired: Callable[[ScheduleKey], Route],
        task: Callable[[str], Route],
        send: Callable[[Sequence[Parcel]], Confirmation],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.link = link
        self.clock = clock
        self._baton = baton
        self._fired = fired
        self._task = task
        self.send = send
        self.seconds: float = link.settings.send_timeout

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """See ``Timetable.take_part``. Does not block."""
        route = self._task(key.task)
        return _AmqpSeat(self, route, Baton(self.link, self._baton(key), self._fired(key), route, wake))

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """See ``Timetable.last_fired``. Two who look at the same moment may see nothing."""
        return [run_or(None, self.link, partial(_look, self._fired(key).key), self.seconds) for key in keys]


def _look(queue: str, channel: Channel) -> Dialogue[float | None]:
    """What was got goes back when the channel is closed."""
    got = yield from Getter(channel).get(queue)
    return None if got is None else settled_in(got.properties)


class _AmqpSeat(Seat):
    def __init__(self, table: AmqpTimetable, task: Route, baton: Baton) -> None:
        self._table = table
        self._task = task
        self._baton = baton
        table.link.submit(partial(table.link.add, baton))

    def look(self) -> Look:
        baton = self._baton
        if baton.trouble is not None:
            raise baton.trouble
        if baton.ours and baton.last is not None and time.monotonic() - baton.since > RENEW:
            self._table.link.submit(baton.renew)
        return Look(self._table.clock(), baton.last, baton.ours)

    def fire(self, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        table, baton = self._table, self._baton
        if to > table.clock() or not baton.ours or baton.last != before:
            return False
        if any(parcel.terms is not AT_ONCE for parcel in parcels):  # they take other ways than the straight one
            table.send(parcels).wait()
            parcels = ()
        nobody = Answer(0, 0.0)
        messages = [Message(self._task, parcel.body, nobody, id=parcel.meta.id) for parcel in parcels]
        firing = Firing(before, to, messages)
        if not table.link.submit(partial(baton.fire, firing)):
            raise ConnectionLost("closed: it does not fire any more")
        return firing.wait(table.seconds)

    def leave(self) -> None:
        self._table.link.submit(self._baton.leave)
