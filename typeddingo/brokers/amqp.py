"""Tasks in RabbitMQ. Comes from ``send``, goes to the workers of whichever process takes; survives both.

native (the default): quorum queues, confirmed and routed publishes, a dead-letter queue, suspects that run alone.
dingo: Go dingo's names and semantics, at most once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_clock import ServerClock
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo._io.amqp_topology import DingoTopology, NativeTopology, TaskQueue
from typeddingo._io.gate import Gate
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Confirmation, Feature, Joins, Listener, NamedBroker, Parcel, Part
from typeddingo.brokers._amqp_inspector import AmqpInspector
from typeddingo.brokers._amqp_joins import AmqpJoins
from typeddingo.brokers._amqp_limits import AmqpLimiter
from typeddingo.brokers._amqp_listener import AmqpListener
from typeddingo.brokers._amqp_mover import Mover
from typeddingo.brokers._amqp_notices import Notices
from typeddingo.brokers._amqp_terms import message_on
from typeddingo.brokers._amqp_timetable import AmqpTimetable
from typeddingo.brokers._amqp_unique import UniqueAnswer, Uniques
from typeddingo.config import Config
from typeddingo.errors import ConfigError, PayloadTooLarge
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.inspection import DeadTask, Inspector, QueueState
from typeddingo.limits import Limiter
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles
from typeddingo.terms import AT_ONCE
from typeddingo.timetable import ScheduleKey, Seat, Timetable

__all__ = ["AmqpBroker", "connect"]

FEATURES = Feature.LATER | Feature.EXPIRY | Feature.CANCEL | Feature.PRIORITY | Feature.UNIQUE
FRAME = 16 * 1024 * 1024
SERVERS_ACK_TIMEOUT = 1800.0
"""Seconds: RabbitMQ's own ``consumer_timeout``."""
CLOSE_SECONDS = 4.0
"""``close`` takes no longer, also when the server is gone."""
FLUSH_SECONDS = 2.0


class _Confirmation(Answer, Confirmation):
    """The answer of the publisher, as the interface wants it."""


def connect(url: str, config: Config) -> AmqpBroker:
    """The broker behind a URL. Opens no socket. Raises ``ConfigError``."""
    return AmqpBroker(url, max_frame=config.limits.frame, max_length=config.max_length)


