"""The one event loop on which an app's ``async def`` tasks run. Started on first need, ended by its owner."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from typeddingo._io.threads import Deadline, Threads

__all__ = ["LoopThread", "current_coroutine"]

current_coroutine: ContextVar[asyncio.Task[Any]] = ContextVar("typeddingo_coroutine")
"""The task coroutine that runs here, or that started the thread which runs here."""

_CANCEL_SECONDS = 1.0
"""What cancelled coroutines get to clean up."""


class LoopThread:
    """Thread-safe. ``call`` starts the thread when there is none yet."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._spared: asyncio.Task[Any] | None = None

    @property
    def is_current(self) -> bool:
        """The caller runs on the loop."""
        return threading.current_thread() is self._thread

    def call(self, callback: Callable[[], object]) -> bool:
        """Run ``callback`` on the loop, soon; False once it is stopped: the callback will not run."""
        loop = self._loop
        if loop is None:
            with self._lock:
                if self._stopped:
                    return False
                if (loop := self._loop) is None:
                    loop = self._loop = asyncio.new_event_loop()
                    self._thread = self._threads.start("loop", self._run)
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def stop(self) -> None:
        """Cancel what runs, but for the coroutine that calls this, and end the thread after it. Idempotent; does not
        wait, from any thread."""
        with self._lock:
            self._stopped = True
            loop, self._spared = self._loop, current_coroutine.get(None)
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: loop.create_task(self._end(loop)))

    def join(self, deadline: Deadline) -> None:
        """After ``stop``: wait for the end of the thread, unless one of its own coroutines asks."""
        if self._spared is None:
            self._threads.join(deadline)

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        others = asyncio.all_tasks(loop) - {asyncio.current_task(), self._spared}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_CANCEL_SECONDS)
        if self._spared is not None and self._spared.get_loop() is loop:
            await asyncio.wait([self._spared])
        loop.stop()

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
