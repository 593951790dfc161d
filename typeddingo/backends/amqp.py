"""Reports through RabbitMQ. Comes from a worker's ``report``, goes to the caller's ``ReportStream``.

native (the default): one reply queue a backend, whose name travels with each task. dingo: Go dingo's, one a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo._io.amqp_topology import DingoTopology, NativeTopology
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Backend, ReportStream
from typeddingo.backends._amqp_reporter import AmqpReporter
from typeddingo.backends._amqp_store import AmqpStore
from typeddingo.broker import Parcel
from typeddingo.config import Config
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles

__all__ = ["AmqpBackend", "connect"]

FRAME = 16 * 1024 * 1024
CLOSE_SECONDS = 4.0
FLUSH_SECONDS = 2.0


def connect(url: str, config: Config) -> AmqpBackend:
    """The backend behind a URL. Opens no socket. Raises ``ConfigError``."""
    return AmqpBackend(url, max_frame=config.limits.frame)


class AmqpBackend(Backend):
    """Reporter and store over RabbitMQ 3.10 or newer (Go: ``amqp.NewBackend``). Thread-safe.

    ``url``: as for ``AmqpBroker``. ``max_frame``: bytes of the largest report that is sent. Reports reach the process
    that has sent the task, for as long as it lives; its queue outlives it by ``result_ttl``. Connects when it is first
    used, with one connection to report and one to receive.
    """

    def __init__(self, url: str, *, max_frame: int = FRAME) -> None:
        self.settings: AmqpSettings = AmqpSettings.parse(url)
        self._source = EventSource()
        self._threads = Threads("AmqpBackend")
        self._sending = Link(self.settings, "reporter", self._threads, partial(self._tell_connection, Role.REPORTER))
        self._receiving = Link(self.settings, "store", self._threads, partial(self._tell_connection, Role.STORE))
        self._publisher = Publisher(self._sending)
        topology = NativeTopology(self.settings) if self.settings.layout == "native" else DingoTopology()
        self._reporter = AmqpReporter(self._publisher, topology, max_frame, self._tell_dropped)
        self._store = AmqpStore(self._receiving, topology, self._threads, partial(self._tell, Role.STORE))

    def expect(self, roles: Role) -> None:
        """Reporter and store. Raises ``ConfigError`` for any other role."""
        need_roles("AmqpBackend", roles, Role.REPORTER | Role.STORE)

    def events(self) -> EventSource:
        """Connections lost, blocked and back; reports dropped."""
        return self._source

    @property
    def reply_to(self) -> str:
        """The name of the reply queue; empty in the dingo layout."""
        return self._store.queue

    def report(self, parcels: Sequence[Parcel]) -> None:
        """Store a batch, in order; blocks until RabbitMQ has confirmed it or ``send_timeout`` is over. Those of a
        caller that is gone are dropped, with an event.

        Raises ``PayloadTooLarge`` for a report above the limit (nothing was sent), ``SendError`` for what was certainly
        not stored, ``SendUnknown``, and ``ConfigError`` when the server refuses us."""
        self._reporter.report(parcels)

    def before_report(self, meta: Meta) -> None:
        """See ``Reporter.before_report``. Nothing to do: a queue is declared with its first report."""

    def poll(self, meta: Meta) -> ReportStream:
        """See ``Store.poll``. The first one blocks until the reply queue is there, ``connect_timeout`` at most: then it
        raises ``SendError``, as the task would have no way back. Raises ``ConfigError`` for a task that is polled
        twice, when the server refuses us, and once closed."""
        return self._store.poll(meta)

    def done(self, meta: Meta) -> None:
        """Forget the task. Idempotent."""
        self._store.done(meta)

    def outstanding(self) -> int:
        """How many tasks are polled and not done."""
        return self._store.outstanding()

    def ping(self) -> None:
        """The server answers, within ``connect_timeout``. Raises ``ConnectionLost``, or ``ConfigError`` when it refuses
        us."""
        self._store.ping()

    def close(self) -> None:
        """Delete the reply queue and end every stream with ``ResultClosed``. Idempotent, from any thread; takes at most
        5 seconds, also when the server is gone."""
        deadline = Deadline(CLOSE_SECONDS)
        self._store.close()
        self._publisher.close(min(FLUSH_SECONDS, deadline.left or 0.0))
        self._receiving.close(deadline)
        self._sending.close(deadline)
        self._threads.join(deadline)

    def _tell_connection(self, origin: Role, level: EventLevel, what: str) -> None:
        self._tell(origin, level, EventCode.CONNECTION, what, None)

    def _tell_dropped(self, meta: Meta, why: str) -> None:
        what = f"a report was dropped: {why}"
        self._tell(Role.REPORTER, EventLevel.WARNING, EventCode.REPORT_DROPPED, what, meta)

    def _tell(self, origin: Role, level: EventLevel, code: EventCode, what: str, meta: Meta | None) -> None:
        if self._source.active:
            name, id = (meta.name, meta.id) if meta else ("", "")
            self._source.publish(Event(origin, level, code, what, task=name, id=id))
