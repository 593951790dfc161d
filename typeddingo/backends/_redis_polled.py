"""The tasks whose reports are wanted, and what is to be deleted on the server when they are not any more.

Comes from ``poll`` and ``done``, read by the thread that receives.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

from typeddingo.backend import ReportStream
from typeddingo.errors import ConfigError, ResultClosed
from typeddingo.message import Meta

__all__ = ["Polled"]


class Polled:
    """Thread-safe."""

    def __init__(self, *, deletes: bool) -> None:
        """``deletes``: what is not wanted any more is to be deleted."""
        self._deletes = deletes
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str], ReportStream] = {}
        self._done: list[Meta] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, meta: Meta) -> ReportStream:
        """Raises ``ConfigError`` for a task that is there, and once closed."""
        stream = ReportStream(meta)
        with self._lock:
            if self._closed:
                raise ConfigError("this RedisBackend is closed: make a new one to receive reports")
            if self._streams.setdefault((meta.name, meta.id), stream) is not stream:
                raise ConfigError(
                    f"the reports of task {meta.name!r} with id {meta.id!r} are polled already: call done() first"
                )
        return stream

    def find(self, name: str, id: str) -> ReportStream | None:
        return self._streams.get((name, id))

    def all(self) -> list[ReportStream]:
        with self._lock:
            return list(self._streams.values())

    def remove(self, meta: Meta) -> None:
        """Idempotent."""
        with self._lock:
            if self._deletes:
                self._done.append(meta)
            self._streams.pop((meta.name, meta.id), None)

    def take_done(self) -> Sequence[Meta]:
        """What is to be deleted; the caller does it."""
        if not self._done:
            return ()
        with self._lock:
            done, self._done = self._done, []
            return [meta for meta in done if (meta.name, meta.id) not in self._streams]

    def close(self) -> None:
        """End every stream. Idempotent."""
        with self._lock:
            self._closed = True
            streams = list(self._streams.values())
            if self._deletes:
                self._done += [stream.meta for stream in streams]
            self._streams.clear()
        for stream in streams:
            with contextlib.suppress(Exception):  # of a sink: the others are to hear, too
                stream.end(ResultClosed("the backend was closed before the last report came"))
