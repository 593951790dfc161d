"""A worker process, as its supervisor sees it. Comes from ``supervisor``.

It begins as a copy of the supervisor, which is small: what both need is loaded and held in memory once. Nothing of the
user's is loaded by then, and there is one thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Self, cast

from typeddingo.commands.signals import ENDING

__all__ = ["Process"]


class Process:
    """It leads a group: Ctrl-C is the supervisor's to pass on, and programs that tasks have started end with it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    @classmethod
    def begin(cls) -> Self | None:
        """None: we are the new one. Signals to end it wait until it listens (``Signals``). Raises ``OSError``."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with contextlib.suppress(OSError):  # both say so, because either may be the first to need it
            os.setpgid(pid, pid)
        if pid != 0:
            return cls(pid)
        _read_nothing()
        return None

    def poll(self) -> int | None:
        """Its exit code, negative for the signal that killed it; None: it runs."""
        return self._wait(os.WNOHANG)

    def ask_to_end(self) -> None:
        """Idempotent."""
        if self._code is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """With all of its group; returns when it has ended. Idempotent."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._wait(0)

    def _wait(self, how: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def _read_nothing() -> None:
    """The terminal is the supervisor's. Never raises: it would go on as a second supervisor."""
    if cast("object", sys.stdin) is None:  # closed from the start: the number may be something else's by now
        return
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
