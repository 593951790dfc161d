# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""taskiq: https://taskiq-python.github.io/; RedisStreamBroker (it acknowledges) or AioPikaBroker, results in Redis."""

from __future__ import annotations

import asyncio
from typing import Any

from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, AsyncDriver
from benchmarks.peers.orders import Order
from benchmarks.peers.settings import BIN, CONCURRENCY, REDIS, URL, on_redis

results: Any = RedisAsyncResultBackend(REDIS)
broker: Any = RedisStreamBroker(URL) if on_redis() else AioPikaBroker(URL)
broker = broker.with_result_backend(results)


@broker.task
async def add(a: int, b: int) -> int:
    return tasks.add(a, b)


@broker.task
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@broker.task
async def price(order: Order) -> str:
    return tasks.price(order)


TASKS: dict[str, Any] = {"add": add, "nap": nap, "price": price}
LOOK = 0.005
"""Seconds between two looks for a result; its own default of 0.2 would make every latency one of 200 ms."""


class Peer(AsyncDriver):
    packages = ("taskiq", "taskiq-redis") if on_redis() else ("taskiq", "taskiq-aio-pika")
    settings = "2 processes, 100 coroutines each, JSON, acknowledged late, results in Redis, looked for every 5 ms"

    def worker(self) -> list[str]:
        # W7 counts slots: one process, so that no other one has fetched what a free slot here could run
        more = ["--workers", "1", "--max-async-tasks", str(CONCURRENCY)] if CONCURRENCY else []
        return [str(BIN / "taskiq"), "worker", "benchmarks.peers.taskiq:broker", "--log-level", "WARNING", *more]

    async def open(self) -> None:
        await broker.startup()

    def order(self, order: Any) -> Any:
        return order

    async def post(self, task: str, args: tuple[Any, ...]) -> Any:
        return await TASKS[task].kiq(*args)

    async def receive(self, handle: Any) -> Any:
        return (await handle.wait_result(check_interval=LOOK, timeout=WAIT)).return_value

    async def end(self) -> None:
        await broker.shutdown()
