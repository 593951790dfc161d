"""Declares queues on a channel of its own: a refusal closes the channel, and takes nothing else with it.

Comes from a publisher or a consumer that needs a queue, goes to the server. Lives on the link's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from typeddingo._io.amqp_channel import Dialogue, Station, talk
from typeddingo._io.amqp_link import Link
from typeddingo.errors import ConfigError

__all__ = ["Declare", "Declarer"]

Declare: TypeAlias = Callable[[Channel], Dialogue[None]]
Done: TypeAlias = Callable[[ConfigError | None], object]
"""Declared, or the server refuses it: a queue of that name with other arguments exists, or we may not."""

_REFUSALS = (403, 405, 406)
"""Not 404: somebody has deleted a queue while we bound it; the second try finds what it needs."""


class Declarer(Station):
    """One declaration after the other; those that a loss interrupts are made again."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._queue: deque[tuple[Declare, Done]] = deque()
        self._busy = False

    def declare(self, declare: Declare, done: Done, *, first: bool = False) -> None:
        """``first``: somebody waits for it."""
        if first and not self._busy:
            self._queue.appendleft((declare, done))
        elif first:
            self._queue.insert(1, (declare, done))
        else:
            self._queue.append((declare, done))
        self._next()

    def set_up(self, channel: Channel) -> Dialogue[None]:
        """Nothing to ask for."""
        yield from ()

    def ready(self, channel: Channel) -> None:
        self._next()

    def lost(self, error: BaseException) -> None:
        was_busy, self._busy = self._busy, False
        if was_busy and isinstance(error, ChannelClosedByBroker) and error.reply_code in _REFUSALS:
            self._queue.popleft()[1](ConfigError(f"{self.link.settings.address} refuses: {error.reply_text}"))

    def refused(self, error: ConfigError) -> None:
        self._busy = False
        queue, self._queue = self._queue, deque()
        for _, done in queue:
            done(error)

    def _next(self) -> None:
        if self._queue and not self._busy and self.channel is not None:
            self._busy = True
            talk(self._queue[0][0](self.channel), partial(self._declared, self.epoch))

    def _declared(self, epoch: int, _: None) -> None:
        if epoch == self.epoch and self._busy:
            self._busy = False
            self._queue.popleft()[1](None)
            self._next()
