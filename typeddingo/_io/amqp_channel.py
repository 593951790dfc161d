"""A channel that comes back with its connection. What a publisher, a consumer and a reply queue stand on.

Everything but the constructor and ``start`` happens on the link's thread.
"""

from __future__ import annotations

import abc
import contextlib
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from pika import SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPError, ChannelClosedByBroker, ChannelClosedByClient
from pika.frame import Method
from pika.spec import Queue

from typeddingo._io.amqp_frames import Delivered, acknowledge
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_stream import Stream
from typeddingo._io.backoff import Backoff
from typeddingo.errors import ConfigError

__all__ = ["Channel", "Dialogue", "Line", "Station", "Step", "count_of", "declare_queue", "talk"]

Step: TypeAlias = Callable[[Callable[[object], None]], object]
"""Asks the server something; the answer goes to the callback."""
T = TypeVar("T")
Dialogue: TypeAlias = Generator[Step, object, T]
"""Questions to the server one after the other, written as if they blocked: ``answer = yield question``."""

_FOR_GOOD = (403, 405, 406)
"""Reasons to close a channel that a second try does not change."""


class _Talk(Generic[T]):
    """A dialogue under way."""

    def __init__(self, dialogue: Dialogue[T], done: Callable[[T], object]) -> None:
        self._dialogue = dialogue
        self._done = done

    def go_on(self, answer: object = None) -> None:
        try:
            step = self._dialogue.send(answer)
        except StopIteration as end:
            self._done(end.value)
        else:
            step(self.go_on)


def talk(dialogue: Dialogue[T], done: Callable[[T], object]) -> None:
    """Lead a dialogue; ``done`` gets what it returns. When its channel closes it never ends: listen for that."""
    _Talk(dialogue, done).go_on(None)


def count_of(channel: Channel, queue: str) -> Dialogue[tuple[int, int]]:
    """How many messages wait in a queue, and how many consumers it has; one that does not exist ends the channel."""
    answer = yield lambda then: channel.queue_declare(queue, passive=True, callback=then)
    assert isinstance(answer, Method)
    declared: object = answer.method  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # isinstance knows no type arguments
    assert isinstance(declared, Queue.DeclareOk)
    return declared.message_count, declared.consumer_count


def declare_queue(channel: Channel, queue: str, arguments: dict[str, object]) -> Dialogue[None]:
    """A durable queue that other connections may use."""
    yield lambda then: channel.queue_declare(queue, durable=True, arguments=arguments, callback=then)


class Line:
    """Dialogues on one channel, one after the other: their questions do not mix."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], Dialogue[None]]] = deque()
        self._busy = False

    def put(self, begin: Callable[[], Dialogue[None]]) -> None:
        self._waiting.append(begin)
        self._next()

    def clear(self) -> None:
        """The channel is gone, and the dialogue on it."""
        self._waiting.clear()
        self._busy = False

    def _next(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            talk(self._waiting.popleft()(), lambda _: self._done())

    def _done(self) -> None:
        self._busy = False
        self._next()


class Station(abc.ABC):
    """Opens its channel on every new connection and sets it up; an ``epoch`` is one life of the channel."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.epoch = 0
        self.channel: Channel | None = None
        """The channel, once it is set up."""
        self._opening: Channel | None = None
        self._connection: SelectConnection | None = None
        self._stream: Stream | None = None
        self._backoff = Backoff()
        self._left = False
        self._at_once = False

    @abc.abstractmethod
    def set_up(self, channel: Channel) -> Dialogue[None]:
        """Declare and ask for what is needed."""

    @abc.abstractmethod
    def ready(self, channel: Channel) -> None:
        """The channel is set up."""

    @abc.abstractmethod
    def lost(self, error: BaseException) -> None:
        """The channel is gone, and what was under way on it. A new one follows by itself."""

    @abc.abstractmethod
    def refused(self, error: ConfigError) -> None:
        """The server refuses what we ask for. Tried again later, in case somebody corrects it."""

    def delivered(self, message: Delivered) -> None:  # noqa: B027  # most consume nothing
        """A message for one of the channel's consumers."""

    def confirmed(self, tag: int, multiple: bool) -> None:  # noqa: B027  # most publish nothing
        """What was published on the channel is stored."""

    def take_short_way(self, channel: Channel) -> None:
        """From now on deliveries and confirmations come to ``delivered`` and ``confirmed``, if pika need not see
        them."""
        self._stream = self.link.stream
        if self._stream is not None:
            self._stream.join(channel.channel_number, self)

    def when_read(self, work: Callable[[], object]) -> None:
        """Run ``work`` once when all that arrives together with what arrives now has been dealt with."""
        if self._stream is not None:
            self._stream.when_read(work)
        else:
            work()

    def send_ack(self, channel: Channel, tag: int, multiple: bool) -> None:
        """Of a message, or of all up to it."""
        if self._stream is not None:
            self._stream.write(acknowledge(channel.channel_number, tag, multiple))
        else:
            channel.basic_ack(tag, multiple)

    def opened(self, connection: SelectConnection) -> None:
        if self._opening is not None and connection is not self._connection:
            self._on_channel_close(self._opening, ConnectionError("its connection was given up"))
        if self._opening is None and not self._left:
            self._connection = connection
            channel = connection.channel(on_open_callback=self._on_channel_open)
            channel.add_on_close_callback(self._on_channel_close)
            self._opening = channel

    def unblocked(self) -> None:  # noqa: B027  # most have nothing to do
        """See ``Guest``."""

    def leave(self) -> None:
        """Close the channel for good."""
        self._left = True
        self.link.remove(self)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the channel; unless we leave, a new one follows."""
        if (channel := self._opening) is not None:
            with contextlib.suppress(AMQPError):  # it is closing already
                channel.close()

    @property
    def current(self) -> Channel | None:
        """The channel of this epoch, as long as it can be used; set up or not yet."""
        channel = self._opening
        return channel if channel is not None and channel.is_open else None

    def begin_anew(self) -> None:
        """Hang up, and open a new channel without a pause."""
        self._at_once = True
        self.hang_up()

    def _on_channel_open(self, channel: Channel) -> None:
        self.epoch += 1
        talk(self.set_up(channel), partial(self._on_set_up, channel))

    def _on_set_up(self, channel: Channel, _: None) -> None:
        self.channel = channel
        self._backoff.reset()
        self.ready(channel)

    def _on_channel_close(self, channel: Channel, error: BaseException) -> None:
        if channel is not self._opening:
            return
        if self._stream is not None:
            self._stream.part(channel.channel_number, self)
            self._stream = None
        was_ready = self.channel is not None
        self._opening = self.channel = None
        if not was_ready and isinstance(error, ChannelClosedByBroker) and error.reply_code in _FOR_GOOD:
            self.refused(ConfigError(f"{self.link.settings.address} refuses us: {error.reply_text}"))
        else:
            self.lost(error)
        if self._left or self.link.closed:
            return
        if isinstance(error, (ChannelClosedByBroker, ChannelClosedByClient)):  # else the connection's end
            self.link.later(0.0 if self._at_once else self._backoff.next_pause(), self._open_again)
            self._at_once = False

    def _open_again(self) -> None:
        if self.link.connection is not None and self.link.connection.is_open:
            self.opened(self.link.connection)
