"""The caller's half of the native layout: one stream of replies for all of its tasks. Comes from workers, goes to
``ReportStream``s."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_reply import Refused, Reply, whole
from typeddingo._io.redis_rows import cut
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Threads
from typeddingo.backends._redis_polled import Polled
from typeddingo.backends._redis_receiver import BLOCK, PATIENCE, Receiver
from typeddingo.events import EventCode, EventLevel

__all__ = ["Replies"]

AT_ONCE = 100
"""Entries of one read."""


class Replies(Receiver):
    """Its stream is deleted when it is closed, and expires when its process has died."""

    def __init__(self, server: RedisServer, threads: Threads, keys: NativeKeys, polled: Polled) -> None:
        super().__init__(server, threads)
        self.address = uuid.uuid4().hex
        self._keys = keys
        self._polled = polled
        self._stream = keys.replies(self.address)
        self._ttl = int(server.settings.result_ttl * 1000)
        self._last = "0-0"
        self._renew_at = 0.0

    def farewell(self) -> list[Command]:
        """What leaves nothing on the server."""
        return [("DEL", self._stream)]

    def _connected(self, link: RedisLink) -> None:
        """What was read is deleted with the next read, so all that is there is news; or else it came twice."""
        self._last = "0-0"
        self._renew_at = 0.0

    def _disconnected(self) -> None:
        """Nothing else hangs on it."""

    def _read(self, link: RedisLink) -> None:
        commands: list[Command] = []
        if self._last != "0-0":
            commands.append(("XTRIM", self._stream, "MINID", _after(self._last)))
        if (now := time.monotonic()) >= self._renew_at:
            self._renew_at = now + self._ttl / 3000
            commands.append(("PEXPIRE", self._stream, self._ttl))
        commands.append(("XREAD", "COUNT", AT_ONCE, "BLOCK", int(BLOCK * 1000), "STREAMS", self._stream, self._last))
        *_, reply = link.pipeline(commands, BLOCK + PATIENCE)
        if isinstance(reply, Refused):
            if reply.code != "UNBLOCKED":  # the stream was deleted
                raise reply
            self._last = "0-0"
            return
        if not (streams := whole(reply)):
            # What was read is deleted by now; in a stream that was lost and made anew less may come behind it.
            self._last = "0-0"
        for stream in streams:
            self._receive(whole(whole(stream)[1]))

    def _receive(self, entries: Sequence[Reply]) -> None:
        for entry in entries:
            id, fields = whole(entry)
            assert isinstance(id, bytes)
            self._last = id.decode()
            flat = [each for each in whole(fields) if isinstance(each, bytes)]
            try:
                if flat[::2] != [b"s", b"d"]:
                    raise ValueError("an entry of replies has sizes and data")
                parts = cut(flat[1], flat[3])
                if len(parts) % 3:
                    raise ValueError("a row of reports has a name, an id and a frame for each")
                self._hand_out(parts)
            except ValueError as error:
                what = f"something that is no report was thrown away: {type(error).__name__}"
                self._server.tell(EventLevel.ERROR, EventCode.UNDECODABLE, what)

    def _hand_out(self, parts: Sequence[bytes]) -> None:
        find = self._polled.find
        for name, id, frame in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if (stream := find(name.decode(), id.decode())) is not None:
                self._push(stream, (frame,))
            else:
                what = "a report was dropped: nobody asks for it any more"
                self._server.tell(EventLevel.DEBUG, EventCode.REPORT_DROPPED, what, name.decode(), id.decode())


def _after(id: str) -> str:
    milliseconds, _, number = id.partition("-")
    return f"{milliseconds}-{int(number) + 1}"
