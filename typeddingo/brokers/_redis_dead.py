"""Queues and dead letters of the native layout as an operator sees them. Comes from ``RedisBroker``'s ``Inspector``."""

from __future__ import annotations

from collections.abc import Sequence

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, Script
from typeddingo._io.redis_reply import Reply, whole
from typeddingo._io.redis_server import RedisServer
from typeddingo.brokers._redis_queue import fields_of
from typeddingo.brokers._redis_waiting import FREE, GROUP
from typeddingo.errors import WireError
from typeddingo.header import Header
from typeddingo.inspection import DeadTask, QueueState

__all__ = ["DeadLetters", "dead_id"]

AT_ONCE = 500
"""Dead letters that one script moves."""

STATE = Script(
    f"""
-- KEYS: stream, dead letters, the stream of the hurried, the sets of those for later and of the urgent
local waiting, running, names, owners = redis.call('ZCARD', KEYS[5]), 0, {{}}, 0
for _, stream in ipairs({{KEYS[1], KEYS[3]}}) do
  local held, free, pending = 0, 0, redis.pcall('XPENDING', stream, '{GROUP}')
  if not pending.err then
    held = pending[1]
    for _, each in ipairs(pending[4] or {{}}) do
      if each[1] == '{FREE}' then free = tonumber(each[2]) end
    end
    for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', stream, '{GROUP}')) do
      if each[2] ~= '{FREE}' and not names[each[2]] then owners, names[each[2]] = owners + 1, true end
    end
  end
  waiting, running = waiting + redis.call('XLEN', stream) - held + free, running + held - free
end
return {{waiting, running, redis.call('XLEN', KEYS[2]), owners, redis.call('ZCARD', KEYS[4])}}
""",
    always=True,
)

MOVE = Script("""
-- KEYS: stream, dead letters. ARGV: how many, then which; none: the oldest
local some, moved = {}, 0
if #ARGV == 1 then some = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[1])
else
  for i = 2, #ARGV do some[#some + 1] = redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i])[1] end
end
for _, entry in ipairs(some) do
  local fields, is = {}, entry[2]
  for i = 1, #is, 2 do
    local gone = is[i] == 'why' or is[i] == 'times' or is[i] == 'n' or is[i] == 'e' or is[i] == 'd'
    if not gone then fields[#fields + 1] = is[i]; fields[#fields + 1] = is[i + 1] end
  end
  redis.call('XADD', KEYS[1], '*', unpack(fields))
  redis.call('XDEL', KEYS[2], entry[1])
  moved = moved + 1
end
return moved
""")

DELETE = Script(
    """
-- KEYS: dead letters. ARGV: which; none: all
if #ARGV > 0 then return redis.call('XDEL', KEYS[1], unpack(ARGV)) end
local count = redis.call('XLEN', KEYS[1])
redis.call('UNLINK', KEYS[1])
return count
""",
    always=True,
)


class DeadLetters:
    """Thread-safe; every method blocks until the server has answered. Raises ``ConnectionLost`` or ``ConfigError``."""

    def __init__(self, server: RedisServer, keys: NativeKeys) -> None:
        self._server = server
        self._keys = keys

    def queue(self, name: str) -> QueueState:
        """See ``Inspector.queue``."""
        keys = self._keys
        call = Call(STATE, [*self._both(name), keys.hurried(name), keys.later(name), keys.urgent(name)])
        reply = self._server.run(lambda link: link.call(call))
        return QueueState(name, *(each if isinstance(each, int) else 0 for each in whole(reply)))

    def oldest(self, name: str, limit: int) -> Sequence[DeadTask]:
        """See ``Inspector.dead``."""
        command = ("XRANGE", self._keys.dead(name), "-", "+", "COUNT", max(1, limit))
        reply = self._server.run(lambda link: link.call(command))
        return [_dead_task(name, entry) for entry in whole(reply)][: max(0, limit)]

    def replay(self, name: str, keys: Sequence[str] | None) -> int:
        """See ``Inspector.replay``. A task is moved in one step: none is lost, and none is there twice."""
        if keys is not None:
            return sum(self._ask(Call(MOVE, self._both(name), [AT_ONCE, *portion])) for portion in _portions(keys))
        moved, left = 0, self.queue(name).dead  # no more than there are now: one may die again at once
        while left > moved and (count := self._ask(Call(MOVE, self._both(name), [min(AT_ONCE, left - moved)]))):
            moved += count
        return moved

    def purge(self, name: str, keys: Sequence[str] | None) -> int:
        """See ``Inspector.purge``."""
        if keys is None:
            return self._ask(Call(DELETE, [self._keys.dead(name)]))
        return sum(self._ask(Call(DELETE, [self._keys.dead(name)], portion)) for portion in _portions(keys))

    def _ask(self, call: Call) -> int:
        reply = self._server.run(lambda link: link.call(call), again=False)
        return reply if isinstance(reply, int) else 0

    def _both(self, name: str) -> list[str]:
        return [self._keys.tasks(name), self._keys.dead(name)]


def dead_id(frame: bytes) -> str:
    """The id in the header of a frame, or of how it begins; empty when it cannot be read."""
    try:
        return Header.from_bytes(frame).id
    except WireError:
        return ""


def _dead_task(name: str, entry: Reply) -> DeadTask:
    key, reply = whole(entry)
    assert isinstance(key, bytes)
    fields = fields_of(reply)
    body = fields.get(b"b", b"")
    times = fields.get(b"times", b"0")
    return DeadTask(
        key=key.decode(),
        name=name,
        id=dead_id(body),
        body=body,
        reason=fields.get(b"why", b"").decode(errors="replace"),
        time=int(key.partition(b"-")[0]) / 1000,
        deliveries=int(times) if times.isdigit() else 0,
    )


def _portions(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)]
