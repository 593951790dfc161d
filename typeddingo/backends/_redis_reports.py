"""Reports on their way to Redis, in the native layout. Comes from a worker's outbox, goes to the store of the caller.

Each task's last report is kept under its own key for whoever asks later; all reports of one exchange that go to one
caller lie in one entry of the caller's stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from typeddingo._io.redis_keys import RESULT_KEY, NativeKeys
from typeddingo._io.redis_link import Call, Script
from typeddingo._io.redis_reply import Refused
from typeddingo._io.redis_rows import CUT, row
from typeddingo._io.redis_server import RedisServer
from typeddingo.broker import Parcel

__all__ = ["report_natively"]

AT_ONCE = 500
"""Reports that one script stores."""
BYTES_AT_ONCE = 4_000_000
"""Bytes of them, about."""

REPORT = Script(
    f"""{CUT}{RESULT_KEY}
-- KEYS: a stream for each caller. ARGV: what every key begins with, milliseconds that all is kept, then for each caller
-- name, id and frame of its reports as a row; last, such a row of reports that have no caller.
for i = 1, #ARGV / 2 - 1 do
  local sizes, data = ARGV[2 * i + 1], ARGV[2 * i + 2]
  local parts = cut(sizes, data)
  for at = 1, #parts, 3 do
    redis.call('SET', result_key(ARGV[1], parts[at], parts[at + 1]), parts[at + 2], 'PX', ARGV[2])
  end
  if KEYS[i] then
    redis.call('XADD', KEYS[i], '*', 's', sizes, 'd', data)
    redis.call('PEXPIRE', KEYS[i], ARGV[2], 'NX')
  end
end
return 1
""",
    always=True,
)


def report_natively(server: RedisServer, keys: NativeKeys, parcels: Sequence[Parcel]) -> None:
    """Blocks until they are stored. Raises ``ConnectionLost``, ``SendError`` or ``ConfigError``."""
    calls = [_call(keys, int(server.settings.result_ttl * 1000), some) for some in _portions(parcels)]
    for reply in server.run(lambda link: link.pipeline(calls)):
        if isinstance(reply, Refused):
            raise reply.error() from reply


def _call(keys: NativeKeys, ttl: int, parcels: Sequence[Parcel]) -> Call:
    callers: dict[str, list[bytes]] = {}
    for meta, body, _ in parcels:
        if (parts := callers.get(meta.reply_to)) is None:
            parts = callers[meta.reply_to] = []
        parts += (meta.name.encode(), meta.id.encode(), body)
    nobody = callers.pop("", [])
    arguments: list[int | str | bytes] = [keys.prefix, ttl]
    for parts in (*callers.values(), nobody):
        arguments += row(parts)
    return Call(REPORT, [keys.replies(address) for address in callers], arguments)


def _portions(parcels: Sequence[Parcel]) -> Iterator[Sequence[Parcel]]:
    if len(parcels) <= AT_ONCE and sum(len(parcel.body) for parcel in parcels) <= BYTES_AT_ONCE:
        yield parcels
        return
    some: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if some and (len(some) == AT_ONCE or size + len(parcel.body) > BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(parcel)
        size += len(parcel.body)
    yield some
