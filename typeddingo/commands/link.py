"""What connects a worker process with its supervisor. Comes from ``supervisor``, which starts it; goes to ``child``.

The process says that it is ready and which files it was made from; the supervisor says nothing: when its end closes,
it is gone, and the process ends too.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

__all__ = ["FarEnd", "Job", "NearEnd"]


class Job(NamedTuple):
    """What one worker process is to do."""

    where: str
    tasks: tuple[str, ...] = ()
    """Empty: all of them."""
    queues: tuple[str, ...] = ()
    """The labels of the tasks to run. Empty: any."""
    concurrency: int | None = None
    """Workers a task; None: what the task says, else the app."""
    processes: int = 1
    """How many there are; for the announcement."""
    deadline: float = 10.0
    connect_deadline: float = 30.0
    log_format: str = "text"
    log_level: str = "info"
    announce: bool = True
    watch: bool = False
    """Tell which files the app was made from."""


class NearEnd:
    """The supervisor's end."""

    def __init__(self, sock: socket.socket) -> None:
        self.ready: bool = False
        """Its workers have started."""
        self.files: set[str] = set()
        """What the app was made from."""
        self._sock = sock
        self._rest = b""

    def fileno(self) -> int:
        return self._sock.fileno()

    def read(self) -> bool:
        """Take in all that has been said. False once the process has closed its end."""
        rest, is_open = self._rest, True
        with contextlib.suppress(BlockingIOError):
            while data := _some(self._sock):
                rest += data
            is_open = False
        *lines, self._rest = rest.split(b"\n")
        for line in lines:
            said = cast("dict[str, Any]", json.loads(line))
            self.ready = self.ready or "ready" in said
            self.files.update(said.get("files", ()))
        return is_open

    def close(self) -> None:
        self._sock.close()


class FarEnd:
    """The worker process's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._files: set[str] = set()

    def fileno(self) -> int:
        return self._sock.fileno()

    def say_ready(self) -> None:
        """The workers have started."""
        self._say({"ready": True})

    def say_files(self, files: Iterable[str]) -> None:
        """What the app was made from; said once."""
        if new := set(files) - self._files:
            self._files |= new
            self._say({"files": sorted(new)})

    def is_cut(self) -> bool:
        """The supervisor is gone."""
        try:
            return self._sock.recv(1, socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self._sock.close()

    def _say(self, what: object) -> None:
        with contextlib.suppress(OSError):  # gone: is_cut will tell
            self._sock.sendall(json.dumps(what).encode() + b"\n")


def _some(sock: socket.socket) -> bytes:
    """What there is; nothing at the end, however the other side came to it. Raises ``BlockingIOError``."""
    try:
        return sock.recv(65536)
    except ConnectionError:
        return b""
