"""Servers as fixtures: one of each a session (and xdist worker), a database or virtual host a test.

Comes from tests/conftest.py. A server that is not installed skips the test with a notice; with ``CI=true`` in the
environment it fails it, because there everything must run.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.servers.process import Missing
from tests.servers.rabbit import RabbitServer
from tests.servers.redis import RedisServer

S = TypeVar("S")

_databases = itertools.cycle(range(1, 500))


def started(start: Callable[[], S]) -> S:
    """``start()``, or a skipped test where the server is not installed."""
    try:
        return start()
    except Missing as missing:
        notice = f"{missing}: scripts/test installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(notice)
        pytest.skip(notice)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's Redis. No test stops or freezes it: those that do start their own."""
    with started(RedisServer) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[RabbitServer]:
    """The session's RabbitMQ. No test stops or freezes it: those that do start their own."""
    with started(RabbitServer) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty database that no other test of this session has."""
    db = next(_databases)
    redis_server.ask("FLUSHDB", db=db)
    return redis_server.url(db)


@pytest.fixture
def amqp_url(rabbit_server: RabbitServer) -> Iterator[str]:
    """The URL of an empty virtual host; removed afterwards."""
    vhost = rabbit_server.new_vhost()
    yield rabbit_server.url(vhost)
    rabbit_server.drop_vhost(vhost)
