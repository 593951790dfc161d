"""A queue whose messages are of use only all together: count them, and hold them when none is missing.

Comes from who brings the parts of a list together. One reader at a time, by a lock: an exclusive queue beside it. Who
does not find enough may go: he has put his own part there before he looked, so whoever looks after the last part was
put there finds all of them, or finds somebody who holds them and must pass them on, or die and try again.
"""

from __future__ import annotations

import threading
from functools import partial

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from typeddingo._io.amqp_channel import Dialogue, Station, count_of
from typeddingo._io.amqp_errand import Getter, Got
from typeddingo._io.amqp_link import Link
from typeddingo.errors import ConfigError, ConnectionLost

__all__ = ["AT", "Whole"]

AT = "at"
"""The header that says which part a message is."""
PAUSE, PATIENCE = 0.02, 100
"""Seconds between looks at whether what was put back is there, and how many of them."""
LOCKED, NOT_FOUND = "RESOURCE_LOCKED", 404
LOCK_SECONDS = 600
"""A lock that nobody has removed goes by itself."""


class Whole(Station):
    """One try to get all of it. Made and asked in a thread that waits, lives on the link's."""

    def __init__(self, link: Link, queue: str, count: int) -> None:
        super().__init__(link)
        self.bodies: list[bytes] | None = None
        """All the parts, in order; they are held until ``release``."""
        self.gone = False
        """The queue is: somebody has passed it all on."""
        self.there = 0
        """How many parts there are, if some are missing."""
        self._queue = queue
        self._lock = f"{queue}.lock"
        self._count = count
        self._done = threading.Event()
        self._error: Exception | None = None

    def read(self, timeout: float) -> bool:
        """False: somebody else is reading. Raises ``ConnectionLost`` or ``ConfigError``; then nothing is held."""
        if not self.link.submit(lambda: self.link.add(self)):
            raise ConnectionLost("closed: ask before close()")
        if not self._done.wait(timeout):
            self.link.submit(self.leave)
            raise ConnectionLost(f"{self.link.settings.address} does not answer")
        if self._error is not None:
            if isinstance(self._error, ConfigError) and LOCKED in str(self._error):
                return False
            raise self._error
        return True

    def release(self) -> None:
        """Put back what is held, unless the queue is gone, and let others read."""
        self.link.submit(self._release)

    # On the link's thread.

    def set_up(self, channel: Channel) -> Dialogue[None]:
        """Lock, count, and get them all."""
        if self._done.is_set():
            return
        yield lambda then: channel.queue_declare(
            self._lock, exclusive=True, arguments={"x-expires": LOCK_SECONDS * 1000}, callback=then
        )
        while self._error is None:
            self.there, _ = yield from count_of(channel, self._queue)
            if self.there < self._count:
                break
            parts = yield from self._take(channel)
            if len(parts) == self._count:
                self.bodies = [parts[index].body for index in sorted(parts)]
                return
            yield from self._put_back(channel, parts)
        yield from self.unlock(channel)

    def unlock(self, channel: Channel) -> Dialogue[None]:
        """Let others read. What the server has closed this channel for leaves it locked."""
        yield lambda then: channel.queue_delete(self._lock, callback=then)

    def ready(self, channel: Channel) -> None:
        if not self._done.is_set():
            if self.bodies is None:
                self.leave()
            self._done.set()

    def lost(self, error: BaseException) -> None:
        if self._done.is_set():  # what was held is there again, for others
            self.leave()
        elif isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
            self.gone = True
            self._end(None)

    def refused(self, error: ConfigError) -> None:
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._error = error
        self.leave()
        self._done.set()

    def _release(self) -> None:
        if (channel := self.current) is not None:
            channel.basic_nack(0, True, True)
            channel.queue_delete(self._lock, callback=lambda _: self.leave())
        else:
            self.leave()

    def _take(self, channel: Channel) -> Dialogue[dict[int, Got]]:
        """Every part once; what is there twice is dropped."""
        getter, parts = Getter(channel), dict[int, Got]()
        for _ in range(self.there):
            if (got := (yield from getter.get(self._queue))) is None:
                break
            index = (got.properties.headers or {}).get(AT)
            if isinstance(index, int) and 0 <= index < self._count and index not in parts:
                parts[index] = got
            else:
                channel.basic_ack(got.tag)
        return parts

    def _put_back(self, channel: Channel, parts: dict[int, Got]) -> Dialogue[None]:
        """And wait until it is there: who goes on before that would count too few."""
        if parts:
            channel.basic_nack(0, True, True)
        for _ in range(PATIENCE):
            there, _consumers = yield from count_of(channel, self._queue)
            if there >= len(parts):
                return
            yield lambda then: self.link.later(PAUSE, partial(then, None))
        self._error = ConnectionLost(f"{self.link.settings.address}: parts of a list were put back and are not there")
