"""The reports of one task as a stream. Comes from ``Result.reports``, read in ``for`` or ``async for``."""

from __future__ import annotations

import threading
from _thread import allocate_lock
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

from typeddingo._io.wakeups import new_wakeup, wake
from typeddingo.errors import ResultTimeout
from typeddingo.message import Report

__all__ = ["Reports", "Watcher"]

Watcher = Callable[[], object]
"""Told that more has arrived; called once, by the thread that brings it, and must not block."""

R_co = TypeVar("R_co", covariant=True)


class Reports(Iterator[Report[R_co]], AsyncIterator[Report[R_co]], Generic[R_co]):
    """Every report of one task, those that came before included; ends after the final one.

    Each stream has a position of its own and belongs to one thread or coroutine. When the reports end without a final
    one, what ``Result.get`` would raise is raised. ``timeout`` is what one step may wait, in seconds.
    """

    __slots__ = ("_index", "_peek", "_timeout", "_unwatch", "_watch")

    def __init__(
        self,
        peek: Callable[[int], Report[R_co] | None],
        watch: Callable[[int, Watcher], bool],
        unwatch: Callable[[Watcher], None],
        timeout: float | None,
    ) -> None:
        self._peek = peek
        """The report at an index; None when it has not arrived, ``IndexError`` after the final one."""
        self._watch = watch
        """Call a watcher once when the report at an index has arrived; False when that is so already."""
        self._unwatch = unwatch
        self._timeout = timeout
        self._index = 0

    def __iter__(self) -> Reports[R_co]:
        return self

    def __aiter__(self) -> Reports[R_co]:
        return self

    def __next__(self) -> Report[R_co]:
        """The next report, waited for. Raises ``ResultTimeout``."""
        while True:
            try:
                report = self._peek(self._index)
            except IndexError:
                raise StopIteration from None
            if report is not None:
                self._index += 1
                return report
            self._wait()

    async def __anext__(self) -> Report[R_co]:
        """The next report, awaited. Raises ``ResultTimeout``."""
        while True:
            try:
                report = self._peek(self._index)
            except IndexError:
                raise StopAsyncIteration from None
            if report is not None:
                self._index += 1
                return report
            await self._wait_async()

    def _wait(self) -> None:
        latch = allocate_lock()
        latch.acquire()
        if not self._watch(self._index, latch.release):
            return
        try:
            if not latch.acquire(
                timeout=-1 if self._timeout is None else min(max(0.0, self._timeout), threading.TIMEOUT_MAX)
            ):
                raise ResultTimeout(f"no report came in {self._timeout:g} s; the task may still run: wait again")
        finally:
            self._unwatch(latch.release)

    async def _wait_async(self) -> None:
        import asyncio

        sleeper = new_wakeup()

        def watcher() -> object:
            return wake(sleeper)

        if not self._watch(self._index, watcher):
            return
        try:
            async with asyncio.timeout(self._timeout):
                await sleeper
        except TimeoutError:
            raise ResultTimeout(f"no report came in {self._timeout:g} s; the task may still run: wait again") from None
        finally:
            self._unwatch(watcher)
