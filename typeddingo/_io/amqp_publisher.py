"""Publishes messages and says for each whether it is stored. Comes from brokers and reporters, goes to the server.

A message waits while there is no connection, is in flight until the server has confirmed it, and is answered for by its
deadline whatever happens: stored, certainly not stored, or unknown.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.frame import Method
from pika.spec import Basic

from typeddingo._io.amqp_channel import Dialogue, Station
from typeddingo._io.amqp_declarer import Declare, Declarer
from typeddingo._io.amqp_encoder import Encoder
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message, Route
from typeddingo.errors import (
    BrokerBlocked,
    ConfigError,
    ConnectionLost,
    QueueFull,
    SendError,
    SendUnknown,
    TypedDingoError,
    Unroutable,
)

__all__ = ["Publisher"]

AHEAD = 128
"""Gathered messages that leave although nobody has asked for their answer yet: more will hardly come together."""
COMPANY = 16
"""So many are worth a piece of their own when others are under way; fewer travel with what is sent next."""
MAX_FLYING = 1000
"""Messages that may wait for their confirmation; more would only fill buffers."""
MAX_FLYING_BYTES = 64 * 1024 * 1024
TICK_SECONDS = 0.05
"""Between two looks at what has been gathered and at deadlines."""
LINGER_SECONDS = 1.0
"""Of looks after the last message: while somebody looks, messages may leave from any thread."""
CONNECT_SECONDS = 1.0
"""For a connection that does not exist yet when everything ends."""
DELETED_SECONDS = 0.1
"""Before a queue that somebody has deleted is declared anew: at once, RabbitMQ would not tell its consumers of it."""
MAX_READY = 4096
"""Queues that are remembered as declared; one that is forgotten is declared once more."""


class Publisher(Station):
    """``publish``, ``announce`` and ``close`` from any thread; everything else on the link's."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._timeout = link.settings.send_timeout
        self._tick_seconds = min(TICK_SECONDS, max(0.02, self._timeout / 20))
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._flying: dict[int, Message] = {}
        self._flying_bytes = 0
        self._tag = 0
        self._encoder: Encoder | None = None
        self._declarer = Declarer(link)
        self._ready: dict[tuple[str, str], None] = {}
        self._announced: dict[tuple[str, str], Route] = {}
        self._declaring = False
        self._ticking = False
        self._ticked_tag = 0
        self._ticks_until = 0.0
        self._joined = False
        self._pumping = False
        self._closed = False

    # From any thread.

    def publish(self, messages: Sequence[Message]) -> None:
        """Hand over a batch; the answer of each message is settled by its deadline. Does not block.
        Raises ``SendError`` once closed."""
        self.gather(messages)
        self.push()

    def gather(self, messages: Sequence[Message]) -> None:
        """As ``publish``, with what comes next: they leave with ``push``, when there are many, or after a moment."""
        deadline = time.monotonic() + self._timeout
        for message in messages:
            message.deadline = deadline
        with self._lock:
            if self._closed:
                raise SendError("closed: nothing was sent; send before close()")
            self._waiting.extend(messages)
            if self._ticking and len(self._waiting) < AHEAD:
                return
        self.push()

    def push(self) -> None:
        """What was gathered leaves: somebody waits for it. Does not block."""
        if not self._waiting:
            return
        with self._lock:
            stream, many = self._stream, len(self._waiting) >= COMPANY
            if (many or not self._flying) and self._ticking and stream and stream.for_any_thread and self.link.alive:
                # From here to the server it takes half as long when the link's thread need not wake for it.
                self._send_waiting()
            if self._pumping or not self._waiting or len(self._flying) >= MAX_FLYING:
                return
            self._pumping = True
        self.link.submit(self._pump_now)

    def _send_waiting(self) -> Message | None:
        """With the lock held: send what can be sent, in one piece. Returns the first that the link's thread must look
        at, if that is why others wait."""
        channel, stream, encoder = self.channel, self._stream, self._encoder
        if channel is None or stream is None or encoder is None or not channel.is_open or self.link.blocked:
            return None
        waiting, ready, parts = self._waiting, self._ready, list[bytes]()
        other: Message | None = None
        while waiting and len(self._flying) < MAX_FLYING and self._flying_bytes < MAX_FLYING_BYTES:
            message = waiting[0]
            route = message.route
            if (route.declare is not None and route[:2] not in ready) or (frames := encoder.frames(message)) is None:
                other = message
                break
            self._take_off(waiting.popleft())
            parts.append(frames)
        if parts:
            stream.write(b"".join(parts))
        return other

    def _take_off(self, message: Message) -> None:
        """With the lock held, together with what writes it: tags count what is written."""
        self._tag += 1
        self._flying[self._tag] = message
        self._flying_bytes += len(message.body)

    def announce(self, route: Route) -> None:
        """Messages will go there: its queue is declared as soon as there is a connection. Opens none."""
        with self._lock:
            if route[:2] in self._announced or self._closed:
                return
            self._announced[route[:2]] = route
            joined = self._joined
        if joined:
            self.link.submit(lambda: self._declare_ahead(route))

    def close(self, timeout: float) -> None:
        """Wait so many seconds for what is under way, then answer for the rest. Idempotent."""
        with self._lock:
            self._closed = True
        self.push()
        began = time.monotonic()
        while (self._waiting or self._flying) and time.monotonic() - began < timeout:
            # A worker that gives back at its end may send for the first time: that connection is just being made.
            connecting = time.monotonic() - began < CONNECT_SECONDS
            if self.link.is_current or not (self.link.connection or connecting) or not self.link.alive:
                break
            time.sleep(0.005)
        if not self.link.alive or not self.link.submit(self._give_up):
            self._give_up()

    # On the link's thread.

    def set_up(self, channel: Channel) -> Dialogue[None]:
        channel.add_on_return_callback(self._on_return)
        self.take_short_way(channel)
        if self._connection is not None:
            self._encoder = Encoder(channel.channel_number, self._connection.params.frame_max)
        yield lambda then: channel.confirm_delivery(self._on_confirm, then)

    def ready(self, channel: Channel) -> None:
        self._pump()
        for route in list(self._announced.values()):
            self._declare_ahead(route)

    def lost(self, error: BaseException) -> None:
        with self._lock:
            flying, self._flying = list(self._flying.values()), {}
            self._flying_bytes = self._tag = 0
        self._ready.clear()
        for message in flying:
            self._settle(
                message, lambda: SendUnknown("the connection was lost before the confirmation: may be stored"), error
            )

    def refused(self, error: ConfigError) -> None:
        self.lost(error)
        while self._waiting:
            self._waiting.popleft().answer.settle(error)

    def unblocked(self) -> None:
        self._pump()

    def _pump_now(self) -> None:
        with self._lock:
            self._pumping = False
        if not self._joined:
            self._joined = True
            self.link.add(self)
            self.link.add(self._declarer)
        self._pump()

    def _pump(self) -> None:
        channel = self.channel
        if self._waiting and channel is None and (refusal := self.link.refusal) is not None:
            self.refused(refusal)
        while True:
            failure: Exception | None = None
            with self._lock:
                if (other := self._send_waiting()) is None or channel is None:
                    break
                if (undeclared := self._undeclared(other.route)) is None:
                    failure = self._send_by_pika(channel, self._waiting.popleft())
            if undeclared is not None:
                self._declare(other.route, undeclared)
                break
            if failure is not None:
                self._settle(other, partial(SendError, f"cannot be sent over AMQP: {type(failure).__name__}"), failure)
        if (self._waiting or self._flying) and not self._ticking:
            self._ticking = True
            self.link.later(self._tick_seconds, self._tick)

    def _undeclared(self, route: Route) -> Declare | None:
        return route.declare if route[:2] not in self._ready else None

    def _send_by_pika(self, channel: Channel, message: Message) -> Exception | None:
        """With the lock held: an unusual one. Returns why AMQP cannot carry it; then nothing of it was sent."""
        route = message.route
        try:
            channel.basic_publish(route.exchange, route.key, message.body, message.properties(), True)
        except (AMQPError, ValueError, TypeError) as error:
            return error
        self._take_off(message)
        return None

    def _declare(self, route: Route, declare: Declare) -> None:
        """The first message that waits needs its queue: all others wait behind it, to keep the order."""
        if self._declaring:
            return
        self._declaring = True

        def done(error: ConfigError | None) -> None:
            self._declaring = False
            if error is None:
                self._remember(route)
            else:
                with self._lock:  # others may hand over more meanwhile
                    refused = [m for m in self._waiting if m.route[:2] == route[:2]]
                    self._waiting = deque(m for m in self._waiting if m.route[:2] != route[:2])
                for message in refused:
                    message.answer.settle(error)
            self._pump()

        self._declarer.declare(declare, done, first=True)

    def _declare_ahead(self, route: Route) -> None:
        def done(error: ConfigError | None) -> None:
            if error is None:
                self._remember(route)

        if route.declare is not None and route[:2] not in self._ready:
            self._declarer.declare(route.declare, done)

    def _remember(self, route: Route) -> None:
        if len(self._ready) >= MAX_READY:
            del self._ready[next(iter(self._ready))]
        self._ready[route[:2]] = None

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        method = frame.method
        self._answered(method.delivery_tag, method.multiple, isinstance(method, Basic.Ack))

    def confirmed(self, tag: int, multiple: bool) -> None:
        self._answered(tag, multiple, True)

    def _answered(self, tag: int, multiple: bool, stored: bool) -> None:
        landed: list[Message] = []
        with self._lock:
            flying = self._flying
            for each in [flew for flew in flying if flew <= tag] if multiple else (tag,):
                if (message := flying.pop(each, None)) is not None:
                    self._flying_bytes -= len(message.body)
                    landed.append(message)
        for message in landed:
            self._settle_answered(message, stored)
        if self._waiting:
            self._pump()

    def _settle_answered(self, message: Message, stored: bool) -> None:
        if not stored:
            self._settle(message, self._refusal)
        elif not message.returned:
            if not message.expired:
                message.answer.settle(None)
        elif message.retried or message.route.declare is None or not message.route.remade or message.expired:
            self._settle(message, lambda: Unroutable(f"RabbitMQ has no queue {message.route.key!r}"))
        else:  # somebody has deleted the queue: declare it again, once
            message.returned, message.retried = False, True
            self._ready.pop(message.route[:2], None)
            self.link.later(DELETED_SECONDS, partial(self._again, message))

    def _again(self, message: Message) -> None:
        with self._lock:
            self._waiting.appendleft(message)
        self._pump()

    def _on_return(self, channel: Channel, method: Basic.Return, properties: BasicProperties, body: bytes) -> None:
        """It comes before the confirmation of the same message, in the order in which they were published."""
        id = properties.message_id or ""
        for message in list(self._flying.values()):
            if message.id == id and message.route.key == method.routing_key and not message.returned:
                message.returned = True
                return

    def _refusal(self) -> SendError:
        if self.link.settings.max_length is not None:
            return QueueFull("the queue is at its max_length: send again when workers have caught up, or raise it")
        return SendError("RabbitMQ refused to store it: its queue is at a bound that a policy sets, or is unavailable")

    def _tick(self) -> None:
        now = time.monotonic()
        for message in list(self._flying.values()):
            if message.deadline > now:
                break
            self._settle(
                message, lambda: SendUnknown(f"not confirmed within {self._timeout:g} s: it may or may not be stored")
            )
        late: list[Message] = []
        with self._lock:  # who sends from another thread relies on it
            while self._waiting and self._waiting[0].deadline <= now:
                late.append(self._waiting.popleft())
            if self._flying or self._waiting or self._tag != self._ticked_tag:
                self._ticks_until = now + LINGER_SECONDS
            self._ticked_tag = self._tag
            self._ticking = now < self._ticks_until
        for message in late:
            self._settle(message, self._why_waiting)
        if self._ticking:
            self.link.later(self._tick_seconds, self._tick)
        self._pump()

    def _why_waiting(self) -> SendError:
        where, seconds = self.link.settings.address, self._timeout
        if self.link.blocked:
            return BrokerBlocked(f"{where} took no messages for {seconds:g} s: memory or disk alarm; nothing was sent")
        error = SendError(f"{where} could not be reached for {seconds:g} s: nothing was sent")
        error.__cause__ = ConnectionLost(f"{where} does not answer")
        return error

    def _settle(
        self, message: Message, make: Callable[[], TypedDingoError], cause: BaseException | None = None
    ) -> None:
        if message.expired:
            return  # answered for already
        message.expired = True
        error = make()
        if cause is not None:
            error.__cause__ = cause
        message.answer.settle(error)

    def _give_up(self) -> None:
        with self._lock:
            flying, self._flying = list(self._flying.values()), {}
        for message in flying:
            self._settle(message, lambda: SendUnknown("closed before the confirmation came: it may be stored"))
        while self._waiting:
            self._settle(self._waiting.popleft(), lambda: SendError("closed: nothing was sent; send before close()"))
