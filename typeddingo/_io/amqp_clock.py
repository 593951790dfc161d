"""What time it is on the server, for workers whose own clock may be wrong. Asked by listeners of tasks that expire.

AMQP has no question for it, but a dead letter says when it died: one of ours dies at once. Lives on the link's thread,
but for ``now``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import cast

from pika import BasicProperties

from typeddingo._io.amqp_channel import Channel, Dialogue, Station
from typeddingo._io.amqp_errand import Getter
from typeddingo._io.amqp_link import Link
from typeddingo.errors import ConfigError

__all__ = ["ServerClock", "difference"]

PAUSE = 0.01
"""Seconds between looks for the answer."""
FRESH_SECONDS = 3600.0
"""Two clocks drift apart."""


def difference(before: float, after: float, second: int) -> float:
    """By how much the server's clock is ahead of ours: between ``before`` and ``after`` it was in this whole second.
    Nothing, if they may agree."""
    least, most = second - after, second + 1 - before
    return 0.0 if least <= 0 <= most else (least + most) / 2


class ServerClock:
    """One a broker. Asks when it is first needed, and now and then."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._base: tuple[float, float] | None = None  # the server's time at a moment of the monotonic clock
        self._waiting: list[Callable[[], object]] = []
        self._asking = False

    def now(self) -> float:
        """Unix time: the server's, or ours as long as that is not known."""
        if self._base is None:
            return time.time()
        time_then, then = self._base
        return time_then + time.monotonic() - then

    def known(self) -> bool:
        """Else it is asked for."""
        if (self._base is None or time.monotonic() - self._base[1] > FRESH_SECONDS) and not self._asking:
            self._asking = True
            self._link.add(_Question(self._link, self._know))
        return self._base is not None

    def when_known(self, then: Callable[[], object]) -> None:
        """Call ``then`` when it is known, or known that it cannot be."""
        if self.known():
            then()
        else:
            self._waiting.append(then)

    def _know(self, ahead: float) -> None:
        self._base = (time.time() + ahead, time.monotonic())
        self._asking = False
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()


class _Question(Station):
    """Asked again on the next connection, if this one is lost before the answer comes."""

    def __init__(self, link: Link, tell: Callable[[float], object]) -> None:
        super().__init__(link)
        self._tell = tell
        self._ahead = 0.0

    def set_up(self, channel: Channel) -> Dialogue[None]:
        ends = f"{self.link.settings.namespace}.clock.{uuid.uuid4().hex}"
        begins = f"{ends}.0"
        at_once: dict[str, object] = {
            "x-message-ttl": 0,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": ends,
        }
        yield lambda then: channel.queue_declare(ends, exclusive=True, callback=then)
        yield lambda then: channel.queue_declare(begins, exclusive=True, arguments=at_once, callback=then)
        before = time.time()
        channel.basic_publish("", begins, b"", BasicProperties(), False)
        getter = Getter(channel)
        while (got := (yield from getter.get(ends))) is None:
            yield lambda then: self.link.later(PAUSE, partial(then, None))
        if (died := _time_of_death(got.properties)) is not None:
            self._ahead = difference(before, time.time(), died)
        for queue in (begins, ends):
            yield partial(_delete, channel, queue)

    def ready(self, channel: Channel) -> None:
        self.leave()
        self._tell(self._ahead)

    def lost(self, error: BaseException) -> None:
        """The next channel asks again."""

    def refused(self, error: ConfigError) -> None:
        """Then ours must do."""
        self.leave()
        self._tell(0.0)


def _delete(channel: Channel, queue: str, then: Callable[[object], None]) -> None:
    channel.queue_delete(queue, callback=then)


def _time_of_death(properties: BasicProperties) -> int | None:
    deaths = (properties.headers or {}).get("x-death")
    if not isinstance(deaths, list) or not deaths:
        return None
    death = cast("list[object]", deaths)[0]
    moment = cast("dict[str, object]", death).get("time") if isinstance(death, dict) else None
    return int(moment.timestamp()) if isinstance(moment, datetime) else None
