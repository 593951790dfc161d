"""Tasks queued on a Redis server. Comes from ``App("redis://…")`` or ``app.use``; imported when it is asked for.

The native layout stores every task until it is done; ``layout=dingo`` is Go dingo's own, where a task is gone from the
server when it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typeddingo._io.redis_server import RedisServer
from typeddingo._io.redis_settings import RedisSettings
from typeddingo._io.threads import Threads
from typeddingo.broker import Confirmation, Feature, Joins, Listener, NamedBroker, Parcel, Part
from typeddingo.brokers._redis_joins import RedisJoins
from typeddingo.brokers._redis_lists import Lists
from typeddingo.brokers._redis_streams import Streams
from typeddingo.config import Config
from typeddingo.errors import ConfigError
from typeddingo.events import EventSource
from typeddingo.inspection import DeadTask, Inspector, QueueState
from typeddingo.limits import Limiter
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles
from typeddingo.timetable import ScheduleKey, Seat, Timetable

__all__ = ["RedisBroker", "connect"]


class RedisBroker(NamedBroker, Inspector, Joins, Timetable):
    """A queue a name on a Redis server (Go: ``redis.NewBroker``). Thread-safe; connects when it is first needed.

    ``url``: ``redis://``, ``rediss://`` or ``unix://``, with settings after ``?``; ``max_length`` is the bound of every
    queue where the URL has none. Raises ``ConfigError`` for a URL that cannot be read; what the server is refused for
    is raised by whatever needs it first.
    """

    def __init__(self, url: str, *, max_length: int | None = None) -> None:
        settings = RedisSettings.parse(url, max_length=max_length)
        self._events = EventSource()
        self._server = RedisServer(settings, Role.PRODUCER | Role.CONSUMER | Role.NAMED_CONSUMER, self._events)
        self._joins = RedisJoins(self._server)
        threads = Threads("redis-broker")
        self._layout: Lists | Streams = (
            Lists(self._server, threads) if settings.dingo else Streams(self._server, threads)
        )

    def __repr__(self) -> str:
        return f"RedisBroker({str(self._server.settings.address)!r})"

    def expect(self, roles: Role) -> None:
        """Producer and named consumer. Raises ``ConfigError`` for any other role."""
        need_roles("RedisBroker", roles, Role.PRODUCER | Role.NAMED_CONSUMER)

    def events(self) -> EventSource:
        """Connections lost and found, tasks that were put aside, queues that were gone."""
        return self._events

    @property
    def carries_reply_to(self) -> bool:
        """True in the native layout: the address lies beside the frame."""
        return self._layout.carries_reply_to

    @property
    def features(self) -> Feature:
        """Everything there is in the native layout; ``layout=dingo`` has none of it."""
        return self._layout.features

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        """See ``Producer.cancel``. Raises ``ConfigError`` in ``layout=dingo``."""
        return self._layout.cancel(metas)

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:
        """See ``NamedConsumer.watch_cancelled``."""
        self._layout.watch_cancelled(tell)

    @property
    def others_read(self) -> bool:
        """In ``layout=dingo``: Go dingo's workers take tasks from the same queues."""
        return self._server.settings.dingo

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        """See ``Producer.send``. Raises ``SendError`` once closed."""
        return self._layout.send(parcels)

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        """See ``Joins.join``. Raises ``ConnectionLost`` too when the server refuses for now, ``QueueFull`` when it has
        no memory."""
        return self._joins.join(parts)

    def forget_joins(self, metas: Sequence[Meta]) -> None:
        """See ``Joins.forget_joins``."""
        self._joins.forget(metas)

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        """See ``NamedConsumer.add_listener``. The first one connects, within the connect timeout; a server that is away
        is waited for later. Raises ``ConfigError`` when it refuses us or is not fit for tasks, and once closed."""
        if prefetch < 1:
            raise ConfigError("RedisBroker.add_listener(prefetch): expected at least 1")
        self._server.greet()
        return self._layout.listen(name, prefetch)

    def limiter(self) -> Limiter | None:
        """See ``NamedConsumer.limiter``: slots are leases, as tasks are. None in ``layout=dingo``."""
        return self._layout.limiter()

    def stop_all_listeners(self) -> None:
        """Close every listener. Idempotent."""
        self._layout.stop_listeners()

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """See ``Timetable.take_part``. Raises ``ConfigError`` with ``layout=dingo``, which has no place for it."""
        return self._timetable().take_part(key, wake)

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """See ``Timetable.last_fired``."""
        return self._timetable().last_fired(keys)

    def _timetable(self) -> Timetable:
        if not isinstance(self._layout, Streams):
            raise ConfigError("schedules need the native layout: layout=dingo has no place to remember what has fired")
        return self._layout.timetable

    # For operators. Every method blocks, and raises ConnectionLost when the server does not answer within the send
    # timeout, or ConfigError when it does not let us.

    def ping(self) -> None:
        """See ``Inspector.ping``."""
        self._server.run(lambda link: link.call(("PING",)))

    def queue(self, name: str) -> QueueState:
        """See ``Inspector.queue``. ``layout=dingo`` knows only what waits."""
        return self._layout.queue(name)

    def dead(self, name: str, limit: int = 100) -> Sequence[DeadTask]:
        """See ``Inspector.dead``. ``layout=dingo`` has none."""
        return self._layout.dead(name, limit)

    def replay(self, name: str, keys: Sequence[str] | None = None) -> int:
        """See ``Inspector.replay``."""
        return self._layout.replay(name, keys)

    def purge(self, name: str, keys: Sequence[str] | None = None) -> int:
        """See ``Inspector.purge``."""
        return self._layout.purge(name, keys)

    def close(self) -> None:
        """Close every listener, give back what nobody settled, disconnect. Idempotent, from any thread; takes a few
        seconds at most when the server does not answer."""
        if not self._server.is_forked:  # what a child closes is its parent's
            self._layout.close()


def connect(url: str, config: Config) -> RedisBroker:
    """The broker of ``App(url)``."""
    return RedisBroker(url, max_length=config.max_length)
