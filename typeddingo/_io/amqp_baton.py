"""The right to fire one schedule, as a message: who holds it may. Used by ``_amqp_timetable``.

A queue with a single active consumer holds one message, the baton, that says up to when the schedule is settled.
Whoever consumes has it, unacknowledged; when he dies, the server gives it to the next one at once. What he publishes
goes out on the channel that the baton came by: when that is lost, so is whatever he still wanted to send. For everybody
else to read, a copy lies in a queue of its own.

Before a new holder believes what he reads he sends himself a *marker* and waits until it arrives: by then everything
that his predecessor left has arrived, too.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence

from pika import BasicProperties
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic

from typeddingo._io.amqp_channel import Dialogue, Station, talk
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message, Route
from typeddingo.errors import ConfigError, ConnectionLost, QueueFull, SendUnknown, TypedDingoError, Unroutable

__all__ = ["Baton", "Firing", "settled_in"]

SETTLED = "tdg-settled"
"""Microseconds since the epoch."""
MARKER = "tdg-marker"
PERSISTENT = 2
MICROSECONDS = 1_000_000


class Firing:
    """One attempt to fire, and how it ended."""

    def __init__(self, before: float | None, to: float, messages: Sequence[Message]) -> None:
        self.before = before
        self.to = round(to * MICROSECONDS) / MICROSECONDS
        self.messages = messages
        self.left = 0
        """Tasks that are not confirmed yet."""
        self.done = False
        self.error: TypedDingoError | None = None
        self._ended = threading.Event()

    def end(self, done: bool, error: TypedDingoError | None = None) -> None:
        """Once; what comes later changes nothing."""
        if not self._ended.is_set():
            self.done, self.error = done, error
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        """True: it is stored. Raises what kept it from being so."""
        if not self._ended.wait(seconds):
            raise SendUnknown(f"no confirmation within {seconds:g} s: it may or may not be stored")
        if self.error is not None:
            raise self.error
        return self.done


class Baton(Station):
    """Lives on the link's thread; ``ours``, ``last`` and ``trouble`` may be read by any."""

    def __init__(self, link: Link, queue: Route, copy: Route, task: Route, wake: Callable[[], object]) -> None:
        super().__init__(link)
        self.ours = False
        self.last: float | None = None
        self.since = 0.0
        """When the message that we hold came, by the monotonic clock."""
        self.trouble: ConfigError | None = None
        self._queue = queue
        self._copy = copy
        self._task = task
        self._wake = wake
        self._marker = ""
        self._asked = False
        self._held = 0
        """The delivery tag of the baton."""
        self._published = 0
        self._under_way: dict[int, Firing] = {}
        self._firing: Firing | None = None

    # A life of the channel.

    def set_up(self, channel: Channel) -> Dialogue[None]:
        self._forget()
        channel.add_on_cancel_callback(lambda _: self.begin_anew())
        channel.add_on_return_callback(lambda _, __, properties, ___: self._returned(properties))
        for route in (self._queue, self._copy, self._task):
            if route.declare is not None:
                yield from route.declare(channel)
        yield lambda then: channel.confirm_delivery(self._confirmed, callback=then)
        yield lambda then: channel.basic_consume(self._queue.key, self._arrived, callback=then)

    def ready(self, channel: Channel) -> None:
        self.trouble = None
        self._ask(channel)

    def lost(self, error: BaseException) -> None:
        firing = self._forget()
        if firing is not None:
            firing.end(False, SendUnknown("the connection was lost before the server answered"))
        self._wake()

    def refused(self, error: ConfigError) -> None:
        self.trouble = error
        self.lost(error)

    # Holding it.

    def fire(self, firing: Firing) -> None:
        """The tasks first; when they are stored, the new baton; when that is here, the old one goes."""
        if self.trouble is not None:
            firing.end(False, self.trouble)
        elif (channel := self.channel) is None:
            firing.end(False, ConnectionLost(f"{self.link.settings.address} cannot be reached"))
        elif not self.ours or self._firing is not None or firing.before != self.last:
            firing.end(False)
        else:
            self._firing = firing
            firing.left = len(firing.messages)
            for message in firing.messages:
                self._publish(channel, message.route, message.body, message.properties(), firing)
            if not firing.left:
                self._pass(channel, firing.to)

    def renew(self) -> None:
        """Hold a new message instead of one that the server might think we have forgotten."""
        if self.ours and self.last is not None and self._firing is None and self.channel is not None:
            self.since = time.monotonic()
            self._pass(self.channel, self.last)

    def _arrived(self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        tag, headers = method.delivery_tag, properties.headers or {}
        if (settled := settled_in(properties)) is not None:
            self._take(channel, tag, settled)
        else:
            channel.basic_ack(tag)
        if headers.get(MARKER) == self._marker:
            self.ours = True
            self._wake()
        elif not self.ours and not self._asked:
            self._asked = True
            self._ask(channel)

    def _take(self, channel: Channel, tag: int, settled: float) -> None:
        """Of several the one that knows most."""
        if self.last is not None and settled < self.last:
            channel.basic_ack(tag)
            return
        if self._held:
            channel.basic_ack(self._held)
        self._held, self.last, self.since = tag, settled, time.monotonic()
        firing = self._firing
        if firing is not None and settled >= firing.to:
            self._firing = None
            self._publish(channel, self._copy, b"", _properties({SETTLED: round(settled * MICROSECONDS)}), strict=False)
            firing.end(True)

    def _ask(self, channel: Channel) -> None:
        self._marker = uuid.uuid4().hex
        self._publish(channel, self._queue, b"", _properties({MARKER: self._marker}))

    def _pass(self, channel: Channel, settled: float) -> None:
        self._publish(channel, self._queue, b"", _properties({SETTLED: round(settled * MICROSECONDS)}))

    # Publishing.

    def _publish(
        self,
        channel: Channel,
        route: Route,
        body: bytes,
        properties: BasicProperties,
        firing: Firing | None = None,
        *,
        strict: bool = True,
    ) -> None:
        """``strict``: it comes back when there is no queue for it."""
        self._published += 1
        if firing is not None:
            self._under_way[self._published] = firing
        channel.basic_publish(route.exchange, route.key, body, properties, mandatory=strict)

    def _confirmed(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._under_way if tag <= method.delivery_tag]
        for tag in tags:
            if (firing := self._under_way.pop(tag, None)) is not None:
                self._answered(firing, stored=isinstance(method, Basic.Ack))

    def _answered(self, firing: Firing, *, stored: bool) -> None:
        if firing is not self._firing:
            return
        if not stored:
            self._fail(firing, QueueFull("RabbitMQ has no room for it: it fires when workers have caught up"))
            return
        firing.left -= 1
        if not firing.left and self.channel is not None:
            self._pass(self.channel, firing.to)

    def _returned(self, properties: BasicProperties) -> None:
        """A queue that is gone: ours, or that of the tasks."""
        headers = properties.headers or {}
        if MARKER in headers or SETTLED in headers:
            self.begin_anew()
        elif (firing := self._firing) is not None:
            self._fail(firing, Unroutable("the queue of its task is gone: it is made again"))
            if self.channel is not None and self._task.declare is not None:
                talk(self._task.declare(self.channel), lambda _: None)

    def _fail(self, firing: Firing, error: TypedDingoError) -> None:
        self._firing = None
        firing.end(False, error)

    def _forget(self) -> Firing | None:
        firing, self._firing = self._firing, None
        self.ours, self.last, self._held, self._asked, self._marker = False, None, 0, False, ""
        self._published = 0
        self._under_way.clear()
        return firing


def settled_in(properties: BasicProperties) -> float | None:
    """What a baton or a copy of one says."""
    settled = (properties.headers or {}).get(SETTLED)
    return settled / MICROSECONDS if isinstance(settled, int) else None


def _properties(headers: dict[str, object]) -> BasicProperties:
    return BasicProperties(delivery_mode=PERSISTENT, headers=headers)
