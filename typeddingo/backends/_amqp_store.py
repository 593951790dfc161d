"""The caller's side of reports over RabbitMQ. Comes from the reply queue, goes to the ``ReportStream`` of each task.

The link's thread hands over what is decoded in microseconds; what may run the user's code goes through another one.
Reports are acknowledged when they are with their results.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_replies import Reply, ReplyConsumer
from typeddingo._io.amqp_topology import DingoTopology, NativeTopology
from typeddingo._io.threads import Threads
from typeddingo.backend import ReportStream
from typeddingo.backends._amqp_bundles import Arrival, unpacked
from typeddingo.errors import ConfigError, ConnectionLost, ResultClosed, SendError, WireError
from typeddingo.events import EventCode, EventLevel
from typeddingo.header import Header
from typeddingo.message import Meta

__all__ = ["AmqpStore", "Tell"]

Tell = Callable[[EventLevel, EventCode, str, Meta | None], object]
"""Publishes an event: how bad, what kind, what, of which task."""

FLUSH_SECONDS = 3.0
Key = tuple[str, str]
"""Name and id, never joined: a separator would let two tasks share a key."""


class _Push(NamedTuple):
    """A report, and who waits for it."""

    stream: ReportStream
    frame: bytes


class _Arrival(NamedTuple):
    """A reply, unacknowledged: what it holds for whom."""

    epoch: int
    tag: int
    pushes: Sequence[_Push]


class AmqpStore:
    """Thread-safe."""

    def __init__(self, link: Link, topology: NativeTopology | DingoTopology, threads: Threads, tell: Tell) -> None:
        self.queue = "" if isinstance(topology, DingoTopology) else topology.reply_queue(uuid.uuid4().hex)
        """The reply queue for all tasks; empty in a layout that has one for each."""
        self._link = link
        self._dingo = topology if isinstance(topology, DingoTopology) else None
        self._threads = threads
        self._tell = tell
        declare = None if isinstance(topology, DingoTopology) else partial(topology.declare_reply, queue=self.queue)
        self._consumer = ReplyConsumer(link, self, self.queue, declare)
        # Re-entrant: the finalizer of a forgotten result may call done() inside any of these methods. Streams are
        # pushed to and ended without it, because their sinks call back.
        self._lock = threading.RLock()
        self._streams: dict[Key, ReportStream] = {}
        self._by_queue: dict[str, list[Key]] = {}  # Go's names of queues are ambiguous
        self._listening = False
        self._ready = threading.Event()
        self._refusal: ConfigError | None = None
        self._arrivals: deque[_Arrival] = deque()
        self._handing = False
        self._arrived = threading.Condition(threading.Lock())
        self._closed = False

    def poll(self, meta: Meta) -> ReportStream:
        """See ``AmqpBackend.poll``."""
        key = (meta.name, meta.id)
        stream = ReportStream(meta)
        result = self._dingo.result(*key) if self._dingo else None
        with self._lock:
            self._listen()
            twice = key in self._streams
            if not twice:
                self._streams[key] = stream
                if result is not None:
                    self._by_queue.setdefault(result.queue, []).append(key)
        if twice:
            self._tell(EventLevel.ERROR, EventCode.DUPLICATED_POLLING, "its reports are polled already", meta)
            raise ConfigError(
                f"task {meta.name!r}, id {meta.id!r} is polled already: call done() first, or use another id"
            )
        if result is not None:
            self._link.submit(partial(self._consumer.open, result.queue, result.route))
        if not self._ready.is_set() or self._refusal is not None:
            try:
                self._wait_ready()
            except BaseException:
                self.done(meta)
                raise
        return stream

    def done(self, meta: Meta) -> None:
        """Forget the task, and delete its queue if it has one. Idempotent."""
        key = (meta.name, meta.id)
        with self._lock:
            if self._streams.pop(key, None) is None or self._dingo is None:
                return
            queue = self._dingo.result(*key).queue
            keys = self._by_queue.get(queue, [])
            if key in keys:
                keys.remove(key)
            if keys:
                return
            self._by_queue.pop(queue, None)
        self._link.submit(partial(self._consumer.drop, queue))

    def outstanding(self) -> int:
        """How many tasks are polled and not done."""
        return len(self._streams)

    def ping(self) -> None:
        """See ``AmqpBackend.ping``."""
        with self._lock:
            self._listen()
        self._ready.wait(self._link.settings.connect_timeout)
        if self._refusal is not None:
            raise ConfigError(*self._refusal.args)
        if not self._ready.is_set() or self._link.connection is None:
            raise ConnectionLost(f"{self._link.settings.address} does not answer")

    def close(self) -> None:
        """Delete every queue and end every stream. Idempotent; the link is closed by its owner."""
        with self._lock:
            first, self._closed = not self._closed, True
            streams, self._streams = self._streams, {}
        if first and self._listening:
            dropped = threading.Event()
            asked = self._link.submit(partial(self._consumer.drop_all, dropped.set))
            if asked and not self._link.is_current and self._link.connection is not None:
                dropped.wait(FLUSH_SECONDS)
        for stream in streams.values():
            stream.end(ResultClosed("the AmqpBackend was closed before the task ended"))
        with self._arrived:
            self._arrived.notify_all()

    # For the reply consumer, on the link's thread.

    def arrived(self, reply: Reply) -> None:
        """Hand it over from here if that is a matter of microseconds, and nothing before it waits: one hop less between
        threads. Else the other thread does, so that heartbeats go on whatever the user's code does."""
        arrival = _Arrival(reply.epoch, reply.tag, self._pushes(reply))
        with self._arrived:
            if self._arrivals or self._handing or not all(push.stream.prompt for push in arrival.pushes):
                self._arrivals.append(arrival)
                self._arrived.notify()
                return
        self._hand_over([arrival])
        self._consumer.ack_soon(arrival.epoch, arrival.tag)

    def ready(self, error: ConfigError | None) -> None:
        self._refusal = error
        self._ready.set()

    # Inside.

    def _listen(self) -> None:
        """Once, with the lock held."""
        if self._closed:
            raise ConfigError("this AmqpBackend is closed: make a new one to receive reports")
        if not self._listening:
            self._listening = True
            self._threads.start("reports", self._run)
            self._link.submit(lambda: self._link.add(self._consumer))

    def _wait_ready(self) -> None:
        settings = self._link.settings
        seconds = min(settings.connect_timeout, settings.send_timeout)
        if not self._ready.wait(seconds):
            where = settings.address
            error = SendError(f"{where} could not be reached for {seconds:g} s: nothing was sent")
            raise error from ConnectionLost(f"{where} does not answer")
        if self._refusal is not None:
            raise ConfigError(*self._refusal.args)

    def _run(self) -> None:
        """The thread that hands reports to their results."""
        while True:
            with self._arrived:
                while not self._arrivals and not self._closed:
                    self._arrived.wait()
                if not self._arrivals:
                    return
                arrivals = list(self._arrivals)
                self._arrivals.clear()
                self._handing = True
            self._hand_over(arrivals)
            last = arrivals[-1]
            self._link.submit(partial(self._consumer.ack, last.epoch, last.tag))
            self._handing = False

    def _hand_over(self, arrivals: Sequence[_Arrival]) -> None:
        batches: dict[ReportStream, list[bytes]] = {}
        for arrival in arrivals:
            for stream, frame in arrival.pushes:
                batches.setdefault(stream, []).append(frame)
        for stream, frames in batches.items():
            try:
                stream.push(frames)
            except Exception as error:  # a sink's bug ends its own result, not everybody's
                what = f"a report could not be handed over: {type(error).__name__}"
                self._tell(EventLevel.ERROR, EventCode.REPORT_DROPPED, what, stream.meta)

    def _pushes(self, reply: Reply) -> list[_Push]:
        """The reports in a reply, each with the stream of who waits for it."""
        pushes: list[_Push] = []
        try:
            reports = self._reports(reply)
        except WireError as error:
            what = f"a message in the reply queue was refused: {error}"
            self._tell(EventLevel.ERROR, EventCode.UNDECODABLE, what, None)
            return pushes
        for name, id, frame in reports:
            if (stream := self._streams.get((name, id))) is not None:
                pushes.append(_Push(stream, frame))
            else:
                what = "a report was dropped: nobody waits for it any more"
                self._tell(EventLevel.DEBUG, EventCode.REPORT_DROPPED, what, Meta(name, id))
        return pushes

    def _reports(self, reply: Reply) -> Sequence[Arrival]:
        """Raises ``WireError``."""
        if self._dingo is None:
            return unpacked(reply.kind, reply.body)
        keys = self._by_queue.get(reply.queue, [])
        if len(keys) > 1:
            header = Header.from_bytes(reply.body)
            keys = [(header.name, header.id)]
        return [Arrival(*key, reply.body) for key in keys]
