"""What a system looks like to the workloads. Comes from ``workloads``, goes to one of the files beside this one.

A handle is whatever the system returns for a sent task; only the driver that made it looks into it.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar

__all__ = ["AsyncDriver", "Driver", "Rows"]

Rows = Sequence[tuple[Any, ...]]
"""The arguments of many calls of one task."""
WAIT = 60.0
"""Seconds after which a result counts as lost."""


class Driver(abc.ABC):
    """One system on one server, as a caller uses it in its own normal way."""

    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions belong to every figure."""
    settings: ClassVar[str]
    """How caller and worker are set up, in a few words."""
    threads: ClassVar[bool] = True
    """It may be called from many threads (W6)."""
    asyncio: ClassVar[bool] = False
    """It has an interface for asyncio (W6)."""

    @abc.abstractmethod
    def worker(self) -> list[str]:
        """The command that runs its tasks, as its documentation has it."""

    @abc.abstractmethod
    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        """One task; returns its handle when the system says that it is sent."""

    @abc.abstractmethod
    def wait(self, handle: Any) -> Any:
        """What the task returned."""

    def send_many(self, task: str, rows: Rows) -> list[Any]:
        """Many at once, where the system has a way to; handles in the same order."""
        return [self.send(task, row) for row in rows]

    def wait_many(self, handles: Sequence[Any]) -> list[Any]:
        return [self.wait(handle) for handle in handles]

    def forget(self, task: str, rows: Rows) -> None:
        """Send many tasks whose results nobody wants (W8)."""
        self.send_many(task, rows)

    def row(self, task: str) -> tuple[Any, ...]:
        """Arguments of this task, in the form that this system takes them."""
        if task == "price":
            from benchmarks.peers.orders import ORDER

            return (self.order(ORDER),)
        return (1, 2)

    def order(self, order: Any) -> Any:
        """An ``Order`` as this system's users send it: most take JSON."""
        return order.model_dump(mode="json")

    async def round_trip(self, task: str, row: tuple[Any, ...]) -> Any:
        """Of a caller that is a coroutine; only where ``asyncio`` is true."""
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        return asyncio.run(work)

    def close(self) -> None:  # noqa: B027  # most hold nothing that ends otherwise than with the process
        """Release what the system holds."""


class AsyncDriver(Driver):
    """A system for asyncio: its caller is one event loop."""

    threads = False
    asyncio = True
    together: ClassVar[int] = 100
    """Sends that are under way at a time."""
    waiting: ClassVar[int] = 1_000
    """Results that are waited for at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.run(self.open())

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abc.abstractmethod
    async def post(self, task: str, args: tuple[Any, ...]) -> Any:
        """As ``send``."""

    @abc.abstractmethod
    async def receive(self, handle: Any) -> Any:
        """As ``wait``."""

    async def post_many(self, task: str, rows: Rows) -> list[Any]:
        handles: list[Any] = []
        for start in range(0, len(rows), self.together):
            handles += await asyncio.gather(*(self.post(task, row) for row in rows[start : start + self.together]))
        return handles

    async def end(self) -> None:
        """Disconnect."""

    def send(self, task: str, args: tuple[Any, ...]) -> Any:
        return self.run(self.post(task, args))

    def send_many(self, task: str, rows: Rows) -> list[Any]:
        return list(self.run(self.post_many(task, rows)))

    def wait(self, handle: Any) -> Any:
        return self.run(self.receive(handle))

    def wait_many(self, handles: Sequence[Any]) -> list[Any]:
        async def all_of_them() -> list[Any]:
            values: list[Any] = []
            for start in range(0, len(handles), self.waiting):
                values += await asyncio.gather(*map(self.receive, handles[start : start + self.waiting]))
            return values

        return list(self.run(all_of_them()))

    async def round_trip(self, task: str, row: tuple[Any, ...]) -> Any:
        return await self.receive(await self.post(task, row))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.end())
