"""Takes messages from the queues of one task and acknowledges them. Comes from a listener, goes to the server.

Two queues on one channel: the tasks, as many at a time as are wanted, and the suspects, one at a time. As many of each
queue of urgent ones, once it is known that it exists.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from typeddingo._io.amqp_arrived import Arrived
from typeddingo._io.amqp_channel import Dialogue, Line, Station, count_of
from typeddingo._io.amqp_frames import Delivered
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_outstanding import Outstanding
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo.errors import ConfigError

__all__ = ["Reader", "TaskConsumer"]

SUSPECTS = "suspects"
"""The consumer tag."""
QUIET_SECONDS = 0.02
"""Nothing has arrived for so long: nothing is on its way."""
WATCH_SECONDS = 1.0
RENEW_SECONDS = 15.0
"""Nothing has come for so long: consume anew, on a new channel. Others may consume from a queue that forgot us."""


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
    """Lives on the link's thread.

    To hold more or less, and to stop, a consumer must be cancelled, and what a quorum queue has on its way to it then
    comes back, counted as a failure. So it is cancelled when it holds all it may: nothing is on its way.
    """

    def __init__(self, link: Link, queue: TaskQueue, reader: Reader, prefetch: int) -> None:
        super().__init__(link)
        self.stale = 0
        """Receipts that came after their channel was gone."""
        self._queue = queue
        self._reader = reader
        self._prefetch = self._wanted = prefetch
        self._counted = link.settings.layout == "native" and link.settings.queue_type == "quorum"
        self._outstanding = Outstanding()
        self._line = Line()
        self._main = ""
        self._urgent: set[int] = set()  # priorities that have a queue
        self._urgent_tags: dict[str, int] = {}
        self._consumers = 0
        self._changing = False
        self._stopped = False
        self._on_stopped: Callable[[], object] | None = None
        self._when_quiet: Callable[[], object] | None = None
        self._withheld: list[Callable[[], object]] | None = None  # receipts, while there are some: they would make room
        self._done: list[int] = []
        self._when_flushed: list[Callable[[], object]] = []
        self._flushing = False
        self._asked: deque[Callable[[bool], object]] = deque()
        self._last_arrival = 0.0
        self._quiet_seconds = 0.0

    @property
    def gives_back_for_free(self) -> bool:
        """The server does not count what is given back as a failure: RabbitMQ 4.3 and newer, or nobody counts."""
        return self.link.settings.layout == "dingo" or (self._counted and self.link.server_version >= (4, 3))

    def holds(self, message: Arrived) -> bool:
        """It is still ours to acknowledge."""
        return message.epoch == self.epoch and message.tag in self._outstanding and self.current is not None

    # A life of the channel.

    def set_up(self, channel: Channel) -> Dialogue[None]:
        queue = self._queue
        self._prefetch = self._wanted
        channel.add_on_cancel_callback(lambda _: self._on_cancel())
        self.take_short_way(channel)
        for route in dict.fromkeys((queue.bury, queue.suspect, queue.send)):
            if route.declare is not None:
                yield from route.declare(channel)
        if self._stopped:
            return
        if queue.suspects:
            yield from self._consume(channel, queue.suspects, SUSPECTS, 1)
        for priority in list(self._urgent):
            yield from self._join(channel, priority)
        yield from self._consume(channel, queue.main, self._new_tag(), self._prefetch)

    def ready(self, channel: Channel) -> None:
        self._reader.ready()
        self._quiet_seconds = 0.0
        self.link.later(WATCH_SECONDS, partial(self._watch, self.epoch))
        for priority in self._urgent:  # what has become known since we began
            self._line.put(partial(self._join, channel, priority))
        self._adapt()

    def lost(self, error: BaseException) -> None:
        self._forget()
        self._reader.lost()

    def refused(self, error: ConfigError) -> None:
        self._forget()
        self._reader.lost()
        self._reader.refused(error)

    def _forget(self) -> None:
        self._outstanding.clear()
        self._done.clear()
        self._line.clear()
        self._changing = False
        self._when_quiet = None
        self._release()
        while self._asked:
            self._asked.popleft()(False)

    def _on_channel_close(self, channel: Channel, error: BaseException) -> None:
        super()._on_channel_close(channel, error)
        self._tell_stopped()

    # Receipts.

    def ack(self, epoch: int, tags: Sequence[int]) -> None:
        """They are done. The acknowledgements of one round of the loop leave together: many single ones make the server
        fall behind, and what it has not applied when the channel ends comes again."""
        if self._channel_of(epoch, tags) is not None:
            self._done += tags
            self._flush_soon()

    def nack(self, epoch: int, tags: Sequence[int], *, requeue: bool) -> None:
        """Back to the queue, or to where the queue's dead letters go."""
        if self._withheld is not None:
            self._withheld.append(partial(self.nack, epoch, tags, requeue=requeue))
        elif (channel := self._channel_of(epoch, tags)) is not None:
            for tag in self._outstanding.settle(tags):
                channel.basic_nack(tag, False, requeue)

    def when_applied(self, then: Callable[[bool], object]) -> None:
        """Ask something that changes nothing, on the same channel: the answer comes after what was sent before it.
        False: the channel is gone."""
        if self._withheld is not None:
            self._withheld.append(partial(self.when_applied, then))
        elif (channel := self.channel) is None or not channel.is_open:
            then(False)
        else:
            self._flush()
            self._asked.append(then)
            channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _: self._asked.popleft()(True))

    def when_sent(self, then: Callable[[], object]) -> None:
        """Call ``then`` when the receipts so far have been given to the system, so that they arrive even if this
        process ends there and then."""
        self._when_flushed.append(then)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            if not self.link.at_end_of_round(self._flush):
                self._flush()

    def _flush(self) -> None:
        self._flushing = False
        if self._withheld is not None:
            return
        done, self._done = self._done, []
        if done and (channel := self.current) is not None:
            for tag, multiple in self._outstanding.acknowledge(done):
                self.send_ack(channel, tag, multiple)
        sent, self._when_flushed = self._when_flushed, []
        for then in sent:
            if not self.link.submit_written(then):
                then()

    def _channel_of(self, epoch: int, tags: Sequence[int]) -> Channel | None:
        if (channel := self.current) is None or epoch != self.epoch:
            self.stale += len(tags)
            return None
        return channel

    def _release(self) -> None:
        withheld, self._withheld = self._withheld or [], None
        self._flush()
        for receipt in withheld:
            receipt()

    # What is urgent.

    def take_urgent(self, priority: int) -> None:
        """There are tasks of this priority, in a queue of their own. Idempotent."""
        if priority not in self._urgent:
            self._urgent.add(priority)
            if (channel := self.channel) is not None:
                self._line.put(partial(self._join, channel, priority))

    def _join(self, channel: Channel, priority: int) -> Dialogue[None]:
        if self._stopped or self._queue.life is None or priority in self._urgent_tags.values():
            return
        route = self._queue.life.to(priority)
        self._urgent_tags[tag := self._next_tag("urgent")] = priority
        if route.declare is not None:
            yield from route.declare(channel)
        yield from self._consume(channel, route.key, tag, self._prefetch)

    # How much is held.

    def prefer(self, prefetch: int) -> None:
        """Hold so many messages at most, as soon as it makes a difference."""
        self._wanted = prefetch
        self._adapt()

    def stop(self, done: Callable[[], object]) -> None:
        """Take no more; what has arrived stays unacknowledged. ``done`` is called when nothing can arrive any more."""
        self._stopped = True
        self._on_stopped = done
        if (channel := self.channel) is None or not channel.is_open:
            self._tell_stopped()
        else:
            self._once_quiet(partial(self._line.put, partial(self._cancel_all, channel)))

    @property
    def _is_full(self) -> bool:
        """Nothing can be on its way."""
        held, most = self._outstanding.held, self._prefetch
        return held(self._main) >= most and all(held(tag) >= most for tag in self._urgent_tags)

    @property
    def _is_short(self) -> bool:
        """There may be more in one of the queues."""
        held, most = self._outstanding.held, self._prefetch
        return held(self._main) >= most or any(held(tag) >= most for tag in self._urgent_tags)

    def _adapt(self) -> None:
        """More is of use only when all that may be held is held; less is wanted at once."""
        channel = self.channel
        if self._wanted == self._prefetch or self._changing or self._stopped or channel is None or not channel.is_open:
            return
        if self._wanted < self._prefetch or self._is_short:
            self._changing = True
            self._once_quiet(partial(self._line.put, partial(self._change, channel)))

    def _once_quiet(self, then: Callable[[], object]) -> None:
        """Call ``then`` when nothing is on its way to us, most likely; until it says so no receipts leave."""
        if self._withheld is None:
            self._withheld = []
        self._when_quiet = then
        if self._is_full or time.monotonic() - self._last_arrival > QUIET_SECONDS:
            self._now_quiet(then)
        else:
            self.link.later(QUIET_SECONDS, partial(self._now_quiet, then))

    def _now_quiet(self, then: Callable[[], object]) -> None:
        if self._when_quiet is then:
            self._when_quiet = None
            then()

    def _change(self, channel: Channel) -> Dialogue[None]:
        """The protocol has no other way than to consume anew."""
        yield lambda then: self._cancel(channel, self._main, then)
        yield from self._cancel_urgent(channel)
        self._prefetch = self._wanted
        if not self._stopped:
            self._release()
            for priority in list(self._urgent):
                yield from self._join(channel, priority)
            yield from self._consume(channel, self._queue.main, self._new_tag(), self._prefetch)
        self._changing = False
        self._adapt()

    def _cancel_all(self, channel: Channel) -> Dialogue[None]:
        if self._queue.suspects:
            yield lambda then: self._cancel(channel, SUSPECTS, then)
        if self._main:
            yield lambda then: self._cancel(channel, self._main, then)
        yield from self._cancel_urgent(channel)
        self._release()
        self._tell_stopped()

    def _cancel_urgent(self, channel: Channel) -> Dialogue[None]:
        for tag in list(self._urgent_tags):
            del self._urgent_tags[tag]
            yield partial(self._cancel, channel, tag)

    def _tell_stopped(self) -> None:
        if (done := self._on_stopped) is not None:
            self._on_stopped = None
            done()

    def _new_tag(self) -> str:
        """Never the same twice: a quorum queue would take it for the consumer that was cancelled, with its count."""
        self._main = self._next_tag("tasks")
        return self._main

    def _next_tag(self, kind: str) -> str:
        self._consumers += 1
        return f"{kind}-{self._consumers}"

    def _consume(self, channel: Channel, queue: str, tag: str, prefetch: int) -> Dialogue[None]:
        yield lambda then: channel.basic_qos(prefetch_count=prefetch, callback=then)
        receive = partial(self._on_message, tag)
        yield lambda then: channel.basic_consume(queue, receive, consumer_tag=tag, callback=then)

    def _cancel(self, channel: Channel, tag: str, then: Callable[[object], object]) -> None:
        if tag == self._main:
            self._main = ""
        channel.basic_cancel(tag, then)
        # Until the answer comes, pika would reject what is delivered, and the server would count that against tasks
        # that nobody has started. There is no public way to keep them.
        cancelled = vars(channel).get("_cancelled")
        if isinstance(cancelled, set):
            cancelled.discard(tag)

    # Watching.

    def _watch(self, epoch: int) -> None:
        """A consumer to whom nothing comes may be one that the server has forgotten: when a quorum queue is deleted and
        declared again at once, nobody is told. So who hears nothing asks."""
        channel = self.channel
        if epoch != self.epoch or self._stopped or channel is None or not channel.is_open:
            return
        self.link.later(WATCH_SECONDS, partial(self._watch, epoch))
        if self._is_full or self._changing or time.monotonic() - self._last_arrival < WATCH_SECONDS:
            self._quiet_seconds = 0.0
            return
        self._quiet_seconds += WATCH_SECONDS
        self._line.put(partial(self._make_sure, channel))

    def _make_sure(self, channel: Channel) -> Dialogue[None]:
        queue = self._queue
        if queue.send.declare is not None:
            yield from queue.send.declare(channel)
        _, consumers = yield from count_of(channel, queue.main)
        if self._stopped:
            return
        if not consumers:
            self._on_cancel()
        elif self._quiet_seconds >= RENEW_SECONDS and not self._outstanding:
            self.begin_anew()

    def _on_cancel(self) -> None:
        """The server has ended our consumer. On the same channel a new one would not do: it remembers the old queue."""
        self._reader.cancelled()
        self.hang_up()

    def _on_message(
        self, consumer: str, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if channel is self._opening:
            self.delivered(Delivered.by_pika(consumer, method.delivery_tag, method.redelivered, properties, body))

    def delivered(self, message: Delivered) -> None:
        consumer = message.consumer
        self._outstanding.add(message.tag, consumer)
        self._last_arrival = time.monotonic()
        arrived = Arrived.of(message, self.epoch, counted=self._counted, suspect=consumer == SUSPECTS)
        if self._urgent:
            arrived.priority = self._urgent_tags.get(consumer, 0)
        self._reader.arrived(arrived)
        if self._when_quiet is not None and self._is_full:
            self._now_quiet(self._when_quiet)
        elif self._wanted != self._prefetch and self._outstanding.held(consumer) >= self._prefetch:
            self._adapt()