class AmqpBroker(NamedBroker, Inspector, Joins, Timetable):
    """A producer and consumer of named tasks over RabbitMQ 3.10 or newer (Go: ``amqp.NewBroker``). Thread-safe.

    ``url``: ``amqp://user:password@host:port/vhost?setting=value``, or ``amqps://``. ``max_frame``: bytes of the
    largest task that is sent; ``max_length``: the bound of every queue where the URL has none. Connects when it is
    first used, with one connection to send and one to receive.
    """

    def __init__(self, url: str, *, max_frame: int = FRAME, max_length: int | None = None) -> None:
        self.settings: AmqpSettings = AmqpSettings.parse(url, max_length=max_length)
        self._max_frame = max_frame
        self._source = EventSource()
        self._topology = NativeTopology(self.settings) if self.settings.layout == "native" else DingoTopology()
        threads = Threads("AmqpBroker")
        self._sending = Link(self.settings, "publisher", threads, self._tell_producer)
        self._receiving = Link(self.settings, "consumer", threads, self._tell_consumer)
        # Of its own: a server short of memory stops reading from who publishes, and receipts must still reach it.
        self._scheduling = Link(self.settings, "schedules", threads, self._tell_producer)
        self._publisher = Publisher(self._sending)
        self._uniques = Uniques(self._sending, self._publisher)
        self._limiter = AmqpLimiter(self._sending, self._publisher, threads)
        self._mover = Mover(self._publisher)
        self._notices = Notices(self._receiving, self._publisher, self._tell_refused)
        self._clock = ServerClock(self._receiving)
        self._inspector = AmqpInspector(self._receiving, self._publisher, self._held)
        self._joins = AmqpJoins(self._receiving, self._publisher, NativeTopology(self.settings))
        self._gate = Gate()
        self._lock = threading.Lock()
        self._queues: dict[str, TaskQueue] = {}
        self._listeners: set[AmqpListener] = set()
        self._closed = False

    def expect(self, roles: Role) -> None:
        """Producer and named consumer. Raises ``ConfigError`` for any other role."""
        need_roles("AmqpBroker", roles, Role.PRODUCER | Role.NAMED_CONSUMER)

    def events(self) -> EventSource:
        """Connections lost, blocked and back; tasks dead-lettered."""
        return self._source

    @property
    def carries_reply_to(self) -> bool:
        """In the native layout, as a property of the message."""
        return self.settings.layout == "native"

    @property
    def others_read(self) -> bool:
        """In the dingo layout: Go dingo's workers take tasks from the same queues."""
        return self.settings.layout == "dingo"

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        """Hand over a batch; it is confirmed when every task is stored in its queue. Does not block.

        A ``delay`` is counted by the server. An ``eta`` is made one by this computer's clock, and a lifetime its end,
        which workers compare with the server's clock. Raises ``PayloadTooLarge``, ``ConfigError`` for a name that AMQP
        cannot carry or a delay that is too long, and ``SendError`` once closed."""
        usual = True
        for meta, body, terms in parcels:
            if len(body) > self._max_frame:
                raise PayloadTooLarge(f"task {meta.name!r} has {len(body)} bytes; the limit is {self._max_frame}")
            if terms is not AT_ONCE:
                usual = False
        if not usual and parcels[0].terms.unique and len(parcels) == 1:
            return self._send_unique(parcels[0])
        if not usual:
            return self._send_on_terms(parcels)
        answer = _Confirmation(len(parcels), self.settings.send_timeout, self._publisher.push)
        native = self.carries_reply_to
        messages = [
            Message(self._queue(meta.name).send, body, answer, id=meta.id, reply_to=meta.reply_to if native else "")
            for meta, body, _ in parcels
        ]
        self._publisher.gather(messages)
        return answer

    def _send_unique(self, parcel: Parcel) -> Confirmation:
        meta, terms, timeout = parcel.meta, parcel.terms, self.settings.send_timeout
        message = message_on(self._queue(meta.name), parcel, Answer(1, timeout), time.time())
        answer = UniqueAnswer(1, timeout)
        self._uniques.send(message, meta, terms.unique, terms.unique_for, answer)
        return answer

    @property
    def features(self) -> Feature:
        """In the native layout: later (for 77 days at most, in steps of 0.05 s), expiry, cancelling and priorities."""
        return FEATURES if self.settings.layout == "native" else Feature.NONE

    @property
    def longest_run(self) -> float:
        """The ``ack_timeout`` of the URL, or else what RabbitMQ is set to when nobody says otherwise."""
        return self.settings.ack_timeout or SERVERS_ACK_TIMEOUT

    def declare_task(self, name: str) -> None:
        """Its queue is declared as soon as there is a connection. Does not block."""
        self._publisher.announce(self._queue(name).send)

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        """See ``Joins.join``. In the native layout."""
        return self._joins.join(parts)

    def forget_joins(self, metas: Sequence[Meta]) -> None:
        """See ``Joins.forget_joins``."""
        self._joins.forget(metas)

    def release_joins(self, metas: Sequence[Meta]) -> None:
        """See ``Joins.release_joins``."""
        self._joins.release(metas)

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        """A listener for the tasks called ``name``. Blocks until tasks can come, but not longer than the connection may
        take: without a server it waits for one in the background. Raises ``ConfigError`` when the server refuses the
        queue or our credentials, and once closed."""
        if prefetch < 1:
            raise ConfigError("AmqpBroker.add_listener(prefetch): expected at least 1")
        queue = self._queue(name)
        with self._lock:
            if self._closed:
                raise ConfigError("this AmqpBroker is closed: make a new one to receive tasks")
            listener = AmqpListener(
                name,
                queue,
                self._receiving,
                self._mover,
                self._notices,
                self._clock,
                self._gate,
                self._tell,
                prefetch,
                self._forget,
                self._uniques.free,
            )
            self._listeners.add(listener)
        listener.start(self.settings.connect_timeout)
        return listener

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        """See ``Producer.cancel``. RabbitMQ lets nobody look for a task in a queue, so it is always False: the task
        ends as cancelled when a worker gets it, one that is not due yet not before it is."""
        if self.settings.layout != "native":
            return super().cancel(metas)
        self._notices.cancel(metas)
        return [False] * len(metas)

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:
        """See ``NamedConsumer.watch_cancelled``."""
        self._notices.watch(tell)

    def limiter(self) -> Limiter | None:
        """See ``NamedConsumer.limiter``: by the clocks of the workers, which must agree. None in the dingo layout."""
        return self._limiter if self.settings.layout == "native" else None

    def run_at_most_once(self) -> None:
        """See ``Adapter.run_at_most_once``: nothing that comes back is a suspect, because none of it has run."""
        self._mover.at_most_once = True

    def stop_all_listeners(self) -> None:
        """Close every listener. Idempotent."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.close()

    def close(self) -> None:
        """Give back what nobody has settled and end both connections. Idempotent, from any thread; takes at most 5
        seconds, also when the server is gone."""
        deadline = Deadline(CLOSE_SECONDS)
        with self._lock:
            self._closed = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener.close()
        for listener in listeners:
            listener.release()
        self._limiter.close()
        self._gate.close()
        self._receiving.flush(min(FLUSH_SECONDS, deadline.left or 0.0))
        self._uniques.close()
        self._publisher.close(min(FLUSH_SECONDS, deadline.left or 0.0))
        self._receiving.flush(min(FLUSH_SECONDS, deadline.left or 0.0))
        self._scheduling.close(deadline)
        self._receiving.close(deadline)
        self._sending.close(deadline)

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """See ``Timetable.take_part``. Raises ``ConfigError`` with ``layout=dingo``, which has no place for it."""
        return self._timetable().take_part(key, wake)

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """See ``Timetable.last_fired``."""
        return self._timetable().last_fired(keys)

    def _timetable(self) -> Timetable:
        topology = self._topology
        if not isinstance(topology, NativeTopology):
            raise ConfigError("schedules need the native layout: layout=dingo has no place to remember what has fired")
        return AmqpTimetable(
            self._scheduling,
            lambda key: topology.baton(key.task, key.name),
            lambda key: topology.fired(key.task, key.name),
            lambda name: self._queue(name).send,
            self.send,
        )

    def ping(self) -> None:
        """See ``Inspector.ping``; within ``connect_timeout``."""
        self._inspector.ping()

    def queue(self, name: str) -> QueueState:
        """See ``Inspector.queue``. RabbitMQ tells a client how many tasks wait, not how many workers hold: ``running``
        counts those in the hands of this object only. Those that are not due yet are not counted: they wait together
        with those of all other names."""
        return self._inspector.queue(name, self._queue(name))

    def dead(self, name: str, limit: int = 100) -> Sequence[DeadTask]:
        """See ``Inspector.dead``. The dingo layout has no dead letters."""
        return self._inspector.dead(name, self._queue(name), limit)

    def replay(self, name: str, keys: Sequence[str] | None = None) -> int:
        """See ``Inspector.replay``."""
        return self._inspector.replay(name, self._queue(name), keys)

    def purge(self, name: str, keys: Sequence[str] | None = None) -> int:
        """See ``Inspector.purge``."""
        return self._inspector.purge(name, self._queue(name), keys)

    def _send_on_terms(self, parcels: Sequence[Parcel]) -> Confirmation:
        urgent = self._notices.unknown({(meta.name, terms.priority) for meta, _, terms in parcels if terms.priority})
        answer = _Confirmation(len(urgent) + len(parcels), self.settings.send_timeout, self._publisher.push)
        now = time.time()
        messages = [message_on(self._queue(each.meta.name), each, answer, now) for each in parcels]
        for message in messages:
            if message.route.exchange:  # it waits: declared anew after each reconnect, see ``Mover.put_off``
                self._publisher.announce(message.route)
        self._publisher.gather(messages + self._notices.announcements(urgent, answer))
        return answer

    def _held(self, name: str) -> int:
        with self._lock:
            return sum(listener.held for listener in self._listeners if listener.name == name)

    def _queue(self, name: str) -> TaskQueue:
        if (queue := self._queues.get(name)) is None:
            queue = self._queues[name] = self._topology.task(name)
        return queue

    def _forget(self, listener: AmqpListener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    def _tell_producer(self, level: EventLevel, what: str) -> None:
        self._publish(Role.PRODUCER, level, EventCode.CONNECTION, what)

    def _tell_consumer(self, level: EventLevel, what: str) -> None:
        self._publish(Role.CONSUMER | Role.NAMED_CONSUMER, level, EventCode.CONNECTION, what)

    def _tell_refused(self, error: ConfigError) -> None:
        what = f"nothing can be cancelled, and urgent tasks may not be seen: {error}"
        self._publish(Role.NAMED_CONSUMER, EventLevel.ERROR, EventCode.CONNECTION, what)

    def _tell(self, level: EventLevel, code: EventCode, what: str, name: str, id: str) -> None:
        self._publish(Role.CONSUMER | Role.NAMED_CONSUMER, level, code, what, name, id)

    def _publish(
        self, origin: Role, level: EventLevel, code: EventCode, what: str, name: str = "", id: str = ""
    ) -> None:
        if self._source.active:
            self._source.publish(Event(origin, level, code, what, task=name, id=id))
