"""RabbitMQ by hand: what another program on the same server would see and do. Blocking pika, for tests only."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel

from typeddingo.broker import Delivery, Listener, Parcel
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.events import Event, EventCode, EventSource
from typeddingo.message import Meta
from typeddingo.testing import eventually

__all__ = ["KICK_ALL", "await_urgent", "by_hand", "codes", "count", "die_with", "get", "heard", "send", "take"]

KICK_ALL = '[rabbit_networking:close_connection(P, "test") || P <- rabbit_networking:connections()], ok.'
"""For ``RabbitServer.eval``: the server ends every connection."""


@contextmanager
def by_hand(url: str) -> Generator[BlockingChannel]:
    """A channel of somebody else's connection; ending it returns what was not acknowledged."""
    connection = pika.BlockingConnection(pika.URLParameters(url.partition("?")[0]))
    try:
        yield connection.channel()
    finally:
        connection.close()


def get(channel: BlockingChannel, queue: str) -> tuple[int, pika.BasicProperties, bytes]:
    """The oldest message, unacknowledged: its tag, what is beside it, and its body."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        method, properties, body = channel.basic_get(queue)
        if method is not None and properties is not None and body is not None:
            return method.delivery_tag, properties, body
        time.sleep(0.01)
    raise AssertionError(f"nothing arrived in {queue}")


def count(url: str, queue: str) -> int:
    """Messages that wait in a queue."""
    with by_hand(url) as channel:
        return channel.queue_declare(queue, passive=True).method.message_count


def die_with(url: str, queue: str) -> None:
    """A worker takes the oldest message and dies with it."""
    with by_hand(url) as channel:
        get(channel, queue)


def heard(source: EventSource) -> list[Event]:
    """Everything that is published from now on."""
    events: list[Event] = []
    source.subscribe(events.append)
    return events


def codes(events: Sequence[Event], code: EventCode) -> list[str]:
    return [event.message for event in events if event.code is code]


def send(broker: AmqpBroker, name: str, *bodies: bytes) -> None:
    """One confirmed batch; the body is the id too."""
    broker.send([Parcel(Meta(name, body.decode()), body) for body in bodies]).wait(10)


def take(listener: Listener, count: int = 1, timeout: float = 10.0) -> list[Delivery]:
    taken: list[Delivery] = []
    deadline = time.monotonic() + timeout
    while len(taken) < count and (left := deadline - time.monotonic()) > 0:
        taken += listener.take(count - len(taken), left)
    assert len(taken) == count, f"expected {count} deliveries, got {len(taken)}"
    return taken


def await_urgent(broker: AmqpBroker, count: int) -> None:
    """So many urgent tasks have reached the listeners of this broker."""

    def has_arrived() -> bool:
        shelves = [listener._intake.shelf for listener in broker._listeners]  # pyright: ignore[reportPrivateUsage]  # nobody else can see it
        return count == sum(len(shelf._urgent.heap) for shelf in shelves)  # pyright: ignore[reportPrivateUsage]  # nobody else can see it

    eventually(has_arrived, "urgent tasks are here")
