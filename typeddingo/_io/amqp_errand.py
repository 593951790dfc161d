"""A few questions to the server on a channel of their own, from a thread that waits for the answer.

Comes from who inspects the queues; a question that the server refuses ends this channel and no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from typeddingo._io.amqp_channel import Dialogue, Station
from typeddingo._io.amqp_link import Link
from typeddingo.errors import ConfigError, ConnectionLost

__all__ = ["Getter", "Got", "run", "run_or"]

T = TypeVar("T")
NOT_FOUND = 404


class Got(NamedTuple):
    """A message that was got and is not acknowledged."""

    tag: int
    properties: BasicProperties
    body: bytes


class _Errand(Station, Generic[T]):
    def __init__(self, link: Link, questions: Callable[[Channel], Dialogue[T]]) -> None:
        super().__init__(link)
        self.done = threading.Event()
        self.answers: list[T] = []
        self.error: Exception | None = None
        self._questions = questions

    def set_up(self, channel: Channel) -> Dialogue[None]:
        self.answers.append((yield from self._questions(channel)))

    def ready(self, channel: Channel) -> None:
        self._end()

    def lost(self, error: BaseException) -> None:
        if isinstance(error, ChannelClosedByBroker) and not self.answers:
            self.error = error
            self._end()

    def refused(self, error: ConfigError) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self.leave()
        self.done.set()


def run(link: Link, questions: Callable[[Channel], Dialogue[T]], timeout: float) -> T:
    """What the questions return. Blocks for ``timeout`` seconds at most, never on the link's thread.
    Raises ``ConnectionLost``, and ``ConfigError`` when the server refuses us."""
    errand = _Errand(link, questions)
    if not link.submit(lambda: link.add(errand)):
        raise ConnectionLost("closed: ask before close()")
    if not errand.done.wait(timeout):
        link.submit(errand.leave)
        raise ConnectionLost(f"{link.settings.address} does not answer")
    if isinstance(error := errand.error, ChannelClosedByBroker):
        if error.reply_code == NOT_FOUND:
            raise LookupError(error.reply_text) from error
        raise ConfigError(f"{link.settings.address} refuses: {error.reply_text}") from error
    if error is not None:
        raise error
    return errand.answers[0]


def run_or(missing: T, link: Link, questions: Callable[[Channel], Dialogue[T]], timeout: float) -> T:
    """As ``run``; ``missing`` where the queue asked about does not exist."""
    try:
        return run(link, questions, timeout)
    except LookupError:
        return missing


class Getter:
    """Gets single messages of one channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._then: Callable[[object], None] | None = None
        channel.add_callback(lambda _: self._answer(None), [Basic.GetEmpty], one_shot=False)

    def get(self, queue: str) -> Dialogue[Got | None]:
        """The next message, unacknowledged; None: there is none."""
        answer = yield lambda then: self._ask(queue, then)
        return answer if isinstance(answer, Got) else None

    def _ask(self, queue: str, then: Callable[[object], None]) -> None:
        self._then = then
        self._channel.basic_get(
            queue, lambda _, method, properties, body: self._answer(Got(method.delivery_tag, properties, body))
        )

    def _answer(self, got: Got | None) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(got)
