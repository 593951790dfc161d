"""Schedules on Redis: one key each holds up to when it is settled, and the server's clock decides what has come.

Storing the tasks and moving the key on is one step of the server: however many processes try, one succeeds, and none
can die in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typeddingo._io.redis_keys import BESIDE, NativeKeys
from typeddingo._io.redis_link import Call, Command, Script
from typeddingo._io.redis_reply import Refused, Reply, whole
from typeddingo._io.redis_server import RedisServer
from typeddingo.broker import Confirmation, Parcel
from typeddingo.brokers._redis_scripts import FULL, LENGTH
from typeddingo.errors import ConfigError, QueueFull
from typeddingo.terms import AT_ONCE
from typeddingo.timetable import Look, ScheduleKey, Seat, Timetable

__all__ = ["RedisTimetable"]

MICROSECONDS = 1_000_000
DONE, LOST = 1, 0

FIRE = Script(f"""{BESIDE}{LENGTH}
-- KEYS: what is settled, a stream. ARGV: until when it is by what we know ('': never), until when it is then, the bound
-- (0: none), then the frames of the tasks
local time = redis.call('TIME')
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return {LOST} end
if tonumber(ARGV[2]) > time[1] * 1000000 + time[2] then return {LOST} end
local bound, count = tonumber(ARGV[3]), #ARGV - 3
if bound > 0 and count > 0 and length(KEYS[2]) + count > bound then return {FULL} end
for i = 4, #ARGV do redis.call('XADD', KEYS[2], '*', 'b', ARGV[i]) end
redis.call('SET', KEYS[1], ARGV[2])
return {DONE}
""")
"""Stores tasks, if nobody has done so before and their time has come. Returns: 1 done, 0 not, -1 there is no room."""


class RedisTimetable(Timetable):
    """Thread-safe. ``send``: of the broker, for tasks with terms of their own."""

    def __init__(
        self, server: RedisServer, keys: NativeKeys, bound: int, send: Callable[[Sequence[Parcel]], Confirmation]
    ) -> None:
        self._server = server
        self._keys = keys
        self._bound = bound
        self._send = send

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """See ``Timetable.take_part``. Nobody needs to be woken: all of them look when it is due."""
        return _RedisSeat(self, key)

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """See ``Timetable.last_fired``."""
        asked: list[Command] = [("GET", self._keys.schedule(key.task, key.name)) for key in keys]
        if not asked:
            return []
        return [_last(reply) for reply in self._server.run(lambda link: link.pipeline(asked))]

    def look(self, key: ScheduleKey) -> Look:
        asked: list[Command] = [("TIME",), ("GET", self._keys.schedule(key.task, key.name))]
        time, last = self._server.run(lambda link: link.pipeline(asked))
        if isinstance(time, Refused):
            raise time.error()
        seconds, micros = (int(part) for part in whole(time) if isinstance(part, bytes))
        return Look(seconds + micros / MICROSECONDS, _last(last))

    def fire(self, key: ScheduleKey, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        if any(parcel.terms is not AT_ONCE for parcel in parcels):
            # They are stored as any other call is. Whoever does the same at once sends the same frames and ids, which
            # are stored once; who dies after the first step has it done again, and they are still known.
            if self.look(key).last != before:
                return False
            self._send(parcels).wait()
            parcels = ()
        was = "" if before is None else _text(before)
        arguments: list[str | bytes | int] = [was, _text(to), self._bound, *(parcel.body for parcel in parcels)]
        fire = Call(FIRE, [self._keys.schedule(key.task, key.name), self._keys.tasks(key.task)], arguments)
        reply = self._server.run(lambda link: link.call(fire))
        if reply == FULL:
            raise QueueFull(
                f"the queue of task {key.task!r} has no room: the schedule fires when workers have caught up"
            )
        return reply == DONE


class _RedisSeat(Seat):
    def __init__(self, table: RedisTimetable, key: ScheduleKey) -> None:
        self._table = table
        self._key = key

    def look(self) -> Look:
        return self._table.look(self._key)

    def fire(self, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        return self._table.fire(self._key, before, to, parcels)

    def leave(self) -> None:
        return None


def _text(moment: float) -> str:
    return str(round(moment * MICROSECONDS))


def _last(reply: Reply) -> float | None:
    if isinstance(reply, Refused):
        raise reply.error()
    if not isinstance(reply, bytes):
        return None
    try:
        return int(reply) / MICROSECONDS
    except ValueError:
        raise ConfigError("what Redis holds for a schedule is not ours: another program uses this namespace") from None
