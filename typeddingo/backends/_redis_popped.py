"""The caller's half of Go dingo's layout: a list a task. Comes from reporters, goes to ``ReportStream``s.

Go keeps a connection for every outstanding result. Here one blocking command waits for all of them, and for a key of
our own, into which a new poll throws something, so that it is waited for at once.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence

from typeddingo._io.redis_keys import DingoKeys
from typeddingo._io.redis_link import Call, Command, RedisLink, Script
from typeddingo._io.redis_reply import Refused, whole
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import ReportStream
from typeddingo.backends._redis_polled import Polled
from typeddingo.backends._redis_receiver import BLOCK, PATIENCE, Receiver
from typeddingo.broker import Parcel
from typeddingo.errors import ConnectionLost, WireError
from typeddingo.events import EventCode, EventLevel
from typeddingo.header import Header

__all__ = ["Popped", "report_as_dingo"]

AT_ONCE = 5000
"""Keys that one script looks at."""
DELETE_AT_ONCE = 1000
WAKE_SECONDS = 60

PUSH = Script(
    """
-- KEYS: the list of each report. ARGV: milliseconds that they are kept, then the reports
for i = 1, #KEYS do
  redis.call('LPUSH', KEYS[i], ARGV[i + 1])
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
return 1
""",
    always=True,
)

DRAIN = Script(
    """
-- KEYS: lists. Returns for each that is not empty which it is, and what was in it in order
local got = {}
for i = 1, #KEYS do
  local some = redis.call('RPOP', KEYS[i], 100)
  if some then got[#got + 1] = {i, some} end
end
return got
""",
    always=True,
)


def report_as_dingo(server: RedisServer, parcels: Sequence[Parcel]) -> None:
    """Blocks until they are stored. Go gives reports no end; these have one, which it does not notice."""
    calls: list[Command] = []
    for start in range(0, len(parcels), AT_ONCE):
        some = parcels[start : start + AT_ONCE]
        keys = [DingoKeys.result(parcel.meta.name, parcel.meta.id) for parcel in some]
        calls.append(Call(PUSH, keys, [int(server.settings.result_ttl * 1000), *(parcel.body for parcel in some)]))
    for reply in server.run(lambda link: link.pipeline(calls)):
        if isinstance(reply, Refused):
            raise reply.error() from reply


class Popped(Receiver):
    """See ``Receiver``."""

    def __init__(self, server: RedisServer, threads: Threads, polled: Polled) -> None:
        super().__init__(server, threads)
        self._polled = polled
        self._wake = f"dingo.wake.{uuid.uuid4().hex}"
        self._bell: RedisLink | None = None
        self._rung = False

    def ring(self) -> None:
        """There is one more to wait for. Does not wait for the server."""
        with self._lock:
            if self._rung or (bell := self._bell) is None:  # without one it is about to connect, and to look
                return
            self._rung = True
            with contextlib.suppress(ConnectionLost):
                bell.post([("LPUSH", self._wake, "x"), ("EXPIRE", self._wake, WAKE_SECONDS)])

    def farewell(self) -> list[Command]:
        """What leaves nothing on the server."""
        return [*self._delete_done(), ("DEL", self._wake)]

    def _connected(self, link: RedisLink) -> None:
        bell = self._server.connect(Deadline(self._server.settings.connect_timeout))
        bell.post([("CLIENT", "REPLY", "OFF")])
        with self._lock:
            self._bell = bell

    def _disconnected(self) -> None:
        with self._lock:
            bell, self._bell = self._bell, None
        if bell is not None:
            bell.close()

    def _read(self, link: RedisLink) -> None:
        """Wait for one report, then take all that are there: a burst costs a few commands, not one a report."""
        self._rung = False
        by_key: dict[str, list[ReportStream]] = {}
        for stream in self._polled.all():
            by_key.setdefault(DingoKeys.result(stream.meta.name, stream.meta.id), []).append(stream)
        keys = list(by_key)
        *_, reply = link.pipeline(
            [*self._delete_done(), ("BRPOP", self._wake, *keys, BLOCK)],
            BLOCK + PATIENCE,
        )
        if isinstance(reply, Refused):
            raise reply
        first = whole(reply)
        if not first:
            return
        key, frame = first
        if isinstance(key, bytes) and isinstance(frame, bytes) and (streams := by_key.get(key.decode())):
            self._hand_out(streams, [frame])
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            for entry in whole(link.call(Call(DRAIN, some))):
                at, frames = whole(entry)
                assert isinstance(at, int)
                self._hand_out(by_key[some[at - 1]], [each for each in whole(frames) if isinstance(each, bytes)])

    def _hand_out(self, streams: Sequence[ReportStream], frames: Sequence[bytes]) -> None:
        streams = [each for each in streams if self._polled.find(each.meta.name, each.meta.id) is each]  # not done yet
        if len(streams) == 1:
            self._push(streams[0], frames)
            return
        for frame in frames:  # names and ids that Go's keys do not keep apart
            try:
                header = Header.from_bytes(frame)
            except WireError as error:
                what = f"something that is no report was thrown away: {type(error).__name__}"
                self._server.tell(EventLevel.ERROR, EventCode.UNDECODABLE, what)
                continue
            for stream in streams:
                if (stream.meta.name, stream.meta.id) == (header.name, header.id):
                    self._push(stream, [frame])

    def _delete_done(self) -> list[Command]:
        """What deletes the reports that nobody wants any more."""
        done = [DingoKeys.result(meta.name, meta.id) for meta in self._polled.take_done()]
        return [("UNLINK", *done[start : start + DELETE_AT_ONCE]) for start in range(0, len(done), DELETE_AT_ONCE)]
