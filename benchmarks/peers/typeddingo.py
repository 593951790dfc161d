# pyright: basic
"""typeddingo with its defaults: at least once, every send confirmed, every value checked on both sides."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import tasks
from benchmarks.peers.driver import WAIT, Driver, Rows
from benchmarks.peers.settings import BIN, CONCURRENCY, URL, on_redis
from typeddingo import App

app = App(URL)
TASKS: dict[str, Any] = {name: app.register(name, getattr(tasks, name)) for name in tasks.__all__}


class Peer(Driver):
    packages = ("typeddingo", "redis" if on_redis() else "pika")
    settings = "typeddingo worker, 1 process, 4 threads a task, JSON, acknowledged late; many: app.batch()"
    asyncio = True

    def worker(self) -> list[str]:
        more = ["--concurrency", str(CONCURRENCY)] if CONCURRENCY else []
        app = "benchmarks.peers.typeddingo:app"
        return [str(BIN / "typeddingo"), "worker", app, "--log-level", "warning", *more]

    def order(self, order: Any) -> Any:
        return order

    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        return TASKS[task].call(*args)

    def send_many(self, task: str, rows: Rows) -> list[Any]:
        call = TASKS[task].call
        with app.batch():
            return [call(*row) for row in rows]

    def forget(self, task: str, rows: Rows) -> None:
        call = TASKS[task].with_options(ignore_report=True).call
        with app.batch():
            for row in rows:
                call(*row)

    def wait(self, handle: Any) -> Any:
        return handle.get(WAIT)

    async def round_trip(self, task: str, row: tuple[Any, ...]) -> Any:
        return await (await TASKS[task].call_async(*row))

    def close(self) -> None:
        app.close()
