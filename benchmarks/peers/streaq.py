# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""streaQ: https://streaq.readthedocs.io; its batch call for many."""

from __future__ import annotations

import asyncio
from typing import Any

from coredis import ConnectionPool
from streaq import Worker

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, AsyncDriver, Rows
from benchmarks.peers.orders import Order
from benchmarks.peers.settings import BIN, CONCURRENCY, URL

# Each wait for a result takes a connection; with more of them than its pool has by default, none ever ends.
pool: Any = ConnectionPool.from_url(URL, decode_responses=True, max_connections=400)
worker: Any = Worker(redis_pool=pool, concurrency=CONCURRENCY or 16)


@worker.task
async def add(a: int, b: int) -> int:
    return tasks.add(a, b)


@worker.task
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@worker.task
async def price(order: Order) -> str:
    return tasks.price(order)


TASKS: dict[str, Any] = {"add": add, "nap": nap, "price": price}


class Peer(AsyncDriver):
    packages = ("streaq", "coredis")
    settings = "1 process, 16 coroutines, pickle, late; many: enqueue_many"
    waiting = 200

    def worker(self) -> list[str]:
        return [str(BIN / "streaq"), "run", "benchmarks.peers.streaq:worker"]

    async def open(self) -> None:
        await worker.__aenter__()

    def order(self, order: Any) -> Any:
        return order

    async def post(self, task: str, args: tuple[Any, ...]) -> Any:
        return await TASKS[task].enqueue(*args)

    async def post_many(self, task: str, rows: Rows) -> list[Any]:
        sent = [TASKS[task].enqueue(*row) for row in rows]
        await worker.enqueue_many(sent)
        return sent

    async def receive(self, handle: Any) -> Any:
        return (await handle.result(WAIT)).result
