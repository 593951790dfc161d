"""Results of tasks that other processes have sent: their keys are looked at until a report is there.

Comes from ``app.result()``; a thread that lives for as long as somebody waits.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Command
from typeddingo._io.redis_reply import Reply
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Threads
from typeddingo.backend import ReportStream
from typeddingo.errors import ConfigError, ConnectionLost, ResultClosed, ResultExpired
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Meta

__all__ = ["FORGOTTEN", "Reattached"]

LOOK = 0.2
"""Seconds between two looks."""
AT_ONCE = 500
FORGOTTEN = b""
"""Stands where a report was kept: whoever asks for it needs not wait until none can come any more."""


@dataclass(slots=True, eq=False)
class _Watched:
    meta: Meta
    until: float
    """When a report that has never been seen will not come any more."""
    streams: list[ReportStream] = field(default_factory=list[ReportStream])
    """Of those that wait for it, or did."""
    waiting: int = 0
    seen: bytes | None = None


class Reattached:
    """Thread-safe."""

    def __init__(self, server: RedisServer, threads: Threads, keys: NativeKeys) -> None:
        self._server = server
        self._threads = threads
        self._keys = keys
        self._lock = threading.Lock()
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._running = False
        self._closed = False
        self._stop = threading.Event()

    def add(self, meta: Meta) -> ReportStream:
        """Raises ``ConfigError`` once closed."""
        stream = ReportStream(meta)
        with self._lock:
            if self._closed:
                raise ConfigError("this RedisBackend is closed: make a new one to receive reports")
            until = time.monotonic() + self._server.settings.result_ttl
            watched = self._watched.setdefault((meta.name, meta.id), _Watched(meta, until))
            watched.streams.append(stream)
            watched.waiting += 1
            if watched.seen is not None:
                stream.push([watched.seen])
            if not self._running:
                self._running = True
                self._threads.start("results", self._run)
        return stream

    def remove(self, meta: Meta) -> None:
        """One that waits does so no more. The report stays, for others and for its time to live."""
        with self._lock:
            if (watched := self._watched.get((meta.name, meta.id))) is not None:
                watched.waiting -= 1
                if not watched.waiting:
                    del self._watched[meta.name, meta.id]

    def close(self) -> None:
        """End every stream. Idempotent."""
        with self._lock:
            self._closed = True
            watched = list(self._watched.values())
            self._watched.clear()
        self._stop.set()
        for stream in [stream for each in watched for stream in each.streams]:
            with contextlib.suppress(Exception):  # of a sink: the others are to hear, too
                stream.end(ResultClosed("the backend was closed before the last report came"))

    def _run(self) -> None:
        while True:
            with self._lock:
                watched = list(self._watched.values())
                if not watched or self._closed:
                    self._running = False
                    return
            try:
                for start in range(0, len(watched), AT_ONCE):
                    self._look(watched[start : start + AT_ONCE])
            except ConnectionLost:
                pass  # told; it may be back the next time
            except ConfigError as error:
                self._server.complain(error)
            self._stop.wait(LOOK)

    def _look(self, watched: list[_Watched]) -> None:
        commands: list[Command] = [("GET", self._key(each.meta)) for each in watched]
        replies = self._server.run(lambda link: link.pipeline(commands))
        for each, reply in zip(watched, replies, strict=True):
            self._tell(each, reply)

    def _tell(self, watched: _Watched, reply: Reply) -> None:
        if reply == FORGOTTEN:
            self._end(watched, "the result of this task was forgotten")
        elif isinstance(reply, bytes):
            if reply != watched.seen:
                with self._lock:
                    watched.seen = reply
                    streams = list(watched.streams)
                for stream in streams:
                    self._hand_over(stream, reply)
        elif watched.seen is not None or time.monotonic() >= watched.until:
            self._end(watched, "no report of this task is kept any more, or none ever came")

    def _hand_over(self, stream: ReportStream, report: bytes) -> None:
        """A sink that raises keeps nobody else waiting."""
        try:
            stream.push([report])
        except Exception as error:
            what = f"a report was handed over and the receiver raised {type(error).__name__}"
            self._server.tell(EventLevel.ERROR, EventCode.HANDLER_FAILED, what, stream.meta.name, stream.meta.id)

    def _end(self, watched: _Watched, why: str) -> None:
        with self._lock:
            if self._watched.get((watched.meta.name, watched.meta.id)) is watched:
                del self._watched[watched.meta.name, watched.meta.id]
        for stream in watched.streams:
            with contextlib.suppress(Exception):  # of a sink: the others are to hear, too
                stream.end(ResultExpired(why))

    def _key(self, meta: Meta) -> str:
        return self._keys.result(meta.name, meta.id)
