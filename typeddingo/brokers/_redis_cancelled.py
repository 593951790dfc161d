"""Which tasks of one name are cancelled, as far as a listener has heard. Comes from the server, goes to the workers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from typeddingo._io.redis_link import Command
from typeddingo._io.redis_reply import Reply, whole
from typeddingo.brokers._redis_queue import RedisQueue

__all__ = ["CancelledHere"]

BACK = 5000.0
"""Milliseconds by which the server's clock may be set back."""


class CancelledHere:
    """Thread-safe."""

    def __init__(self, queue: RedisQueue, tell: Callable[[str, str], object]) -> None:
        self._queue = queue
        self._tell = tell
        self._lock = threading.Lock()
        self._since = 0.0
        self.ids: set[str] = set()
        """Those that have not ended here."""
        self.heeded = False
        """There are some, here or elsewhere: whoever takes asks before he hands out."""

    def heed(self, some: bool) -> None:
        """The server remembers some, or none."""
        if not some and self.heeded:
            with self._lock:
                self.ids.clear()
        self.heeded = some

    def question(self) -> Command:
        """``learn`` reads the reply. What was said a moment ago may have grown."""
        return self._queue.cancelled(self._since - BACK)

    def news(self) -> Command:
        """What was said since: before every take, while a thousand may have been cancelled a moment ago."""
        return self._queue.cancelled(self._since)

    def learn(self, reply: Reply) -> None:
        """Tell what is new."""
        flat = [each for each in whole(reply) if isinstance(each, bytes)]
        for id, when in zip(flat[::2], flat[1::2], strict=True):
            text = id.decode(errors="replace")
            with self._lock:
                self._since = max(self._since, float(when))
                new = text not in self.ids
                self.ids.add(text)
            if new:
                self._tell(self._queue.name, text)

    def met(self, id: str) -> bool:
        """It has ended. True: it was one of them."""
        with self._lock:
            if id not in self.ids:
                return False
            self.ids.discard(id)
            return True
