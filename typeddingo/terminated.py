"""A worker in a program of the user's own ends in peace when the system tells it to. Comes from ``App.run_worker``."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Generator

__all__ = ["exits_when_terminated"]


@contextlib.contextmanager
def exits_when_terminated() -> Generator[None]:
    """SIGTERM ends the block as ``SystemExit``; a second one kills. Only in the main thread, and where nobody else has
    said what it does."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is leave:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
