"""Puts a message that was delivered here somewhere else: among the suspects, the dead, those that wait, or back. Used
by the listeners.

Published first, acknowledged when that is confirmed: it is in two places for a moment and never in none. For workers
that run a task at most once it is the other way round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_arrived import ATTEMPTS, Arrived
from typeddingo._io.amqp_consumer import TaskConsumer
from typeddingo._io.amqp_later import Wait
from typeddingo._io.amqp_message import Message, Route
from typeddingo._io.amqp_publisher import Publisher
from typeddingo.errors import SendError, SendUnknown

__all__ = ["NAME", "REASON", "TIME", "Mover"]

REASON = "tdg-reason"
NAME = "tdg-name"
TIME = "tdg-time"
RETRY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Move:
    """One message on its way."""

    consumer: TaskConsumer
    """Who has it."""
    route: Route
    message: Arrived
    done: Callable[[], object]
    """Called on the consumer's link when it is there, or no longer ours."""
    headers: dict[str, object] = field(default_factory=dict[str, object])
    stubborn: bool = True
    """Tried again for as long as the message is ours; else handed to the server."""


class Mover:
    """One a broker. Thread-safe."""

    def __init__(self, publisher: Publisher) -> None:
        self.at_most_once = False
        """A message must never be in two places."""
        self._publisher = publisher
        self._timeout = publisher.link.settings.send_timeout

    def suspect(
        self, consumer: TaskConsumer, route: Route, message: Arrived, attempts: int, done: Callable[[], object]
    ) -> None:
        """Among those that run alone; ``attempts`` workers have died with it."""
        self._publish(_Move(consumer, route, message, done, message.kept | {ATTEMPTS: attempts}))

    def put_off(self, consumer: TaskConsumer, wait: Wait, message: Arrived, done: Callable[[], object]) -> None:
        """Where it waits until it is handed out again. On the consumer's link."""
        # Declared anew after each reconnect: a server that is killed may have lost a queue that it has just confirmed.
        self._publisher.announce(wait.route)
        attempts: dict[str, object] = {ATTEMPTS: message.attempts} if message.attempts else {}
        move = _Move(consumer, wait.route, message, done, message.kept | attempts | wait.headers)
        if self.at_most_once:
            consumer.ack(message.epoch, [message.tag])
            consumer.when_applied(partial(self._taken_away, move))
        else:
            self._publish(move)

    def bury(
        self,
        consumer: TaskConsumer,
        route: Route,
        message: Arrived,
        attempts: int,
        reason: str,
        name: str,
        done: Callable[[], object],
    ) -> None:
        """Among the dead letters, with what an operator wants to know."""
        why: dict[str, object] = {ATTEMPTS: attempts, REASON: reason, NAME: name, TIME: round(time.time() * 1000)}
        self._publish(_Move(consumer, route, message, done, why))

    def give_back(
        self,
        consumer: TaskConsumer,
        to: Callable[[Arrived], Route],
        messages: Sequence[Arrived],
        done: Callable[[], object],
    ) -> None:
        """To the queue they came from, as if nobody had had them. A server that would count that as a failure gets them
        anew. ``done`` is called once for each."""
        for message in messages:
            headers = message.kept
            if message.attempts:
                headers[ATTEMPTS] = message.attempts
            move = _Move(consumer, to(message), message, done, headers, stubborn=False)
            if (consumer.gives_back_for_free or self.at_most_once) and not message.acknowledged:
                consumer.link.submit(partial(self._requeue, move))
            else:
                self._publish(move)

    def _taken_away(self, move: _Move, surely: bool) -> None:
        if surely:
            move.message.acknowledged = True
            self._publish(move)
        else:  # it comes again, or is lost
            move.done()

    def _publish(self, move: _Move) -> None:
        message = move.message
        answer = Answer(1, self._timeout)
        answer.add_done_callback(partial(self._answered, move))
        headers = move.headers or None
        copy = Message(move.route, message.body, answer, id=message.id, reply_to=message.reply_to, headers=headers)
        try:
            self._publisher.publish([copy])
        except SendError:  # closed: it is ours until the connection ends
            return

    def _answered(self, move: _Move, error: BaseException | None) -> None:
        consumer = move.consumer
        if error is None:
            consumer.link.submit(partial(self._arrived, move))
        elif move.stubborn and not (self.at_most_once and isinstance(error, SendUnknown)):  # it may be there
            consumer.link.submit(partial(self._try_later, move))
        else:
            consumer.link.submit(partial(self._requeue, move))

    def _requeue(self, move: _Move) -> None:
        move.consumer.nack(move.message.epoch, [move.message.tag], requeue=True)
        move.consumer.when_sent(move.done)

    def _arrived(self, move: _Move) -> None:
        move.consumer.ack(move.message.epoch, [move.message.tag])
        move.consumer.when_sent(move.done)

    def _try_later(self, move: _Move) -> None:
        if move.consumer.holds(move.message) or move.message.acknowledged:
            move.consumer.link.later(RETRY_SECONDS, partial(self._publish, move))
        else:
            move.done()
