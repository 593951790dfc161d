# pyright: basic
"""The raw client of RabbitMQ: pika's BlockingConnection on both sides, transient bodies, no confirms; the worker
acknowledges each. What all ratios on RabbitMQ are against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pika

from benchmarks.peers.driver import WAIT, Driver
from benchmarks.peers.settings import BIN, URL

BODY = b"x" * 100
TASKS = {"add": BODY, "price": b"x" * 1_000}


def connect() -> Any:
    channel = pika.BlockingConnection(pika.URLParameters(URL)).channel()
    for queue in ("in", "out"):
        channel.queue_declare(queue, durable=True)
    channel.basic_qos(prefetch_count=100)
    return channel


class Peer(Driver):
    packages = ("pika",)
    settings = "BlockingConnection, 100-byte transient bodies, durable classic queues, prefetch 100, no confirms"
    threads = False

    def __init__(self) -> None:
        self.channel = connect()
        self.replies: list[bytes] = []
        self.sent = 0
        self.incoming = self.channel.consume("out", auto_ack=True, inactivity_timeout=WAIT)

    def worker(self) -> list[str]:
        return [str(BIN / "python"), "-m", "benchmarks.peers.raw_pika"]

    def row(self, task: str) -> tuple[Any, ...]:
        return ()

    def send(self, task: str, args: tuple[Any, ...]) -> int:
        self.channel.basic_publish("", "in", TASKS[task])
        self.sent += 1
        return self.sent - 1

    def wait(self, handle: int) -> bytes:
        while len(self.replies) <= handle:
            self.replies.append(next(self.incoming)[2])
        return self.replies[handle]

    def wait_many(self, handles: Sequence[int]) -> list[bytes]:
        return [self.wait(handle) for handle in handles]


def echo() -> None:
    """The worker."""
    channel = connect()

    def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        channel.basic_publish("", "out", body)
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume("in", on_message)
    channel.start_consuming()


if __name__ == "__main__":
    echo()
