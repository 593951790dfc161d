# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Celery, prefork pool: https://docs.celeryq.dev/en/stable/userguide/workers.html."""

from __future__ import annotations

from typing import Any

from celery import Celery

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, Driver
from benchmarks.peers.orders import Order
from benchmarks.peers.settings import BIN, CONCURRENCY, REDIS, URL, on_redis

app = Celery(
    "benchmark", broker=URL, backend=REDIS if on_redis() else "rpc://", broker_connection_retry_on_startup=True
)


def price(order: Order) -> str:
    return tasks.price(order)


TASKS: dict[str, Any] = {name: app.task(getattr(tasks, name), name=name) for name in ("add", "nap")}
TASKS["price"] = app.task(price, name="price", pydantic=True)


class Peer(Driver):
    packages = ("celery", "kombu")
    settings = "prefork pool, a process a core, JSON, acknowledged early (its default), results in Redis / rpc://"

    def worker(self) -> list[str]:
        more = ["--concurrency", str(CONCURRENCY)] if CONCURRENCY else []
        return [str(BIN / "celery"), "-A", "benchmarks.peers.celery", "worker", "--loglevel", "WARNING", *more]

    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        return TASKS[task].delay(*args)

    def forget(self, task: str, rows: Any) -> None:
        for row in rows:
            TASKS[task].apply_async(row, ignore_result=True)

    def wait(self, handle: Any) -> Any:
        return handle.get(timeout=WAIT)
