"""The thread that receives reports from Redis: one connection and one loop, however many results are outstanding.

What is read, and what is done before, is its owner's: ``Receiver`` connects, reconnects, and ends.
"""

from __future__ import annotations

import abc
import contextlib
import threading
from collections.abc import Sequence

from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_reply import Refused
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import ReportStream
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventLevel

__all__ = ["BLOCK", "PATIENCE", "Receiver"]

BLOCK = 2.0
"""Seconds of one blocking read."""
PATIENCE = 2.0
"""Seconds beyond it after which an answer is missed."""
CLOSE = 1.0
"""Seconds that anything may take while we close."""
UNBLOCK = 0.02


class Receiver(abc.ABC):
    """Thread-safe."""

    def __init__(self, server: RedisServer, threads: Threads) -> None:
        self._server = server
        self._threads = threads
        self._lock = threading.Lock()
        self._started = False
        self._stopped = False
        self._ended = threading.Event()
        self._link: RedisLink | None = None
        self._client: int | None = None

    @abc.abstractmethod
    def _connected(self, link: RedisLink) -> None:
        """A new connection."""

    @abc.abstractmethod
    def _disconnected(self) -> None:
        """It is gone."""

    @abc.abstractmethod
    def farewell(self) -> list[Command]:
        """Once stopped: what leaves nothing on the server."""

    @abc.abstractmethod
    def _read(self, link: RedisLink) -> None:
        """One blocking read, and what becomes of it."""

    @property
    def used(self) -> bool:
        """It has been started."""
        return self._started

    def start(self) -> None:
        """Idempotent."""
        if self._started:  # the usual case costs no lock
            return
        with self._lock:
            if not (self.used or self._stopped):
                self._started = True
                self._threads.start("receiver", self._run)

    def stop(self) -> None:
        """End the thread and wait for it, unless it is the caller's: a second or so at most. Idempotent."""
        with self._lock:
            self._stopped = True
            if not self._started:
                return
        deadline = Deadline(CLOSE)
        while not self._ended.wait(UNBLOCK) and not deadline.passed:
            self._unblock()
        if (link := self._link) is not None and not self._ended.is_set():
            link.close()

    def _push(self, stream: ReportStream, frames: Sequence[bytes]) -> None:
        """What a sink raises is its owner's bug, and must not keep the others waiting."""
        try:
            stream.push(frames)
        except Exception as error:
            what = f"a report was handed over and the receiver raised {type(error).__name__}"
            name, id = stream.meta.name, stream.meta.id
            self._server.tell(EventLevel.ERROR, EventCode.HANDLER_FAILED, what, name, id)

    def _unblock(self) -> None:
        if (client := self._client) is not None:
            with contextlib.suppress(ConnectionLost, ConfigError):
                self._server.run(lambda link: link.call(("CLIENT", "UNBLOCK", client)), CLOSE / 2)

    def _run(self) -> None:
        try:
            while not self._stopped:
                try:
                    self._serve()
                except ConnectionLost as error:
                    if not self._stopped:
                        self._server.lost(error)
                except ConfigError as error:
                    self._server.complain(error)
                except Refused as refused:
                    what = f"reports cannot be read, trying again: {refused.code}"
                    self._server.tell(EventLevel.ERROR, EventCode.CONNECTION, what)
                    self._server.closing.wait(PATIENCE)
                except Exception as error:  # without this thread no result would ever come
                    what = f"receiving reports failed, trying again: {type(error).__name__}"
                    self._server.tell(EventLevel.ERROR, EventCode.GENERIC, what)
                    self._server.closing.wait(PATIENCE)
        finally:
            self._ended.set()

    def _serve(self) -> None:
        link = self._link = self._server.connect(Deadline(self._server.settings.connect_timeout))
        try:
            client = link.call(("CLIENT", "ID"))
            self._connected(link)
            self._client = client if isinstance(client, int) else None
            while not self._stopped:
                self._read(link)
        finally:
            self._client = self._link = None
            link.close()
            self._disconnected()
