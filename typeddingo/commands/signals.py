"""Signals as something to read. Comes from the worker command's main threads; nothing else of this package sets one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Protocol, Self

__all__ = ["ENDING", "Readable", "Signals", "wait_readable"]

ENDING = (signal.SIGTERM, signal.SIGINT)
"""What a process is asked to end with."""


class Readable(Protocol):
    """A file descriptor, or an object that has one."""

    def fileno(self) -> int: ...


class Signals:
    """While it is entered, these signals do nothing but arrive here, in order, also where the process was begun with
    them blocked. For the main thread only.

    A handler that did the work itself would run between any two instructions of the main thread, inside any lock.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)  # set_wakeup_fd wants it so
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers = [(number, signal.signal(number, _nothing)) for number in self._numbers]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._before)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable when one has come."""
        return self._read

    def take(self) -> list[int]:
        """Those that have come since the last time."""
        with contextlib.suppress(BlockingIOError):
            return [number for number in os.read(self._read, 4096) if number in self._numbers]
        return []


LONGEST = 2**31 - 1
"""Milliseconds that the system can wait."""


def wait_readable(sources: Sequence[Readable], timeout: float | None) -> None:
    """Until one of them has something to read, at most ``timeout`` seconds."""
    poll = select.poll()
    for source in sources:
        poll.register(source.fileno(), select.POLLIN)
    poll.poll(None if timeout is None else max(0, min(round(timeout * 1000 + 0.5), LONGEST)))


def _nothing(number: int, frame: FrameType | None) -> None:
    """Makes the signal arrive in the pipe instead of ending the process."""
