"""The interface of everything that carries reports: reporters (worker side) and stores (caller side).

Comes from a worker (``report``), goes to the caller's ``Result`` (``poll``).
"""

from __future__ import annotations

import abc
import threading
from _thread import RLock
from collections.abc import Callable, Sequence

from typeddingo.broker import Adapter, Parcel
from typeddingo.errors import ResultClosed, ResultError
from typeddingo.message import Meta

__all__ = ["Backend", "ReportStream", "Reporter", "Sink", "Store"]

Sink = Callable[[Sequence[bytes], ResultError | None], object]
"""Takes report frames in order; the error says that no more will come. Runs on the adapter's thread; must not block."""


class ReportStream:
    """The reports of one task as they arrive (Go: the channel that ``Poll`` returns).

    The adapter calls ``push`` and ``end`` from its own thread; the caller either attaches a sink or calls ``take``.
    Frames pushed before a sink is attached are kept and handed to it first, in order.
    """

    __slots__ = ("_ended", "_frames", "_lock", "_ready", "_sink", "meta", "prompt")

    def __init__(self, meta: Meta) -> None:
        self.meta: Meta = meta
        self.prompt: bool = False
        """What is pushed is dealt with at once and runs no code of the user's: any thread may do it."""
        self._lock = RLock()
        self._frames: Sequence[bytes] = ()
        self._sink: Sink | None = None
        self._ended: ResultError | None = None
        self._ready: threading.Condition | None = None  # made by the first ``take``: an app attaches a sink instead

    def push(self, frames: Sequence[bytes]) -> None:
        """Adapter side: more reports, in order. Ignored after ``end``."""
        with self._lock:
            if self._ended is not None:
                return
            if (sink := self._sink) is None:
                self._frames = (*self._frames, *frames)
                self._wake()
                return
            sink(frames, None)

    def end(self, error: ResultError) -> None:
        """Adapter side: no more reports will come, and why. The first call wins."""
        with self._lock:
            if self._ended is not None:
                return
            self._ended = error
            if (sink := self._sink) is None:
                self._wake()
                return
            sink((), error)

    def attach(self, sink: Sink, *, prompt: bool = False) -> None:
        """Caller side: everything goes to ``sink`` from now on, what waits here first."""
        with self._lock:
            self.prompt = prompt
            self._sink = sink
            frames, self._frames = self._frames, ()
            if frames or self._ended is not None:
                sink(frames, self._ended)

    def take(self, timeout: float | None = None) -> Sequence[bytes]:
        """Caller side: the frames that are here, waiting at most ``timeout`` seconds for the first.
        Empty on timeout; raises the ``ResultError`` of ``end`` when nothing is left."""
        with self._lock:
            if self._ready is None:
                self._ready = threading.Condition(self._lock)
            self._ready.wait_for(lambda: self._frames or self._ended is not None, timeout)
            frames, self._frames = self._frames, ()
            if not frames and self._ended is not None:
                raise self._ended
            return list(frames)

    def _wake(self) -> None:
        if self._ready is not None:
            self._ready.notify_all()


class Reporter(Adapter):
    """Sends reports, on the worker's side (Go: ``Reporter``)."""

    @abc.abstractmethod
    def report(self, parcels: Sequence[Parcel]) -> None:
        """Store a batch of reports, in order; returns when they are stored. Thread-safe.
        Raises ``SendError``, ``SendUnknown`` or ``ConnectionLost``."""

    def before_report(self, meta: Meta) -> None:
        """Hook: the first report of this task is about to be sent (Go: ``ReporterHook(BeforeReport)``)."""


class Store(Adapter):
    """Receives reports, on the caller's side (Go: ``Store``)."""

    @abc.abstractmethod
    def poll(self, meta: Meta) -> ReportStream:
        """Start to receive the reports of one task; called before the task is sent (Go: ``Poll``). Thread-safe.
        The same task polled twice is a ``ConfigError``."""

    @abc.abstractmethod
    def done(self, meta: Meta) -> None:
        """After ``poll``: no more reports are wanted here (Go: ``Done``). What other processes may ask for stays for
        its time, what is kept for this one alone is removed. Idempotent."""

    def leave(self, meta: Meta) -> None:
        """After ``reattach``: this one wants no more reports."""
        self.done(meta)

    def reattach(self, meta: Meta) -> ReportStream:
        """As ``poll``, for a task that another process has sent: its last report, if it is kept, and what comes later.
        A store that keeps no reports ends the stream with ``ResultClosed``."""
        stream = ReportStream(meta)
        stream.end(ResultClosed(f"{type(self).__name__} keeps no reports for other processes than the caller's"))
        return stream

    def forget(self, meta: Meta) -> None:
        """Hook: delete what is kept of a task for other processes than the caller's. Idempotent; blocks until that is
        done. Most stores keep nothing."""

    @property
    def reply_to(self) -> str:
        """The address of this store's reports, where its reporters need one; else empty. Always the same for one
        object."""
        return ""


class Backend(Reporter, Store):
    """A reporter and a store (Go: ``Backend``)."""
