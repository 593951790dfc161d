"""Declares queues on a channel of its own: a refusal closes the channel, and takes nothing else with it.

Comes from a publisher that needs a queue, goes to the server. Lives on the link's thread.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from typeddingo._io.amqp_channel import Dialogue, Station, declare_queue, talk
from typeddingo._io.amqp_link import Link
from typeddingo.errors import ConfigError

__all__ = ["Declare", "Declarer"]

Declare: TypeAlias = Callable[[Channel], Dialogue[None]]
Done: TypeAlias = Callable[[ConfigError | None], object]
"""Declared, or the server refuses it: a queue of that name with other arguments exists, or we may not."""

_REFUSALS = (403, 405, 406)
"""Not 404: somebody has deleted a queue while we bound it; the second try finds what it needs."""
_FORGOTTEN_MS = 60_000
"""After which a queue goes that was made for a moment, and that nobody has deleted."""


class _Order(NamedTuple):
    declare: Declare
    done: Done
    first: bool
    """Somebody waits for it."""


class Declarer(Station):
    """One declaration after the other; those that a loss interrupts are made again.

    A quorum queue that is new is not safe: RabbitMQ notes half a second later where it is kept, and when it is killed
    before that, it begins the queue anew, without what it has confirmed. It notes it before it makes the next one: so
    what was declared counts once another queue was made for a moment (13 ms).
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._queue: deque[_Order] = deque()
        self._declared: list[_Order] = []
        """Not safe yet."""
        self._busy = False
        self._sealing = False
        self._seals = link.settings.layout == "native"

    def declare(self, declare: Declare, done: Done, *, first: bool = False) -> None:
        """``first``: somebody waits for it."""
        order = _Order(declare, done, first)
        if not first:
            self._queue.append(order)
        else:
            self._queue.insert(1 if self._busy and not self._sealing else 0, order)
        self._next()

    def set_up(self, channel: Channel) -> Dialogue[None]:
        """Nothing to ask for."""
        yield from ()

    def ready(self, channel: Channel) -> None:
        self._next()

    def lost(self, error: BaseException) -> None:
        busy, sealing = self._busy, self._sealing
        self._busy = self._sealing = False
        refused = busy and isinstance(error, ChannelClosedByBroker) and error.reply_code in _REFUSALS
        if refused and sealing:  # we may have the queues that we need, and no other
            self._seals = False
            self._tell_declared()
            return
        if refused:
            assert isinstance(error, ChannelClosedByBroker)
            self._queue.popleft().done(ConfigError(f"{self.link.settings.address} refuses: {error.reply_text}"))
        self._queue.extendleft(reversed(self._declared))
        self._declared = []

    def refused(self, error: ConfigError) -> None:
        self._busy = self._sealing = False
        orders = [*self._declared, *self._queue]
        self._declared = []
        self._queue.clear()
        for order in orders:
            order.done(error)

    def _next(self) -> None:
        if self._busy or self.channel is None:
            return
        if self._declared and (not self._queue or any(order.first for order in self._declared)):
            self._busy = self._sealing = True
            talk(self._seal(self.channel), partial(self._on_sealed, self.epoch))
        elif self._queue:
            self._busy = True
            talk(self._queue[0].declare(self.channel), partial(self._on_declared, self.epoch))

    def _on_declared(self, epoch: int, _: None) -> None:
        if epoch == self.epoch and self._busy:
            self._busy = False
            self._declared.append(self._queue.popleft())
            if not self._seals:
                self._tell_declared()
            self._next()

    def _seal(self, channel: Channel) -> Dialogue[None]:
        queue = f"{self.link.settings.namespace}.made.{uuid.uuid4().hex}"
        yield from declare_queue(channel, queue, {"x-queue-type": "quorum", "x-expires": _FORGOTTEN_MS})
        yield lambda then: channel.queue_delete(queue, callback=then)

    def _on_sealed(self, epoch: int, _: None) -> None:
        if epoch == self.epoch and self._sealing:
            self._busy = self._sealing = False
            self._tell_declared()
            self._next()

    def _tell_declared(self) -> None:
        orders, self._declared = self._declared, []
        for order in orders:
            order.done(None)
