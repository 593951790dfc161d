"""What a private server can be made to suffer. Comes from ``RedisServer`` and ``RabbitServer``, goes to its process."""

from __future__ import annotations

import abc
import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Self

from tests.servers.process import Process


class Server(abc.ABC):
    """In a directory of its own, which goes with it. The port stays the same over a restart."""

    name: str
    """Its program."""
    patience: float = 20.0
    """Seconds it gets to end in peace."""
    port: int
    _process: Process

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or Path(tempfile.mkdtemp(prefix=f"tdg-{self.name}-"))
        self._directory.mkdir(exist_ok=True)
        atexit.register(self.close)

    @abc.abstractmethod
    def _start(self) -> bool:
        """Start the process and wait until it serves. False: it has ended instead."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        self._process.stop(timeout=self.patience)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()

    def start(self) -> None:
        """After ``stop()`` or ``kill()``, on the same port and with what is on disk."""
        if self._process.running:
            raise RuntimeError(f"{self.name}: it runs already")
        if not self._start():
            raise AssertionError(f"{self.name} does not start again\n{self._process.log()}")

    def restart(self) -> None:
        """In peace: ``stop()`` and ``start()``."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nothing answers."""
        self._process.freeze()

    def thaw(self) -> None:
        self._process.thaw()

    def log(self) -> str:
        """What it has printed."""
        return self._process.log()

    def close(self) -> None:
        """End it and remove its directory. Idempotent."""
        atexit.unregister(self.close)
        self._process.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
