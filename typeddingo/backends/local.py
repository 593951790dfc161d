"""Reports in this process's memory. Comes from a worker's ``report``, goes to the caller's ``ReportStream``."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from typeddingo.backend import Backend, ReportStream
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError, ResultClosed, SendError
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles

__all__ = ["LocalBackend"]

Key = tuple[str, str]
"""Name and id, never joined: a separator would let two tasks share a key."""


class _Early:
    """The reports of one task that nobody polls yet."""

    __slots__ = ("frames", "meta", "until")

    def __init__(self, meta: Meta, until: float) -> None:
        self.meta = meta
        self.until = until
        self.frames: list[bytes] = []


class LocalBackend(Backend):
    """Reporter and store in memory (Go: ``NewLocalBackend``). Thread-safe; several apps of one process can share it.

    A report that nobody polls yet is kept for ``ttl`` seconds, and at most ``room`` of them; the oldest go first, with
    a ``REPORT_DROPPED`` event. ``clock`` gives monotonic seconds.
    """

    def __init__(self, *, ttl: float = 3600.0, room: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        if ttl <= 0 or room < 1:
            raise ConfigError("LocalBackend: expected ttl above 0 seconds and room for at least 1 report")
        self._ttl = ttl
        self._room = room
        self._clock = clock
        self._source = EventSource()
        # Re-entrant: the finalizer of a forgotten result may call done() inside any of these methods. Streams are
        # pushed to and ended without it, because their sinks call back.
        self._lock = threading.RLock()
        self._streams: dict[Key, ReportStream] = {}
        self._early: OrderedDict[Key, _Early] = OrderedDict()  # in the order in which they expire
        self._kept = 0
        self._closed = False

    def expect(self, roles: Role) -> None:
        """Reporter and store. Raises ``ConfigError`` for any other role."""
        need_roles("LocalBackend", roles, Role.REPORTER | Role.STORE)

    def events(self) -> EventSource:
        """Reports dropped, and tasks polled twice."""
        return self._source

    def report(self, parcels: Sequence[Parcel]) -> None:
        """Hand over or keep a batch, in order. Never blocks. Raises ``SendError`` once closed."""
        batches: dict[ReportStream, list[bytes]] = {}
        dropped: list[_Early] = []
        with self._lock:
            if self._closed:
                raise SendError("this LocalBackend is closed: the reports were not stored; report before close()")
            for meta, body, _ in parcels:
                if (stream := self._streams.get((meta.name, meta.id))) is not None:
                    batches.setdefault(stream, []).append(body)
                else:
                    self._keep(meta, body)
            if self._early:
                dropped = self._drop()
        for stream, frames in batches.items():
            stream.push(frames)
        self._tell_dropped(dropped)

    def poll(self, meta: Meta) -> ReportStream:
        """See ``Store.poll``: what was reported before is in the stream already. Raises ``ConfigError`` for a task
        that is polled twice, and once closed."""
        key = (meta.name, meta.id)
        stream = ReportStream(meta)
        dropped: list[_Early] = []
        with self._lock:
            if self._closed:
                raise ConfigError("this LocalBackend is closed: make a new one to receive reports")
            twice = key in self._streams
            if not twice:
                if self._early:
                    dropped = self._drop()
                    if (early := self._early.pop(key, None)) is not None:
                        self._kept -= len(early.frames)
                        stream.push(early.frames)  # nobody else has this stream yet: no sink to call back
                self._streams[key] = stream
        self._tell_dropped(dropped)
        if twice:
            self._tell(EventLevel.ERROR, EventCode.DUPLICATED_POLLING, "its reports are polled already", meta)
            raise ConfigError(
                f"task {meta.name!r}, id {meta.id!r} is polled already: call done() first, or use another id"
            )
        return stream

    def done(self, meta: Meta) -> None:
        """Forget the task. Idempotent."""
        key = (meta.name, meta.id)
        with self._lock:
            self._streams.pop(key, None)
            if self._early and (early := self._early.pop(key, None)) is not None:
                self._kept -= len(early.frames)

    def outstanding(self) -> int:
        """How many tasks are polled and not done."""
        return len(self._streams)

    def kept(self) -> int:
        """How many reports are kept for tasks that nobody polls yet."""
        return self._kept

    def close(self) -> None:
        """End every stream with ``ResultClosed``; refuse what is reported from now on. Idempotent, from any thread."""
        with self._lock:
            self._closed = True
            streams, self._streams = self._streams, {}
            dropped = list(self._early.values())
            self._early.clear()
            self._kept = 0
        for stream in streams.values():
            stream.end(ResultClosed("the LocalBackend was closed before the task ended"))
        self._tell_dropped(dropped)

    def _keep(self, meta: Meta, body: bytes) -> None:
        key = (meta.name, meta.id)
        if (early := self._early.get(key)) is None:
            early = self._early[key] = _Early(meta, self._clock() + self._ttl)
        early.frames.append(body)
        self._kept += 1

    def _drop(self) -> list[_Early]:
        """Take out what has expired or has no room."""
        now = self._clock()
        dropped: list[_Early] = []
        while self._early:
            oldest = next(iter(self._early.values()))
            if oldest.until > now and self._kept <= self._room:
                break
            self._early.popitem(last=False)
            self._kept -= len(oldest.frames)
            dropped.append(oldest)
        return dropped

    def _tell_dropped(self, dropped: Sequence[_Early]) -> None:
        for early in dropped:
            message = f"{len(early.frames)} reports dropped that nobody asked for"
            self._tell(EventLevel.WARNING, EventCode.REPORT_DROPPED, message, early.meta)

    def _tell(self, level: EventLevel, code: EventCode, message: str, meta: Meta) -> None:
        if self._source.active:
            self._source.publish(Event(Role.STORE, level, code, message, task=meta.name, id=meta.id))
