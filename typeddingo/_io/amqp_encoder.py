"""Messages as the frames that publish them. Used by a publisher, on one channel.

What pika writes for a usual message, at a tenth of its cost: 4 µs against 40.
"""

from __future__ import annotations

from typeddingo._io.amqp_frames import publish_method, publish_rest
from typeddingo._io.amqp_message import Message

__all__ = ["Encoder"]

FRAME_EXTRA = 8
"""Bytes of a frame that are not its payload."""
MAX_ROUTES = 4096
"""Method frames that are remembered: they are alike for all messages of a route."""


class Encoder:
    """For any thread, one at a time."""

    def __init__(self, channel: int, frame_max: int) -> None:
        self._channel = channel
        self._largest = frame_max - FRAME_EXTRA
        self._methods: dict[tuple[str, str], bytes] = {}

    def frames(self, message: Message) -> bytes | None:
        """None: it is no usual message, or none that AMQP can carry; pika knows what to do with it."""
        route, body = message.route, message.body
        if message.headers or len(body) > self._largest:
            return None
        where = route[:2]
        try:
            if (method := self._methods.get(where)) is None:
                if len(self._methods) >= MAX_ROUTES:
                    self._methods.clear()
                method = self._methods[where] = publish_method(self._channel, *where)
            return method + publish_rest(
                self._channel, route.content_type or "", message.reply_to, message.id, message.kind or "", body
            )
        except ValueError:
            return None
