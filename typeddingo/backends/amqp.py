"""Reports through RabbitMQ. Comes from a worker's ``report``, goes to the caller's ``ReportStream``.

native (the default): one reply queue a backend, whose name travels with each task. dingo: Go dingo's, one a task.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Sequence
from functools import partial

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_publisher import Message, Publisher
from typeddingo._io.amqp_replies import Reply, ReplyConsumer
from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo._io.amqp_topology import DingoTopology, NativeTopology
from typeddingo._io.bundle import pack, unpack
from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Backend, ReportStream
from typeddingo.broker import Parcel
from typeddingo.config import Config
from typeddingo.errors import (
    ConfigError,
    ConnectionLost,
    DecodeError,
    PayloadTooLarge,
    ResultClosed,
    SendError,
    Unroutable,
    WireError,
)
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.header import Header
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles

__all__ = ["AmqpBackend", "connect"]

FRAME = 16 * 1024 * 1024
BUNDLE = "tdg.reports"
"""The type of a message of reports: name, id and frame of each, one after the other."""
BUNDLE_BYTES = 1024 * 1024
"""Where a bundle ends: a larger one would only be slower to hand over."""
CLOSE_SECONDS = 4.0
FLUSH_SECONDS = 2.0

Key = tuple[str, str]
"""Name and id, never joined: a separator would let two tasks share a key."""


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
        self.settings = AmqpSettings.parse(url)
        self._max_frame = max_frame
        self._source = EventSource()
        self._native = NativeTopology(self.settings)
        self._dingo = DingoTopology() if self.settings.layout == "dingo" else None
        self._queue = "" if self._dingo else self._native.reply_queue(uuid.uuid4().hex)
        threads = Threads("AmqpBackend")
        self._threads = threads
        self._sending = Link(self.settings, "reporter", threads, partial(self._tell_connection, Role.REPORTER))
        self._receiving = Link(self.settings, "store", threads, partial(self._tell_connection, Role.STORE))
        self._publisher = Publisher(self._sending)
        declare = partial(self._native.declare_reply, queue=self._queue) if self._queue else None
        self._consumer = ReplyConsumer(self._receiving, self, self._queue, declare)
        # Re-entrant: the finalizer of a forgotten result may call done() inside any of these methods. Streams are
        # pushed to and ended without it, because their sinks call back.
        self._lock = threading.RLock()
        self._streams: dict[Key, ReportStream] = {}
        self._by_queue: dict[str, list[Key]] = {}  # Go's names of queues are ambiguous
        self._listening = False
        self._ready = threading.Event()
        self._refusal: ConfigError | None = None
        self._arrivals: deque[Reply] = deque()
        self._arrived = threading.Condition(threading.Lock())
        self._closed = False

    def expect(self, roles: Role) -> None:
        """Reporter and store. Raises ``ConfigError`` for any other role."""
        need_roles("AmqpBackend", roles, Role.REPORTER | Role.STORE)

    def events(self) -> EventSource:
        """Connections lost, blocked and back; reports dropped."""
        return self._source

    @property
    def reply_to(self) -> str:
        """The name of the reply queue; empty in the dingo layout."""
        return self._queue

    # The worker's side.

    def report(self, parcels: Sequence[Parcel]) -> None:
        """Store a batch, in order; blocks until RabbitMQ has confirmed it or ``send_timeout`` is over. Those of a
        caller that is gone are dropped, with an event.

        Raises ``PayloadTooLarge`` for a report above the limit (nothing was sent), ``SendError`` for what was certainly
        not stored, ``SendUnknown``."""
        for meta, body in parcels:
            if len(body) > self._max_frame:
                raise PayloadTooLarge(
                    f"the report of task {meta.name!r} has {len(body)} bytes; the limit is {self._max_frame}"
                )
        answers: list[tuple[Answer, Sequence[Meta]]] = []
        messages: list[Message] = []
        for metas, message in self._messages(parcels):
            answers.append((message.answer, metas))
            messages.append(message)
        self._publisher.publish(messages)
        failed: Exception | None = None
        for answer, metas in answers:
            try:
                answer.wait()
            except Unroutable:
                for meta in metas:
                    self._tell(EventLevel.WARNING, EventCode.REPORT_DROPPED, "its caller is gone", meta)
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def before_report(self, meta: Meta) -> None:
        """See ``Reporter.before_report``. Nothing to do: a queue is declared with its first report."""

    # The caller's side.

    def poll(self, meta: Meta) -> ReportStream:
        """See ``Store.poll``. The first one blocks until the reply queue is there, ``connect_timeout`` at most: then it
        raises ``SendError``, as the task would have no way back. Raises ``ConfigError`` for a task that is polled
        twice, when the server refuses us, and once closed."""
        key = (meta.name, meta.id)
        stream = ReportStream(meta)
        result = self._dingo.result(*key) if self._dingo else None
        with self._lock:
            if self._closed:
                raise ConfigError("this AmqpBackend is closed: make a new one to receive reports")
            if twice := key in self._streams:
                pass
            else:
                self._streams[key] = stream
                if result is not None:
                    self._by_queue.setdefault(result.queue, []).append(key)
                self._listen()
        if twice:
            self._tell(EventLevel.ERROR, EventCode.DUPLICATED_POLLING, "its reports are polled already", meta)
            raise ConfigError(
                f"task {meta.name!r}, id {meta.id!r} is polled already: call done() first, or use another id"
            )
        if result is not None:
            self._receiving.submit(partial(self._consumer.open, result.queue, result.route))
        try:
            self._wait_ready()
        except BaseException:
            self.done(meta)
            raise
        return stream

    def done(self, meta: Meta) -> None:
        """Forget the task. Idempotent."""
        with self._lock:
            polled = self._streams.pop((meta.name, meta.id), None) is not None
            if not polled or self._dingo is None:
                return
            queue = self._dingo.result(meta.name, meta.id).queue
            keys = self._by_queue.get(queue, [])
            if (meta.name, meta.id) in keys:
                keys.remove((meta.name, meta.id))
            if keys:
                return
            self._by_queue.pop(queue, None)
        self._receiving.submit(partial(self._consumer.drop, queue))

    def outstanding(self) -> int:
        """How many tasks are polled and not done."""
        return len(self._streams)

    def ping(self) -> None:
        """The server answers. Raises ``ConnectionLost``, or ``ConfigError`` when it refuses us."""
        with self._lock:
            if self._closed:
                raise ConfigError("this AmqpBackend is closed")
            self._listen()
        self._ready.wait(self.settings.connect_timeout)
        if self._refusal is not None:
            raise self._refusal
        if not self._ready.is_set() or self._receiving.connection is None:
            raise ConnectionLost(f"{self.settings.address} does not answer")

    def close(self) -> None:
        """Delete the reply queue and end every stream with ``ResultClosed``. Idempotent, from any thread; takes at most
        5 seconds, also when the server is gone."""
        deadline = Deadline(CLOSE_SECONDS)
        with self._lock:
            first, self._closed = not self._closed, True
            streams, self._streams = self._streams, {}
        if first and self._listening:
            dropped = threading.Event()
            self._receiving.submit(partial(self._consumer.drop_all, dropped.set))
            if not self._receiving.is_current and self._receiving.connection is not None:
                dropped.wait(FLUSH_SECONDS)
        for stream in streams.values():
            stream.end(ResultClosed("the AmqpBackend was closed before the task ended"))
        with self._arrived:
            self._arrived.notify_all()
        self._publisher.close(min(FLUSH_SECONDS, deadline.left or 0.0))
        self._receiving.close(deadline)
        self._sending.close(deadline)
        self._threads.join(deadline)

    # For the reply consumer, on its link's thread.

    def arrived(self, reply: Reply) -> None:
        with self._arrived:
            self._arrivals.append(reply)
            self._arrived.notify()

    def ready(self, error: ConfigError | None) -> None:
        self._refusal = error
        self._ready.set()

    # Inside.

    def _messages(self, parcels: Sequence[Parcel]) -> list[tuple[Sequence[Meta], Message]]:
        """Messages for the callers, and whose reports each holds."""
        made: list[tuple[Sequence[Meta], Message]] = []
        timeout = self.settings.send_timeout
        if self._dingo is not None:
            for meta, body in parcels:
                route = self._dingo.result(meta.name, meta.id).route
                made.append(([meta], Message(route, body, Answer(1, timeout))))
            return made
        callers: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            if parcel.meta.reply_to:
                callers.setdefault(parcel.meta.reply_to, []).append(parcel)
            else:
                self._tell(EventLevel.WARNING, EventCode.REPORT_DROPPED, "its task names no reply queue", parcel.meta)
        for reply_to, reports in callers.items():
            route = self._native.reply_route(reply_to)
            for bundle in _bundles(reports):
                metas = [parcel.meta for parcel in bundle]
                made.append((metas, Message(route, _packed(bundle), Answer(1, timeout), id=metas[0].id, kind=BUNDLE)))
        return made

    def _listen(self) -> None:
        """Once, with the lock held."""
        if not self._listening:
            self._listening = True
            self._threads.start("reports", self._run)
            self._receiving.submit(lambda: self._receiving.add(self._consumer))

    def _wait_ready(self) -> None:
        if not self._ready.is_set() and not self._ready.wait(self.settings.connect_timeout):
            where = self.settings.address
            error = SendError(f"{where} could not be reached for {self.settings.connect_timeout:g} s: nothing was sent")
            raise error from ConnectionLost(f"{where} does not answer")
        if self._refusal is not None:
            raise self._refusal

    def _run(self) -> None:
        """The thread that hands reports to their results: decoding is not for the link's thread."""
        while True:
            with self._arrived:
                while not self._arrivals and not self._closed:
                    self._arrived.wait()
                if not self._arrivals:
                    return
                replies = list(self._arrivals)
                self._arrivals.clear()
            self._hand_over(replies)
            last = replies[-1]
            self._receiving.submit(partial(self._consumer.ack, last.epoch, last.tag))

    def _hand_over(self, replies: Sequence[Reply]) -> None:
        batches: dict[ReportStream, list[bytes]] = {}
        for reply in replies:
            try:
                reports = self._reports(reply)
            except WireError as error:
                what = f"a message in the reply queue was refused: {error}"
                self._publish(Role.STORE, EventLevel.ERROR, EventCode.UNDECODABLE, what)
                continue
            for name, id, frame in reports:
                if (stream := self._streams.get((name, id))) is not None:
                    batches.setdefault(stream, []).append(frame)
                else:
                    what = "nobody waits for it any more"
                    self._tell(EventLevel.DEBUG, EventCode.REPORT_DROPPED, what, Meta(name, id))
        for stream, frames in batches.items():
            stream.push(frames)

    def _reports(self, reply: Reply) -> list[tuple[str, str, bytes]]:
        """Name, id and frame of each report in a message. Raises ``WireError``."""
        if self._dingo is not None:
            keys = self._by_queue.get(reply.queue, [])
            if len(keys) > 1:
                header = Header.from_bytes(reply.body)
                keys = [(header.name, header.id)]
            return [(*key, reply.body) for key in keys]
        if reply.kind != BUNDLE:
            raise DecodeError("it is no bundle of reports")
        parts = unpack(reply.body)
        if len(parts) % 3:
            raise DecodeError("a bundle of reports holds name, id and frame of each")
        names, ids = ([part.decode("utf-8", "replace") for part in parts[start::3]] for start in (0, 1))
        return list(zip(names, ids, parts[2::3], strict=True))

    def _tell_connection(self, origin: Role, level: EventLevel, what: str) -> None:
        self._publish(origin, level, EventCode.CONNECTION, what)

    def _tell(self, level: EventLevel, code: EventCode, why: str, meta: Meta) -> None:
        origin = Role.STORE if level is not EventLevel.WARNING else Role.REPORTER
        what = why if code is not EventCode.REPORT_DROPPED else f"a report was dropped: {why}"
        self._publish(origin, level, code, what, meta.name, meta.id)

    def _publish(
        self, origin: Role, level: EventLevel, code: EventCode, what: str, name: str = "", id: str = ""
    ) -> None:
        if self._source.active:
            self._source.publish(Event(origin, level, code, what, task=name, id=id))


def _packed(parcels: Sequence[Parcel]) -> bytes:
    parts: list[bytes] = []
    for meta, body in parcels:
        parts += (meta.name.encode("utf-8", "replace"), meta.id.encode("utf-8", "replace"), body)
    return pack(parts)


def _bundles(parcels: Sequence[Parcel]) -> list[Sequence[Parcel]]:
    """As few messages as their size allows."""
    bundles: list[Sequence[Parcel]] = []
    bundle: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if bundle and size + len(parcel.body) > BUNDLE_BYTES:
            bundles.append(bundle)
            bundle, size = [], 0
        bundle.append(parcel)
        size += len(parcel.body)
    return [*bundles, bundle] if bundle else bundles
