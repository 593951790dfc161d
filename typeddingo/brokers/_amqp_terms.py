"""A task of which more is asked than to be stored, as a message. Comes from ``send``, goes to the publisher."""

from __future__ import annotations

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_arrived import EXPIRES
from typeddingo._io.amqp_later import LONGEST
from typeddingo._io.amqp_message import Message
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError

__all__ = ["message_on"]


def message_on(queue: TaskQueue, parcel: Parcel, answer: Answer, now: float) -> Message:
    """``now``: Unix time. Raises ``ConfigError`` for a delay that is too long."""
    meta, body, terms = parcel
    life = queue.life
    if life is None:
        raise ConfigError(
            f"task {meta.name!r}: Go dingo's layout has no place for what is asked of it; use the native one"
        )
    headers: dict[str, object] = {}
    if end := terms.expires or (terms.lifetime and now + terms.lifetime):
        headers[EXPIRES] = round(end * 1000)
    seconds = terms.delay or (terms.eta and terms.eta - now)
    if seconds > LONGEST:
        raise ConfigError(
            f"task {meta.name!r}: RabbitMQ keeps a task for {int(LONGEST / 86400)} days at most before it starts: give "
            "a shorter delay or an earlier eta"
        )
    route = life.to(terms.priority)
    if seconds > 0:
        route, waiting = life.wait(seconds, terms.priority)
        headers |= waiting
    return Message(route, body, answer, id=meta.id, reply_to=meta.reply_to, headers=headers or None)
