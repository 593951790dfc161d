"""What the tests of the Redis adapters share: brokers that are closed again, frames, the server's own view."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import cast

from typeddingo._io.redis_link import RedisLink
from typeddingo._io.redis_reply import Reply, whole
from typeddingo._io.redis_settings import RedisSettings
from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Listener, Parcel
from typeddingo.brokers.redis import RedisBroker
from typeddingo.events import Event, EventSource
from typeddingo.header import frame_bytes
from typeddingo.message import Meta
from typeddingo.testing import eventually

__all__ = ["DEAD", "NAME", "STREAM", "Bench", "frame", "heard", "parcel", "send", "take", "wait_for"]

NAME = "shop.order"
STREAM = "tdg:{shop.order}:tasks"
DEAD = "tdg:{shop.order}:dead"


class Bench:
    """Makes brokers for one test and one server, and closes them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[Callable[[], object]] = []
        self._link: RedisLink | None = None

    def broker(self, settings: str = "") -> RedisBroker:
        """``settings``: what follows the ``?`` of the URL."""
        broker = RedisBroker(f"{self.url}?{settings}" if settings else self.url)
        self.closes(broker.close)
        return broker

    def ask(self, *command: str | bytes | int) -> Reply:
        """What the server answers, as the protocol has it; on a connection that is kept."""
        if self._link is None or self._link.broken:
            self._link = RedisLink(RedisSettings.parse(self.url), 5.0)
            self._link.open()
        return self._link.call(command, 5.0)

    def die_with(self, count: int, starts: int = 1) -> None:
        """A worker takes so many tasks and is never heard of again; each has been started so often."""
        dead = "host-1-dead"
        reply = self.ask("XREADGROUP", "GROUP", "workers", dead, "COUNT", count, "STREAMS", STREAM, ">")
        for entry in whole(whole(whole(reply)[0])[1]):
            id = whole(entry)[0]
            assert isinstance(id, bytes)
            for _ in range(starts - 1):
                self.ask("XCLAIM", STREAM, "workers", dead, 0, id)

    def pending(self) -> list[tuple[bytes, int]]:
        """Owner and count of deliveries of each task that is out."""
        entries = [whole(each) for each in whole(self.ask("XPENDING", STREAM, "workers", "-", "+", 100))]
        return [(cast("bytes", owner), cast("int", times)) for _, owner, _, times in entries]

    def all_keys(self) -> set[str]:
        return {key.decode() for key in whole(self.ask("KEYS", "*")) if isinstance(key, bytes)}

    def closes(self, close: Callable[[], object]) -> None:
        self._made.append(close)

    def close(self) -> None:
        for close in reversed(self._made):
            close()
        if self._link is not None:
            self._link.close()


def parcel(id: str = "", body: bytes | None = None, name: str = NAME, reply_to: str = "") -> Parcel:
    """A task; its frame is a real one unless the body is given."""
    id = id or uuid.uuid4().hex
    return Parcel(Meta(name, id, reply_to), frame(id, name) if body is None else body)


def frame(id: str, name: str = NAME) -> bytes:
    return frame_bytes(id, name, b'{"O":{"IR":false,"MP":false},"A":[]}')


def send(broker: RedisBroker, *parcels: Parcel) -> None:
    broker.send(parcels).wait()


def take(listener: Listener, count: int = 1, seconds: float = 10.0) -> Sequence[Delivery]:
    """Exactly so many."""
    deadline = Deadline(seconds)
    taken: list[Delivery] = []
    while len(taken) < count and not deadline.passed:
        taken += listener.take(count - len(taken), deadline.left)
    assert len(taken) == count, f"expected {count} tasks within {seconds} s, got {len(taken)}"
    return taken


def heard(source: EventSource | None) -> list[Event]:
    """Every event from now on."""
    events: list[Event] = []
    assert source is not None
    source.subscribe(events.append)
    return events


def wait_for(events: list[Event], part: str, seconds: float = 10.0) -> Event:
    """The first event whose message has this in it."""
    eventually(lambda: any(part in event.message for event in events), f"an event says {part!r}", seconds)
    return next(event for event in events if part in event.message)
