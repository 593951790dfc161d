"""What every worker of a namespace hears, also who starts later. Comes from whoever sends, goes to a broker.

A stream: it is read and not consumed, from its beginning by each. What stands in it is forgotten when no task that was
sent before can be waiting any more. Lives on the link's thread.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import TypeAlias, cast

from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from typeddingo._io.amqp_channel import Dialogue, Station, declare_queue
from typeddingo._io.amqp_frames import Delivered
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import PERSISTENT, Route
from typeddingo.errors import ConfigError

__all__ = ["Hear", "NoticeReader", "notice", "stream_route"]

KEPT = "90D"
"""Longer than any task can wait to be due."""
SEGMENT, ROOM = 1_000_000, 100_000_000
"""Bytes: the stream is forgotten a segment at a time, and has this size at most: a million notices."""
PREFETCH = 1000
MARK_SECONDS = 5.0
"""Who does not find his own mark by then reads from the beginning: it is another stream than the one he knew."""
MARK = "mark"
CONSUMER = "notices"

Hear: TypeAlias = Callable[[str, list[object]], object]
"""Called with the kind of a notice and what it says."""


def notice(kind: str, *words: object) -> bytes:
    """As it stands in the stream."""
    return json.dumps([kind, *words]).encode()


def stream_route(namespace: str) -> Route:
    """Where notices go."""
    stream = f"{namespace}.notices"

    def declare(channel: Channel) -> Dialogue[None]:
        arguments: dict[str, object] = {
            "x-queue-type": "stream",
            "x-max-age": KEPT,
            "x-max-length-bytes": ROOM,
            "x-stream-max-segment-size-bytes": SEGMENT,
        }
        yield from declare_queue(channel, stream, arguments)

    return Route("", stream, declare)


class NoticeReader(Station):
    """Reads everything once, and goes on where it was after a loss."""

    def __init__(self, link: Link, route: Route, hear: Hear, refused: Callable[[ConfigError], object]) -> None:
        super().__init__(link)
        self._route = route
        self._hear = hear
        self._tell_refused = refused
        self._next: int | None = None  # the first that was not read
        self._mark = ""
        self._marked = False
        self._caught_up = False
        self._waiting: list[Callable[[], object]] = []
        self._done = (0, 0)

    def when_caught_up(self, then: Callable[[], object]) -> None:
        """Call ``then`` when all that stood there when we came was read, or it is known that it cannot be."""
        if self._caught_up:
            then()
        else:
            self._waiting.append(then)

    def set_up(self, channel: Channel) -> Dialogue[None]:
        channel.add_on_cancel_callback(lambda _: self._on_cancel())
        self.take_short_way(channel)
        if self._route.declare is not None:
            yield from self._route.declare(channel)
        yield lambda then: channel.basic_qos(prefetch_count=PREFETCH, callback=then)
        offset: dict[str, object] = {"x-stream-offset": "first" if self._next is None else self._next}
        yield lambda then: channel.basic_consume(
            self._route.key, self._on_message, consumer_tag=CONSUMER, arguments=offset, callback=then
        )

    def ready(self, channel: Channel) -> None:
        """What was there before our mark has been read when we read that."""
        self._mark, self._marked = uuid.uuid4().hex, False
        channel.basic_publish(
            "", self._route.key, notice(MARK, self._mark), BasicProperties(delivery_mode=PERSISTENT), False
        )
        self.link.later(MARK_SECONDS, partial(self._look, self.epoch))

    def lost(self, error: BaseException) -> None:
        """The next channel goes on where this one was."""

    def refused(self, error: ConfigError) -> None:
        """Tasks run all the same."""
        if not self._caught_up:
            self._tell_refused(error)
        self._catch_up()

    def delivered(self, message: Delivered) -> None:
        offset = (message.headers or {}).get("x-stream-offset")
        if isinstance(offset, int):
            if self._next is not None and offset < self._next:
                self._ack_soon(message.tag)
                return  # the server gives what it has in one piece
            self._next = offset + 1
        kind, words = _read(message.body)
        if kind == MARK:
            if words == [self._mark]:
                self._marked = True
                self._catch_up()
        elif kind:
            self._hear(kind, words)
        self._ack_soon(message.tag)

    def _ack_soon(self, tag: int) -> None:
        self._done = (self.epoch, tag)
        self.when_read(self._ack)

    def _ack(self) -> None:
        epoch, tag = self._done
        if epoch == self.epoch and tag and (channel := self.current) is not None:
            self._done = (0, 0)
            self.send_ack(channel, tag, True)

    def _catch_up(self) -> None:
        self._caught_up = True
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()

    def _look(self, epoch: int) -> None:
        if epoch == self.epoch and not self._marked and self.channel is not None:
            self._next = None
            self.begin_anew()

    def _on_cancel(self) -> None:
        """Somebody has deleted the stream; a new one begins anew."""
        self._next = None
        self.hang_up()

    def _on_message(self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        if channel is self._opening:
            self.delivered(Delivered.by_pika(CONSUMER, method.delivery_tag, method.redelivered, properties, body))


def _read(body: bytes) -> tuple[str, list[object]]:
    """A notice is whatever a stranger has written."""
    try:
        words: object = json.loads(body)
    except (ValueError, RecursionError):
        return "", []
    if not isinstance(words, list) or not words:
        return "", []
    kind, *rest = cast("list[object]", words)
    return (kind, rest) if isinstance(kind, str) else ("", [])
