"""How threads take from one queue of Redis: one after the other, each on his own, on one connection.

Whoever takes reads from the server himself, so nothing is handed from thread to thread, and a queue without work costs
one blocked connection. Comes from a listener of either layout; knows nothing of what is read.
"""

from __future__ import annotations

import abc
import contextlib
import threading
from collections.abc import Sequence

from typeddingo._io.redis_link import RedisLink
from typeddingo._io.redis_reply import Refused
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Listener
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventLevel

__all__ = ["BLOCK", "CLOSE", "TurnListener", "least"]

BLOCK = 2.0
"""Seconds of one blocking read."""
CLOSE = 1.0
"""Seconds that anything may take while we close: a read that has not ended by then loses its connection."""
UNBLOCK = 0.02
"""Seconds after which a reader is woken again, when it was about to read."""


class TurnListener(Listener):
    """See ``Listener``."""

    def __init__(self, server: RedisServer, prefetch: int) -> None:
        self._server = server
        self._prefetch = prefetch
        self._turn = threading.Lock()  # who reads
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._link: RedisLink | None = None
        self._client = 0
        self._blocked: int | None = None
        self._refused = False
        self._closed = False
        server.add_listener()

    @property
    def closed(self) -> bool:
        return self._closed

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """See ``Listener.take``. The server's absence is waited out, or until the timeout."""
        deadline = Deadline(timeout)
        while not self._closed:
            left = deadline.left
            if not self._turn.acquire(timeout=-1 if left is None else left):
                break
            try:
                deliveries = self._take(count, deadline)
            finally:
                self._turn.release()
            if deliveries or deadline.passed:
                return deliveries
        return ()

    def close(self) -> None:
        """See ``Listener.close``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._room.notify_all()
        self._server.remove_listener()
        self._end_read()

    def unblock(self) -> None:
        """End a blocking read; it has nothing to lose."""
        if (client := self._blocked) is not None:
            with contextlib.suppress(ConnectionLost, ConfigError):
                self._server.run(lambda link: link.call(("CLIENT", "UNBLOCK", client)), self._farewell())

    @abc.abstractmethod
    def release(self) -> None:
        """Close, and give back what was taken and not settled."""

    # What a layout adds. All are called by the one thread whose turn it is.

    @abc.abstractmethod
    def _held_count(self) -> int:
        """Deliveries that are not settled. The caller holds the lock."""

    @abc.abstractmethod
    def _greet(self, link: RedisLink) -> None:
        """A new connection."""

    @abc.abstractmethod
    def _read(self, link: RedisLink, count: int, block: float) -> Sequence[Delivery]:
        """Up to ``count`` deliveries, waiting so many seconds for the first, with ``_blocked`` set to our client."""

    @abc.abstractmethod
    def _recover(self, link: RedisLink, refused: Refused) -> None:
        """The server refused to read: do what helps, or raise ``ConnectionLost``."""

    def _take(self, count: int, deadline: Deadline) -> Sequence[Delivery]:
        count = self._await_room(count, deadline)
        if not count or (link := self._connected(deadline)) is None:
            return ()
        try:
            try:
                return self._read(link, count, least(BLOCK, deadline.left))
            except Refused as refused:
                if isinstance(error := refused.error(), ConnectionLost):
                    raise error from refused
                self._recover(link, refused)
        except ConnectionLost as error:
            self._drop(error)
        return ()

    def _await_room(self, count: int, deadline: Deadline) -> int:
        with self._room:
            while not self._closed:
                if (room := self._prefetch - self._held_count()) > 0:
                    return min(count, room)
                if deadline.passed:
                    break
                self._room.wait(deadline.left)
        return 0

    def _connected(self, deadline: Deadline) -> RedisLink | None:
        if self._link is not None and not self._link.broken:
            return self._link
        patience = Deadline(least(self._server.settings.connect_timeout, deadline.left))
        try:
            link = self._server.connect(patience, over=lambda: self._closed)
        except ConnectionLost:
            return None
        except ConfigError as error:
            self._server.complain(error)
            return None
        try:
            client = link.call(("CLIENT", "ID"))
            self._greet(link)
        except ConnectionLost as error:
            self._server.lost(error)
        except Refused as refused:  # what lies under the key of the queue is something else
            if not self._refused:
                self._server.tell(EventLevel.ERROR, EventCode.CONNECTION, f"a queue cannot be read: {refused}")
            self._refused = True
            self._server.closing.wait(CLOSE)
        else:
            self._refused = False
            self._client = client if isinstance(client, int) else 0
            self._link = link
            return link
        link.close()
        return None

    def _farewell(self) -> float:
        """Seconds for a word that matters only to a server that is there: many listeners may have one to say."""
        return 0.0 if self._server.is_lost else CLOSE

    def _drop(self, error: ConnectionLost) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if not self._closed:
            self._server.lost(error)

    def _end_read(self) -> None:
        """Wait until nobody reads any more; who does not come back in time loses his connection."""
        deadline, last = Deadline(CLOSE), Deadline(2 * CLOSE)
        pause = 0.0
        while not self._turn.acquire(timeout=pause):
            if last.passed:  # it is still trying to connect, and will see that we are closed
                return
            if deadline.passed and (link := self._link) is not None:
                link.close()
            else:
                self.unblock()
            pause = UNBLOCK
        try:
            if self._link is not None:
                self._link.close()
                self._link = None
        finally:
            self._turn.release()


def least(seconds: float, left: float | None) -> float:
    """The shorter of the two; None is no limit."""
    return seconds if left is None else min(seconds, left)
