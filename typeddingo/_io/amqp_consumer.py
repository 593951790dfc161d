"""Takes messages from the queues of one task and acknowledges them. Comes from a listener, goes to the server.

Two queues on one channel: the tasks, as many at a time as are wanted, and the suspects, one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from typeddingo._io.amqp_channel import Dialogue, Station, count_of, talk
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo.errors import ConfigError

__all__ = ["ATTEMPTS", "Arrived", "Reader", "TaskConsumer"]

ATTEMPTS = "tdg-attempts"
"""The header that counts the workers a task has taken with it."""
SUSPECTS = "suspects"
"""The consumer tag."""
WATCH_SECONDS = 1.0
RENEW_SECONDS = 15.0
"""Nothing has come for so long: consume anew, on a new channel. Others may consume from a queue that forgot us."""


@dataclass(slots=True, eq=False)
class Arrived:
    """A message in our hands, unacknowledged."""

    epoch: int
    tag: int
    body: bytes
    id: str
    reply_to: str
    attempts: int
    """Workers that died with it, as far as is known."""
    redelivered: bool
    """It had been delivered before, and nobody has said what became of it."""
    suspect: bool
    """It comes from the queue of suspects."""
    acknowledged: bool = False


class Reader(Protocol):
    """Whom a consumer reads for. Every method runs on the link's thread."""

    def arrived(self, message: Arrived) -> None: ...

    def ready(self) -> None:
        """Messages may come."""

    def lost(self) -> None:
        """What has arrived will be delivered again, to whomever."""

    def cancelled(self) -> None:
        """The server has ended the consumer: its queue is gone, or moved. A new one follows."""

    def refused(self, error: ConfigError) -> None:
        """The server does not give us this queue."""


