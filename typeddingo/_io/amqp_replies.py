"""Receives the reports that come for one store. Comes from the server, goes to the store's own thread.

native: one queue for all. dingo: one for each task that is polled. Lives on the link's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from typeddingo._io.amqp_channel import Dialogue, Line, Station
from typeddingo._io.amqp_frames import Delivered
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Route
from typeddingo.errors import ConfigError

__all__ = ["ReplyConsumer", "ReplyReader", "Reply"]

PREFETCH = 1000
"""Messages that may wait for the store's thread."""


class Reply(NamedTuple):
    """A message for the store, unacknowledged."""

    epoch: int
    tag: int
    queue: str
    """The queue that it came through."""
    kind: str
    """The type that its sender gave it."""
    body: bytes


class ReplyReader(Protocol):
    """Both methods run on the link's thread."""

    def arrived(self, reply: Reply) -> None: ...

    def ready(self, error: ConfigError | None) -> None:
        """The queue is there, or the server refuses it."""


class ReplyConsumer(Station):
    """Lives on the link's thread."""

    def __init__(
        self, link: Link, reader: ReplyReader, queue: str, declare: Callable[[Channel], Dialogue[None]] | None
    ) -> None:
        """``queue`` and ``declare``: the one for all; empty in a layout that has none."""
        super().__init__(link)
        self._reader = reader
        self._queue = queue
        self._declare = declare
        self._single: dict[str, Route] = {}
        self._consuming: set[str] = set()
        self._line = Line()
        self._acked = 0
        self._done = (0, 0)
        self._on_dropped: Callable[[], object] | None = None

    def set_up(self, channel: Channel) -> Dialogue[None]:
        self._line.clear()
        self._consuming.clear()
        self._acked = 0
        channel.add_on_cancel_callback(lambda _: self._on_cancel())
        self.take_short_way(channel)
        yield lambda then: channel.basic_qos(prefetch_count=PREFETCH, callback=then)
        if self._declare is not None:
            yield from self._declare(channel)
            yield from self._consume(channel, self._queue)

    def ready(self, channel: Channel) -> None:
        self._reader.ready(None)
        for queue, route in self._single.items():
            self._line.put(partial(self._open, channel, queue, route))

    def lost(self, error: BaseException) -> None:
        """What was not acknowledged is delivered again: a report may come twice."""
        self._tell_dropped()

    def refused(self, error: ConfigError) -> None:
        self._reader.ready(error)

    def open(self, queue: str, route: Route) -> None:
        """Receive from one more queue."""
        self._single[queue] = route
        if (channel := self.channel) is not None:
            self._line.put(partial(self._open, channel, queue, route))

    def drop(self, queue: str) -> None:
        """Delete a queue, and with it what is in it."""
        if self._single.pop(queue, None) is not None and (channel := self.channel) is not None:
            self._line.put(partial(self._drop, channel, queue))

    def drop_all(self, done: Callable[[], object]) -> None:
        """The store closes: delete every queue."""
        queues = [*self._single, *([self._queue] if self._queue else ())]
        self._single.clear()
        self._on_dropped = done
        if (channel := self.channel) is None or not channel.is_open:
            self._tell_dropped()
        else:
            self._line.put(partial(self._drop_each, channel, queues))

    def ack(self, epoch: int, tag: int) -> None:
        """Everything up to this one has reached its result."""
        if epoch == self.epoch and tag > self._acked and (channel := self.current) is not None:
            self._acked = tag
            self.send_ack(channel, tag, True)

    def ack_soon(self, epoch: int, tag: int) -> None:
        """As ``ack``, for a reply that is just arriving: those that arrive together are acknowledged together."""
        self._done = (epoch, tag)
        self.when_read(self._ack_done)

    def _ack_done(self) -> None:
        self.ack(*self._done)

    def _open(self, channel: Channel, queue: str, route: Route) -> Dialogue[None]:
        if queue in self._single and queue not in self._consuming:
            if route.declare is not None:
                yield from route.declare(channel)
            yield from self._consume(channel, queue)

    def _consume(self, channel: Channel, queue: str) -> Dialogue[None]:
        receive = partial(self._on_message, self.epoch, queue)
        yield lambda then: channel.basic_consume(queue, receive, consumer_tag=queue, callback=then)
        self._consuming.add(queue)

    def _drop(self, channel: Channel, queue: str) -> Dialogue[None]:
        if queue in self._single:  # asked for again since
            return
        if queue in self._consuming:
            self._consuming.discard(queue)
            yield lambda then: channel.basic_cancel(queue, then)
        yield lambda then: channel.queue_delete(queue, callback=then)

    def _drop_each(self, channel: Channel, queues: Sequence[str]) -> Dialogue[None]:
        for queue in queues:
            yield from self._drop(channel, queue)
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        if (done := self._on_dropped) is not None:
            self._on_dropped = None
            done()

    def _on_cancel(self) -> None:
        """Somebody has deleted one of the queues: begin anew with all of them."""
        self.hang_up()

    def _on_message(
        self, epoch: int, queue: str, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        self._reader.arrived(Reply(epoch, method.delivery_tag, queue, properties.type or "", body))

    def delivered(self, message: Delivered) -> None:
        self._reader.arrived(Reply(self.epoch, message.tag, message.consumer, message.kind, message.body))
