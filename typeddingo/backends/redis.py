"""Reports through a Redis server. Comes from ``App("redis://…")`` or ``app.use``; imported when it is asked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

from typeddingo._io.redis_keys import DingoKeys, NativeKeys
from typeddingo._io.redis_link import Command
from typeddingo._io.redis_reply import Refused
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.redis_settings import RedisSettings
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Backend, ReportStream
from typeddingo.backends._redis_polled import Polled
from typeddingo.backends._redis_popped import Popped, report_as_dingo
from typeddingo.backends._redis_reattach import FORGOTTEN, Reattached
from typeddingo.backends._redis_receiver import Receiver
from typeddingo.backends._redis_replies import Replies
from typeddingo.backends._redis_reports import report_natively
from typeddingo.broker import Parcel
from typeddingo.config import Config
from typeddingo.errors import ConfigError, ConnectionLost, SendError
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles

__all__ = ["RedisBackend", "connect"]

CLOSE = 2.0
"""Seconds that threads get to end."""


class RedisBackend(Backend):
    """Reports and results on a Redis server (Go: ``redis.NewBackend``). Thread-safe; connects when it is first needed.

    ``url``: as for ``RedisBroker``, with which it may share one. Reports that nobody fetches expire. Raises
    ``ConfigError`` for a URL that cannot be read.
    """

    def __init__(self, url: str) -> None:
        settings = RedisSettings.parse(url)
        self._events = EventSource()
        self._server = RedisServer(settings, Role.REPORTER | Role.STORE, self._events)
        self._threads = Threads("redis-backend")
        self._keys = NativeKeys(settings.namespace)
        self._dingo = settings.dingo
        self._polled = Polled(deletes=self._dingo)
        self._replies = Replies(self._server, self._threads, self._keys, self._polled)
        self._popped = Popped(self._server, self._threads, self._polled)
        self._receiver: Receiver = self._popped if self._dingo else self._replies
        self._reattached = Reattached(self._server, self._threads, self._keys)
        self._lock = threading.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return f"RedisBackend({str(self._server.settings.address)!r})"

    def expect(self, roles: Role) -> None:
        """Reporter and store. Raises ``ConfigError`` for any other role."""
        need_roles("RedisBackend", roles, Role.REPORTER | Role.STORE)

    def events(self) -> EventSource:
        """Connections lost and found, reports that could not be read."""
        return self._events

    @property
    def reply_to(self) -> str:
        """The address of this object's stream of replies; ``layout=dingo`` has none."""
        return "" if self._dingo else self._replies.address

    def ping(self) -> None:
        """The server answers; blocks until it has. Raises ``ConnectionLost`` or ``ConfigError``."""
        self._server.run(lambda link: link.call(("PING",)))

    def report(self, parcels: Sequence[Parcel]) -> None:
        """See ``Reporter.report``. Blocks, for the send timeout at most."""
        if self._closed:
            raise SendError("this RedisBackend is closed: nothing was reported; report before close()")
        if not parcels:
            return
        if self._dingo:
            report_as_dingo(self._server, parcels)
        else:
            report_natively(self._server, self._keys, parcels)

    def poll(self, meta: Meta) -> ReportStream:
        """See ``Store.poll``. Does not block."""
        try:
            stream = self._polled.add(meta)
        except ConfigError as error:
            self._tell_twice(meta, error)
            raise
        self._receiver.start()
        if self._dingo:
            self._popped.ring()
        return stream

    def done(self, meta: Meta) -> None:
        """See ``Store.done``. Does not block: what the server keeps of it ends with its time; with ``layout=dingo`` it
        is deleted with the next read."""
        self._polled.remove(meta)

    def leave(self, meta: Meta) -> None:
        """See ``Store.leave``."""
        if self._dingo:
            self._polled.remove(meta)
        else:
            self._reattached.remove(meta)

    def reattach(self, meta: Meta) -> ReportStream:
        """See ``Store.reattach``. ``ResultExpired`` when no report has come for as long as one would be kept."""
        return self.poll(meta) if self._dingo else self._reattached.add(meta)

    def forget(self, meta: Meta) -> None:
        """See ``Store.forget``. What stays for the time of a result is a mark that it was forgotten. Raises
        ``ConnectionLost``."""
        if self._closed:
            raise ConfigError("this RedisBackend is closed: make a new one to forget results")
        if self._dingo:
            command: Command = ("UNLINK", DingoKeys.result(meta.name, meta.id))
        else:
            ttl = int(self._server.settings.result_ttl * 1000)
            command = ("SET", self._keys.result(meta.name, meta.id), FORGOTTEN, "PX", ttl)
        (reply,) = self._server.run(lambda link: link.pipeline([command]))
        if isinstance(reply, Refused):
            raise reply.error() from reply

    def close(self) -> None:
        """End every stream, delete what is not wanted any more, disconnect. Idempotent, from any thread."""
        if self._server.is_forked:  # what a child closes is its parent's
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._polled.close()
        self._reattached.close()
        self._receiver.stop()
        if self._receiver.used:
            farewell = self._receiver.farewell()
            with contextlib.suppress(ConnectionLost, ConfigError):
                self._server.run(lambda link: link.pipeline(farewell), CLOSE / 2)
        self._server.close()
        self._threads.join(Deadline(CLOSE))

    def _tell_twice(self, meta: Meta, error: ConfigError) -> None:
        if self._polled.find(meta.name, meta.id) is not None:
            self._events.publish(
                Event(
                    Role.STORE,
                    EventLevel.ERROR,
                    EventCode.DUPLICATED_POLLING,
                    str(error),
                    task=meta.name,
                    id=meta.id,
                )
            )


def connect(url: str, config: Config) -> RedisBackend:
    """The backend of ``App(url)`` or ``App(…, backend=url)``."""
    return RedisBackend(url)
