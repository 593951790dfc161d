"""A message on its way, and where it goes. Comes from brokers and reporters, goes to a publisher."""

from __future__ import annotations

from typing import NamedTuple

from pika import BasicProperties

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_declarer import Declare

__all__ = ["MAX_SHORT", "PERSISTENT", "Message", "Route"]

PERSISTENT = 2
MAX_SHORT = 255
"""Bytes of a short string of AMQP."""
SURELY_SHORT = MAX_SHORT // 4
"""Characters, of whatever kind."""


class Route(NamedTuple):
    """Where a message goes."""

    exchange: str
    key: str
    declare: Declare | None = None
    """Makes sure that its queue exists. None: it exists, or its owner is gone."""
    content_type: str | None = None
    remade: bool = True
    """Its queue is made again when it has vanished. False: then nobody wants what was in it."""


class Message:
    """One message on its way."""

    __slots__ = (
        "answer",
        "body",
        "deadline",
        "expired",
        "headers",
        "id",
        "kind",
        "reply_to",
        "retried",
        "returned",
        "route",
    )

    def __init__(
        self,
        route: Route,
        body: bytes,
        answer: Answer,
        *,
        id: str = "",
        reply_to: str = "",
        kind: str | None = None,
        headers: dict[str, object] | None = None,
    ) -> None:
        self.route = route
        self.body = body
        self.answer = answer
        self.id = id if len(id) <= SURELY_SHORT or len(id.encode("utf-8", "replace")) <= MAX_SHORT else ""
        self.reply_to = reply_to
        self.kind = kind
        self.headers = headers
        self.deadline = 0.0
        self.returned = False
        self.retried = False
        self.expired = False

    def properties(self) -> BasicProperties:
        return BasicProperties(
            content_type=self.route.content_type,
            delivery_mode=PERSISTENT,
            message_id=self.id or None,
            reply_to=self.reply_to or None,
            type=self.kind,
            headers=self.headers,
        )
