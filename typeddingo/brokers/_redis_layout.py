"""How tasks lie on Redis: what both layouts share, and what each must say. Comes from ``RedisBroker``."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Confirmation, Feature, Listener, Parcel
from typeddingo.brokers._redis_sender import Answer, Sender, Sending, WriteAhead
from typeddingo.brokers._redis_turns import TurnListener
from typeddingo.errors import ConfigError
from typeddingo.inspection import DeadTask, QueueState
from typeddingo.limits import Limiter
from typeddingo.message import Meta

__all__ = ["Layout"]

CLOSE = 3.0
"""Seconds that closing may take when the server does not answer."""

L = TypeVar("L", bound=TurnListener)


class Layout(abc.ABC, Generic[L]):
    """Thread-safe."""

    carries_reply_to: bool
    """The address of reports lies beside the frame."""
    features: Feature
    """See ``Adapter.features``."""

    def __init__(self, server: RedisServer, threads: Threads, write_ahead: WriteAhead | None = None) -> None:
        self._server = server
        self._threads = threads
        self._bound = server.settings.max_length or 0
        self._sender = Sender(self._write, write_ahead, server.settings.send_timeout, threads)
        self.send: Callable[[Sequence[Parcel]], Confirmation] = self._sender.send
        """See ``Producer.send``."""
        self._lock = threading.Lock()
        self._listeners: set[L] = set()
        self._closed = False

    def listen(self, name: str, prefetch: int) -> Listener:
        """Raises ``ConfigError`` once closed."""
        with self._lock:
            if self._closed:
                raise ConfigError("this RedisBroker is closed: make a new one to receive tasks")
            listener = self._new_listener(name, prefetch)
            self._listeners.add(listener)
        return listener

    def stop_listeners(self) -> None:
        for listener in self._all():
            listener.close()

    def close(self) -> None:
        """Idempotent, from any thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        deadline = Deadline(CLOSE)
        self._sender.close(CLOSE / 2)
        for listener in self._all():
            listener.release()
        self._stop()
        self._server.close()
        self._threads.join(deadline)

    # What each layout says.

    @abc.abstractmethod
    def _write(self, batch: Sequence[Sending], seconds: float) -> Sequence[Answer]:
        """Store batches, and what came of each. See ``Sender``."""

    @abc.abstractmethod
    def _new_listener(self, name: str, prefetch: int) -> L:
        """The caller holds the lock. The listener calls ``_left`` when it is closed and holds nothing any more."""

    def limiter(self) -> Limiter | None:
        """See ``NamedConsumer.limiter``."""
        return None

    def _stop(self) -> None:  # one of them has nothing else
        """End what runs beside the listeners, which are closed. Does not wait."""

    @abc.abstractmethod
    def queue(self, name: str) -> QueueState: ...

    @abc.abstractmethod
    def dead(self, name: str, limit: int) -> Sequence[DeadTask]: ...

    @abc.abstractmethod
    def replay(self, name: str, keys: Sequence[str] | None) -> int: ...

    @abc.abstractmethod
    def purge(self, name: str, keys: Sequence[str] | None) -> int: ...

    @abc.abstractmethod
    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]: ...

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:  # one of them cannot cancel
        """See ``NamedConsumer.watch_cancelled``."""

    # The listeners.

    def _all(self) -> Sequence[L]:
        with self._lock:
            return list(self._listeners)

    def _left(self, listener: L) -> None:
        with self._lock:
            self._listeners.discard(listener)
