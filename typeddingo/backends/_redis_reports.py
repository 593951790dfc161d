"""Reports on their way to Redis, in the native layout. Comes from a worker's outbox, goes to the store of the caller.

Each task's last report is kept under its own key for whoever asks later; all reports of one exchange that go to one
caller lie in one entry of the caller's stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from typeddingo._io.bundle import pack
from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, Refused, Script
from typeddingo._io.redis_server import RedisServer
from typeddingo.broker import Parcel

__all__ = ["report_natively"]

AT_ONCE = 500
"""Reports that one script stores."""
BYTES_AT_ONCE = 4_000_000
"""Bytes of them, about."""

REPORT = Script(
    """
-- KEYS: a result for each task, then a stream for each caller. ARGV: milliseconds that all are kept, how many results,
-- then their reports, then a bundle for each caller.
local results = tonumber(ARGV[2])
for i = 1, results do redis.call('SET', KEYS[i], ARGV[i + 2], 'PX', ARGV[1]) end
for i = results + 1, #KEYS do
  redis.call('XADD', KEYS[i], '*', 'm', ARGV[i + 2])
  redis.call('PEXPIRE', KEYS[i], ARGV[1], 'NX')
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
    results: dict[str, bytes] = {}
    bundles: dict[str, list[bytes]] = {}
    for meta, body in parcels:
        results[keys.result(meta.name, meta.id)] = body
        if address := meta.reply_to:
            if (bundle := bundles.get(address)) is None:
                bundle = bundles[address] = []
            bundle += (meta.name.encode(), meta.id.encode(), body)
    streams = [keys.replies(address) for address in bundles]
    arguments: list[int | bytes] = [ttl, len(results), *results.values(), *map(pack, bundles.values())]
    return Call(REPORT, [*results, *streams], arguments)


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
