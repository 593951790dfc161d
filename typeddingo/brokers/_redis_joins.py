"""What many workers bring together on a Redis server: a hash for each whole. Comes from ``Joins.join``.

Every step is one script: of two workers that bring their parts at the same moment, one is told that it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, RedisLink, Script
from typeddingo._io.redis_reply import Refused, Reply
from typeddingo._io.redis_server import RedisServer
from typeddingo.broker import Part
from typeddingo.message import Meta

__all__ = ["RedisJoins"]

SECONDS = 7 * 24 * 3600
"""For so long after its last part a whole is kept that is not complete."""

JOIN = Script("""
-- KEYS: a hash. ARGV: index, count, body, seconds
if redis.call('HEXISTS', KEYS[1], 'done') == 1 then return false end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[2]) then return false end
return redis.call('HGETALL', KEYS[1])
""")
"""Stores a part, unless it is there. Returns all parts with their indices when none is missing."""


DONE_SECONDS = 600
"""For so long it is known that a whole was passed on: a part that comes once more, from a worker that was believed
dead, begins no new one."""

FORGET = Script(
    """
-- KEYS: hashes. ARGV: seconds
for _, key in ipairs(KEYS) do
  redis.call('UNLINK', key)
  redis.call('HSET', key, 'done', '1')
  redis.call('EXPIRE', key, ARGV[1])
end
return #KEYS
""",
    always=True,
)


class RedisJoins:
    """Thread-safe. Every method blocks; raises ``ConnectionLost``, ``QueueFull`` or ``ConfigError``."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._keys = NativeKeys(server.settings.namespace)

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        calls = [Call(JOIN, (self._key(part.meta),), (part.index, part.count, part.body, SECONDS)) for part in parts]
        replies = self._server.run(lambda link: _asked(link, calls))
        return [_in_order(reply) for reply in replies]

    def forget(self, metas: Sequence[Meta]) -> None:
        calls = [Call(FORGET, (self._key(meta),), (DONE_SECONDS,)) for meta in metas]
        self._server.run(lambda link: _asked(link, calls))

    def _key(self, meta: Meta) -> str:
        return self._keys.join(meta.name, meta.id)


def _asked(link: RedisLink, calls: Sequence[Call]) -> list[Reply]:
    replies = link.pipeline(calls)
    for reply in replies:
        if isinstance(reply, Refused):
            raise reply
    return replies


def _in_order(reply: Reply) -> Sequence[bytes] | None:
    if not isinstance(reply, list):
        return None
    fields = [each for each in reply if isinstance(each, bytes)]
    bodies = {int(index): body for index, body in zip(fields[::2], fields[1::2], strict=True)}
    return [bodies[index] for index in sorted(bodies)]
