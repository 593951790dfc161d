"""Wakes coroutines from any thread. Comes from whoever ends a ``Result``, goes to the event loops that await it.

Waking a loop costs a system call, so a burst of wakeups for one loop shares one ``call_soon_threadsafe``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

from typeddingo._io.forking import hold_while_forking

if TYPE_CHECKING:
    import asyncio

__all__ = ["Wakeup", "new_wakeup", "wake"]

Wakeup: TypeAlias = "asyncio.Future[None]"
"""What a coroutine awaits; made on its own loop."""

_lock = threading.RLock()
"""Reentrant: a signal handler or a destructor may wake somebody in the middle of ``wake``."""
hold_while_forking(_lock)
DUE: dict[asyncio.AbstractEventLoop, list[Wakeup]] = {}
"""Only the loops that have been told to look, and until they have looked."""


def new_wakeup() -> Wakeup:
    """For the coroutine that calls. A program without coroutines never loads ``asyncio``."""
    import asyncio

    return asyncio.get_running_loop().create_future()


def wake(wakeup: Wakeup) -> bool:
    """Complete a wakeup on its own loop, soon. False when that loop is closed. Thread-safe, does not block."""
    loop = wakeup.get_loop()
    with _lock:
        if loop.is_closed():
            DUE.pop(loop, None)
            return False
        if (due := DUE.get(loop)) is not None:
            due.append(wakeup)
            return True
        for dead in [other for other in DUE if other.is_closed()]:
            del DUE[dead]
        DUE[loop] = [wakeup]
    try:
        loop.call_soon_threadsafe(_look, loop)
    except RuntimeError:  # closed since
        with _lock:
            DUE.pop(loop, None)
        return False
    return True


def _look(loop: asyncio.AbstractEventLoop) -> None:
    with _lock:
        due = DUE.pop(loop, [])
    for wakeup in due:
        if not wakeup.done():
            wakeup.set_result(None)
