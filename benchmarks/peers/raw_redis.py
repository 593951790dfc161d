# pyright: basic
"""The raw client of Redis: bytes on two lists, nothing kept, nothing checked. What all ratios on Redis are against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from benchmarks.peers.driver import WAIT, Driver, Rows
from benchmarks.peers.settings import BIN, URL

BODY = b"x" * 100
TASKS = {"add": BODY, "price": b"x" * 1_000}


class Peer(Driver):
    packages = ("redis",)
    settings = "RPUSH and BLMPOP of 100-byte bodies, both sides in pipelines of 100; bulk: variadic RPUSH of 100"
    threads = False

    def __init__(self) -> None:
        self.client = redis.Redis.from_url(URL)
        self.sent = 0
        self.replies: list[bytes] = []

    def worker(self) -> list[str]:
        return [str(BIN / "python"), "-m", "benchmarks.peers.raw_redis"]

    def row(self, task: str) -> tuple[Any, ...]:
        return ()

    def send(self, task: str, args: tuple[Any, ...]) -> int:
        self.client.rpush("in", TASKS[task])
        self.sent += 1
        return self.sent - 1

    def send_many(self, task: str, rows: Rows) -> list[int]:
        body, count = TASKS[task], len(rows)
        if count > 1_000:  # the bulk workload: nothing is faster than one command with many values
            for start in range(0, count, 100):
                self.client.rpush("in", *[body] * min(100, count - start))
        else:
            for start in range(0, count, 100):
                pipe = self.client.pipeline(transaction=False)
                for _ in range(min(100, count - start)):
                    pipe.rpush("in", body)
                pipe.execute()
        self.sent += count
        return list(range(self.sent - count, self.sent))

    def wait(self, handle: int) -> bytes:
        while len(self.replies) <= handle:
            popped: Any = self.client.blmpop(WAIT, 1, "out", direction="LEFT", count=100)
            self.replies += popped[1]
        return self.replies[handle]

    def wait_many(self, handles: Sequence[int]) -> list[bytes]:
        if handles:
            self.wait(max(handles))
        return [self.wait(handle) for handle in handles]


def echo() -> None:
    """The worker."""
    client = redis.Redis.from_url(URL)
    while True:
        popped: Any = client.blmpop(0, 1, "in", direction="LEFT", count=100)
        pipe = client.pipeline(transaction=False)
        for body in popped[1]:
            pipe.rpush("out", body)
        pipe.execute()


if __name__ == "__main__":
    echo()
