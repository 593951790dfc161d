# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""SAQ: https://saq-py.readthedocs.io; tasks are coroutines that take a context and keywords."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from saq import Queue

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, AsyncDriver
from benchmarks.peers.orders import Order
from benchmarks.peers.settings import BIN, CONCURRENCY, URL

queue = Queue.from_url(URL)


async def add(ctx: Any, *, a: int, b: int) -> int:
    return tasks.add(a, b)


async def nap(ctx: Any, *, seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def price(ctx: Any, *, order: dict[str, Any]) -> str:
    return tasks.price(Order.model_validate(order))


NAMES = {"add": ("a", "b"), "nap": ("seconds",), "price": ("order",)}
LOOK = 0.1
"""Seconds until it is asked again."""
settings = {"queue": queue, "functions": [add, nap, price], "concurrency": CONCURRENCY or 10}


class Peer(AsyncDriver):
    packages = ("saq", "redis")
    settings = "1 process, 10 coroutines, JSON, acknowledged late, asked again every 100 ms"

    def worker(self) -> list[str]:
        return [str(BIN / "saq"), "benchmarks.peers.saq.settings", "--quiet"]

    async def open(self) -> None:
        await queue.connect()
        # A worker that starts aborts every job that it has fetched and not yet begun ("swept"), unless another one has
        # swept in the last minute: pretend so.
        await queue.redis.set(queue.namespace("sweep"), 1, ex=60)

    async def post(self, task: str, args: tuple[Any, ...]) -> Any:
        return await queue.enqueue(task, **dict(zip(NAMES[task], args, strict=True)))

    async def receive(self, handle: Any) -> Any:
        for _ in range(int(WAIT / LOOK)):
            with contextlib.suppress(TimeoutError):  # what ends between its look and its subscription is not told
                await handle.refresh(until_complete=LOOK)
            if handle.completed:
                if handle.error is not None:
                    raise RuntimeError(handle.error)
                return handle.result
        raise TimeoutError
