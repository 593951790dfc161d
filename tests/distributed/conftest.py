"""A worker process for each mixture of brokers and backends, and a caller's side for each test."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import pytest

from tests.distributed.program import Program
from tests.servers import RabbitServer, RedisServer
from typeddingo import App
from typeddingo._io.threads import Deadline
from typeddingo.testing import no_thread_left

START = 60.0
DATABASES = count(500)
MIXTURES = [("redis", "redis"), ("redis", "amqp"), ("amqp", "redis"), ("amqp", "amqp")]


class Way(NamedTuple):
    """The two servers that one mixture stands on."""

    broker: str
    backend: str


class _Worker:
    """``typeddingo worker`` in a process of its own."""

    def __init__(self, way: Way) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "typeddingo", "worker", "tests.distributed.program:make_app", "--deadline", "5"],
            env={**os.environ, "TDG_BROKER": way.broker, "TDG_BACKEND": way.backend},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line)
        self._process.stdout.close()

    def end(self) -> int:
        """The exit code after SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the worker did not end:\n{''.join(self.said[-40:])}") from None
        finally:
            self._process.wait(10)
            self._reader.join(10)


@pytest.fixture(scope="session", params=MIXTURES, ids=lambda pair: "+".join(pair))
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """One mixture, with a worker that has run its first task."""
    urls: dict[str, str] = {}
    for technology in set(request.param):
        if technology == "redis":
            server: RedisServer = request.getfixturevalue("redis_server")
            urls[technology] = server.url(next(DATABASES))
        else:
            rabbit: RabbitServer = request.getfixturevalue("rabbit_server")
            urls[technology] = rabbit.url(rabbit.new_vhost())
    way = Way(urls[request.param[0]], urls[request.param[1]])
    worker = _Worker(way)
    try:
        deadline = Deadline(START)
        with App(way.broker, backend=way.backend) as app:
            pid, _, _ = Program(app).whoami.call().get(deadline.left)
        assert pid != os.getpid()
        yield way
    except BaseException:
        print("".join(worker.said[-60:]))
        raise
    finally:
        code = worker.end()
    assert code == 0, "".join(worker.said[-60:])


@pytest.fixture
def program(way: Way) -> Iterator[Program]:
    """The caller's side; nothing of it is left afterwards."""
    with no_thread_left(), App(way.broker, backend=way.backend) as app:
        yield Program(app)
