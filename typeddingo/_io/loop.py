"""The one event loop on which an app's ``async def`` tasks run. Started on first need, ended by its owner."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from typeddingo._io.threads import Deadline, Threads

__all__ = ["LoopThread"]

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
        """Cancel what still runs and end the thread. Idempotent, from any thread; does not wait."""
        with self._lock:
            self._stopped = True
            loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(loop.stop)
            except RuntimeError:
                return

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(_cancel_all(loop))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    deadline = Deadline(_CANCEL_SECONDS)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=deadline.left)
