"""Puts a message that was delivered here somewhere else: among the suspects, the dead, or back. Used by the listeners.

Published first, acknowledged when that is confirmed: it is in two places for a moment and never in none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_consumer import ATTEMPTS, Arrived, TaskConsumer
from typeddingo._io.amqp_publisher import Message, Publisher, Route
from typeddingo.errors import SendError

__all__ = ["NAME", "REASON", "TIME", "Mover"]

REASON = "tdg-reason"
NAME = "tdg-name"
TIME = "tdg-time"
RETRY_SECONDS = 1.0


class Mover:
    """One a broker. Thread-safe."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._timeout = publisher.link.settings.send_timeout

    def move(
        self,
        consumer: TaskConsumer,
        route: Route,
        message: Arrived,
        *,
        attempts: int = 0,
        reason: str = "",
        name: str = "",
    ) -> None:
        """It is tried again for as long as the message is ours."""
        headers: dict[str, object] = {}
        if attempts:
            headers[ATTEMPTS] = attempts
        if reason:
            headers |= {REASON: reason, NAME: name, TIME: round(time.time() * 1000)}
        self._publish(consumer, route, message, headers)

    def give_back(self, consumer: TaskConsumer, route: Route, suspects: Route, messages: Sequence[Arrived]) -> None:
        """To the end of their queue, as if nobody had had them: the server would count that as a failure. On servers
        that do not, it puts them back where they were."""
        for message in messages:
            headers: dict[str, object] = {ATTEMPTS: message.attempts} if message.attempts else {}
            self._publish(consumer, suspects if message.suspect else route, message, headers, tries=1)

    def _publish(
        self, consumer: TaskConsumer, route: Route, message: Arrived, headers: dict[str, object], tries: int = 0
    ) -> None:
        answer = Answer(1, self._timeout)
        copy = Message(route, message.body, answer, id=message.id, reply_to=message.reply_to, headers=headers or None)
        again = partial(self._publish, consumer, route, message, headers)
        answer.add_done_callback(partial(self._moved, consumer, message, again, tries))
        try:
            self._publisher.publish([copy])
        except SendError:  # closed: it is ours until the connection ends
            return

    def _moved(
        self,
        consumer: TaskConsumer,
        message: Arrived,
        again: Callable[[], None],
        tries: int,
        error: BaseException | None,
    ) -> None:
        if error is None:
            consumer.link.submit(lambda: consumer.ack(message.epoch, [message.tag]))
        elif tries:
            consumer.link.submit(lambda: consumer.nack(message.epoch, [message.tag], requeue=True))
        else:
            consumer.link.submit(lambda: self._try_later(consumer, message, again))

    def _try_later(self, consumer: TaskConsumer, message: Arrived, again: Callable[[], None]) -> None:
        if message.epoch == consumer.epoch and consumer.current is not None:
            consumer.link.later(RETRY_SECONDS, again)
