"""A private Redis. Comes from the fixtures and from fault tests, which may kill, freeze and restart it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import quote

import redis

from tests.servers.ports import free_port
from tests.servers.process import Process, find
from tests.servers.server import Server

START = 20.0
"""Seconds: it takes 0.1 of them on a machine that has nothing else to do."""


class RedisServer(Server):
    """Started by its constructor, on a port and in a directory of its own; ``port`` stays the same over a restart.

    ``aof``: every write is on disk before it is answered, so that not even ``kill()`` loses one. ``options`` go to its
    command line, for example ``"--maxmemory", "50mb"``. Raises ``Missing`` when Redis is not installed.
    """

    name = "redis-server"

    def __init__(
        self, *options: str, aof: bool = False, password: str | None = None, directory: Path | None = None
    ) -> None:
        self._program = find(self.name)
        super().__init__(directory)
        self._options = [*options, *(("--requirepass", password) if password else ())]
        self._options += ["--appendonly", "yes", "--appendfsync", "always"] if aof else ["--appendonly", "no"]
        self.password = password
        for _ in range(10):
            self.port = free_port()
            if self._start():
                return
        raise AssertionError(f"redis-server does not start\n{self._process.log()}")

    def url(self, db: int = 0) -> str:
        """``redis://…``, with the password if there is one."""
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/{db}"

    def client(self, db: int = 0) -> redis.Redis:
        """A client that gives up after 10 seconds. The caller closes it."""
        return redis.Redis(host="127.0.0.1", port=self.port, db=db, password=self.password, socket_timeout=10)

    def ask(self, *command: str | bytes | int, db: int = 0) -> object:
        """What it answers to one command, on a connection of its own."""
        with self.client(db) as client:
            untyped = cast("object", client.execute_command)  # pyright: ignore[reportUnknownMemberType]  # redis' own
            return cast("Callable[..., object]", untyped)(*command)

    def info(self, what: str) -> int:
        """One number of what it says of itself, for example ``used_memory``."""
        return int(cast("dict[str, int]", self.ask("INFO"))[what])

    def _start(self) -> bool:
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory), "--save", ""]
        self._process = Process(
            [self._program, *place, "--databases", "1024", *self._options],
            cwd=self._directory,
            log=self._directory / "log",
        )
        return self._process.wait_ready(self._answers, START)

    def _answers(self) -> bool:
        """And is no stranger's: the process id is asked for."""
        secret = f"AUTH {self.password}\r\n" if self.password else ""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
                link.sendall(f"{secret}INFO server\r\n".encode())
                return f"process_id:{self.pid}\r\n".encode() in link.recv(65536)
        except OSError:
            return False
