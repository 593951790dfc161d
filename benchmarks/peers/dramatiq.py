# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Dramatiq: https://dramatiq.io/guide.html; results are in Redis whatever carries the tasks: it has no other."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, Driver
from benchmarks.peers.orders import Order
from benchmarks.peers.settings import BIN, CONCURRENCY, REDIS, URL, on_redis

broker: Any
if on_redis():
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=URL)
else:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    broker = RabbitmqBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=REDIS)))
dramatiq.set_broker(broker)


def price(order: dict[str, Any]) -> str:
    return tasks.price(Order.model_validate(order))


TASKS: dict[str, Any] = {
    name: dramatiq.actor(fn, actor_name=name, store_results=True)
    for name, fn in {"add": tasks.add, "nap": tasks.nap, "price": price}.items()
}


class Peer(Driver):
    packages = ("dramatiq", "redis") if on_redis() else ("dramatiq", "pika")
    settings = "a process a core with 8 threads each, JSON, acknowledged late, no confirms, results in Redis"

    def worker(self) -> list[str]:
        # W7 counts slots: one process, so that no other one has fetched what a free slot here could run
        more = ["--processes", "1", "--threads", str(CONCURRENCY)] if CONCURRENCY else []
        return [str(BIN / "dramatiq"), "benchmarks.peers.dramatiq", "--skip-logging", *more]

    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        return TASKS[task].send(*args)

    def wait(self, handle: Any) -> Any:
        return handle.get_result(block=True, timeout=int(WAIT * 1000))
