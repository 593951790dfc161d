# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportAttributeAccessIssue=false
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""RQ: https://python-rq.org/docs/workers/; its SimpleWorker, which does not fork for each job, in a pool of two."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, Driver, Rows
from benchmarks.peers.settings import BIN, CONCURRENCY, URL

# A result is waited for in one command; redis-py would give up after 5 seconds.
queue = Queue("benchmark", connection=Redis.from_url(URL, socket_timeout=None))


class Peer(Driver):
    packages = ("rq", "redis")
    settings = "worker-pool of 2 SimpleWorkers, pickle, late"

    def worker(self) -> list[str]:
        pool = ["worker-pool", "benchmark", "--num-workers", str(CONCURRENCY or 2)]
        return [str(BIN / "rq"), *pool, "--worker-class", "rq.SimpleWorker", "--url", URL, "--logging-level", "WARNING"]

    def order(self, order: Any) -> Any:
        return order

    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        return queue.enqueue(getattr(tasks, task), *args)

    def send_many(self, task: str, rows: Rows) -> list[Any]:
        return list(queue.enqueue_many([Queue.prepare_data(getattr(tasks, task), args=row) for row in rows]))

    def wait(self, handle: Any) -> Any:
        return handle.latest_result(timeout=int(WAIT)).return_value