class TaskConsumer(Station):
    """Lives on the link's thread."""

    def __init__(self, link: Link, queue: TaskQueue, reader: Reader, prefetch: int) -> None:
        super().__init__(link)
        self.stale = 0
        """Receipts that came after their channel was gone."""
        self._queue = queue
        self._reader = reader
        self._prefetch = prefetch
        self._counted = link.settings.layout == "native" and link.settings.queue_type == "quorum"
        self._outstanding: dict[int, None] = {}
        self._changing = False
        self._stopped = False
        self._consumers = 0
        self._main = ""
        self._asked: deque[Callable[[bool], object]] = deque()
        self._arrivals = 0
        self._quiet_seconds = 0.0
        self._on_stopped: Callable[[], object] | None = None

    @property
    def gives_back_for_free(self) -> bool:
        """The server does not count what is given back as a failure: RabbitMQ 4.3 and newer."""
        return self._counted and self.link.server_version >= (4, 3)

    def holds(self, message: Arrived) -> bool:
        """It is still ours to acknowledge."""
        return message.epoch == self.epoch and message.tag in self._outstanding and self.current is not None

    def set_up(self, channel: Channel) -> Dialogue[None]:
        queue = self._queue
        self._outstanding.clear()
        self._changing = False
        channel.add_on_cancel_callback(lambda _: self._on_cancel())
        for route in dict.fromkeys((queue.bury, queue.suspect, queue.send)):
            if route.declare is not None:
                yield from route.declare(channel)
        if self._stopped:
            return
        if queue.suspects:
            yield from self._consume(channel, queue.suspects, SUSPECTS, 1)
        yield from self._consume(channel, queue.main, self._new_tag(), self._prefetch)

    def ready(self, channel: Channel) -> None:
        self._reader.ready()
        self._quiet_seconds = 0.0
        self.link.later(WATCH_SECONDS, partial(self._watch, self.epoch))

    def lost(self, error: BaseException) -> None:
        self._outstanding.clear()
        while self._asked:
            self._asked.popleft()(False)
        self._reader.lost()

    def refused(self, error: ConfigError) -> None:
        self._outstanding.clear()
        self._reader.lost()
        self._reader.refused(error)

    def prefer(self, prefetch: int) -> None:
        """Hold so many messages at most from now on. The protocol has no other way than to consume anew."""
        if prefetch == self._prefetch or self._changing or self._stopped:
            return
        self._prefetch = prefetch
        if (channel := self.channel) is not None and channel.is_open:
            self._changing = True
            talk(self._change(channel, prefetch), partial(self._changed, self.epoch))

    def stop(self, done: Callable[[], object]) -> None:
        """Take no more; what has arrived stays unacknowledged. ``done`` is called when nothing can arrive any more."""
        self._stopped = True
        if (channel := self.channel) is None or not channel.is_open:
            done()
            return
        self._on_stopped = done
        talk(self._cancel_all(channel), lambda _: self._tell_stopped())

    def ack(self, epoch: int, tags: Sequence[int]) -> None:
        """They are done. What forms a prefix goes with one frame."""
        if (channel := self.current) is None or epoch != self.epoch:
            self.stale += len(tags)
            return
        outstanding = self._outstanding
        mine = [tag for tag in tags if outstanding.pop(tag, 0) is None]
        oldest = next(iter(outstanding), None)
        prefix = [tag for tag in mine if oldest is None or tag < oldest]
        if prefix:
            channel.basic_ack(max(prefix), len(prefix) > 1)
        if len(prefix) < len(mine):
            for tag in mine:
                if oldest is not None and tag > oldest:
                    channel.basic_ack(tag)

    def when_applied(self, then: Callable[[bool], object]) -> None:
        """Ask something that changes nothing, on the same channel: the answer comes after what was sent before it.
        False: the channel is gone."""
        if (channel := self.channel) is None or not channel.is_open:
            then(False)
            return
        self._asked.append(then)
        channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _: self._asked.popleft()(True))

    def nack(self, epoch: int, tags: Sequence[int], *, requeue: bool) -> None:
        """Back to the queue, or to where the queue's dead letters go."""
        if (channel := self.current) is None or epoch != self.epoch:
            self.stale += len(tags)
            return
        for tag in tags:
            if self._outstanding.pop(tag, 0) is None:
                channel.basic_nack(tag, False, requeue)

    def _tell_stopped(self) -> None:
        if (done := self._on_stopped) is not None:
            self._on_stopped = None
            done()

    def _on_channel_close(self, channel: Channel, error: BaseException) -> None:
        super()._on_channel_close(channel, error)
        self._tell_stopped()

    def _consume(self, channel: Channel, queue: str, tag: str, prefetch: int) -> Dialogue[None]:
        receive = partial(self._on_message, queue == self._queue.suspects)
        yield lambda then: channel.basic_qos(prefetch_count=prefetch, callback=then)
        yield lambda then: channel.basic_consume(queue, receive, consumer_tag=tag, callback=then)

    def _watch(self, epoch: int) -> None:
        """A consumer to whom nothing comes may be one that the server has forgotten: when a quorum queue is deleted and
        declared again at once, nobody is told. So who hears nothing asks."""
        channel = self.channel
        if epoch != self.epoch or self._stopped or channel is None or not channel.is_open:
            return
        self.link.later(WATCH_SECONDS, partial(self._watch, epoch))
        if self._arrivals or len(self._outstanding) >= self._prefetch or self._changing:
            self._arrivals, self._quiet_seconds = 0, 0.0
            return
        self._quiet_seconds += WATCH_SECONDS
        self._changing = True
        talk(self._make_sure(channel), partial(self._changed, epoch))

    def _make_sure(self, channel: Channel) -> Dialogue[None]:
        queue = self._queue
        if queue.send.declare is not None:
            yield from queue.send.declare(channel)
        _, consumers = yield from count_of(channel, queue.main)
        if not consumers:
            self._on_cancel()
        elif self._quiet_seconds >= RENEW_SECONDS and not self._outstanding:
            self.begin_anew()

    def _new_tag(self) -> str:
        """Never the same twice: a quorum queue would take it for the consumer that was cancelled, with its count."""
        self._consumers += 1
        self._main = f"tasks-{self._consumers}"
        return self._main

    def _change(self, channel: Channel, prefetch: int) -> Dialogue[None]:
        yield lambda then: self._cancel(channel, self._main, then)
        if not self._stopped:
            yield from self._consume(channel, self._queue.main, self._new_tag(), prefetch)

    def _changed(self, epoch: int, _: None) -> None:
        if epoch == self.epoch:
            self._changing = False

    def _cancel_all(self, channel: Channel) -> Dialogue[None]:
        if self._queue.suspects:
            yield lambda then: self._cancel(channel, SUSPECTS, then)
        if not self._changing:  # else it is cancelled already, and consumes no more
            yield lambda then: self._cancel(channel, self._main, then)

    def _cancel(self, channel: Channel, tag: str, then: Callable[[object], object]) -> None:
        channel.basic_cancel(tag, then)
        # Until the answer comes, pika would reject what is delivered, and the server would count that against tasks
        # that nobody has started. There is no public way to keep them.
        cancelled = vars(channel).get("_cancelled")
        if isinstance(cancelled, set):
            cancelled.discard(tag)

    def _on_cancel(self) -> None:
        """The server has ended our consumer. On the same channel a new one would not do: it remembers the old queue."""
        self._reader.cancelled()
        self.hang_up()

    def _on_message(
        self, suspect: bool, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if channel is not self._opening:
            return
        tag = method.delivery_tag
        headers = properties.headers or {}
        self._outstanding[tag] = None
        self._arrivals += 1
        self._reader.arrived(
            Arrived(
                self.epoch,
                tag,
                body,
                properties.message_id or "",
                properties.reply_to or "",
                _count(headers.get(ATTEMPTS)),
                # Of a quorum queue we trust the count: its flag is also set for what was given back in peace.
                _count(headers.get("x-delivery-count")) > 0 if self._counted else method.redelivered,
                suspect,
            )
        )


def _count(value: object) -> int:
    """A header is whatever a stranger has written."""
    return min(value, 1_000_000) if isinstance(value, int) and value > 0 else 0
