# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Huey: https://huey.readthedocs.io/en/latest/consumer.html; asked to notify about results, its fastest way."""

from __future__ import annotations

from typing import Any

from huey import RedisHuey
from redis import ConnectionPool

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, Driver
from benchmarks.peers.settings import BIN, CONCURRENCY, URL

# A result is waited for in one command; redis-py would give up after 5 seconds.
pool = ConnectionPool.from_url(URL, socket_timeout=None)
huey = RedisHuey("benchmark", connection_pool=pool, notify_result=True)
TASKS: dict[str, Any] = {name: huey.task(name=name)(getattr(tasks, name)) for name in tasks.__all__}


class Peer(Driver):
    packages = ("huey", "redis")
    settings = "2 threads, pickle, at most once (its only way), notify_result"

    def worker(self) -> list[str]:
        return [str(BIN / "huey_consumer"), "benchmarks.peers.huey.huey", "-w", str(CONCURRENCY or 2), "-S", "-q"]

    def order(self, order: Any) -> Any:
        return order

    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        return TASKS[task](*args)

    def wait(self, handle: Any) -> Any:
        return handle.get(blocking=True, timeout=WAIT)
