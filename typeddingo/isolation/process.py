"""One child process, seen by the worker that owns it. Comes from a ``Seat``, goes to ``commands.isolated``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

from typeddingo._io.threads import Deadline
from typeddingo.isolation.frames import Channel, Frame
from typeddingo.isolation.job import BOOTSTRAP, Job

__all__ = ["Child"]

END_SECONDS = 5.0
"""For a child that was asked to end; then it is killed."""


class Child:
    """Alive until ``reap``. Two sockets lead to it: one to talk, and one that only tells it, by its end, that the
    worker is gone. The system sees to the second, so it also ends a child that never looks."""

    def __init__(self, job: Job) -> None:
        """Starts it; does not wait for it. Raises ``OSError`` when the system has no room for it."""
        near, far = socket.socketpair()
        try:
            line, line_far = socket.socketpair()
        except OSError:
            near.close()
            far.close()
            raise
        try:
            told = job.to_json(far.fileno(), line_far.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", BOOTSTRAP, told],
                stdin=subprocess.DEVNULL,
                pass_fds=(far.fileno(), line_far.fileno()),
                process_group=0,  # Ctrl-C is the worker's business; what the task starts can be killed with it
            )
        except BaseException:
            near.close()
            line.close()
            raise
        finally:
            far.close()
            line_far.close()
        self.channel: Channel = Channel(near)
        self._line = line

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, frame: Frame) -> None:
        """See ``Channel``."""
        self.channel.send(frame)

    def kill(self) -> None:
        """It, and what it has started. From any thread, but never after ``reap``: the number may be another's then."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has died already
            os.killpg(self._process.pid, signal.SIGKILL)

    def ask_to_end(self) -> None:
        """It ends when it has run what it runs."""
        self.channel.end()

    def reap(self, deadline: Deadline) -> str:
        """Wait until it has ended; kill it when the deadline passes. Says how it ended. Nothing of it is left."""
        try:
            self._process.wait(deadline.left)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self.let_go()
        return _told(self._process.returncode)

    def let_go(self) -> None:
        """Close the sockets, and touch nothing else: also for a fork of the worker, whose copies they are."""
        self.channel.close()
        self._line.close()


def _told(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"
