"""Fixtures of the tests of the Redis adapters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis.bench import Bench
from tests.servers import RedisServer
from typeddingo.testing import no_thread_left


@pytest.fixture
def bench(redis_server: RedisServer, redis_url: str) -> Iterator[Bench]:
    """On the session's server, empty. Nothing of ours runs when the test is over, and nobody is connected."""
    with no_thread_left():
        bench = Bench(redis_url)
        yield bench
        bench.close()


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that this test may freeze, stop and restart."""
    with RedisServer(aof=True) as server:
        yield server


@pytest.fixture
def own_bench(own_server: RedisServer) -> Iterator[Bench]:
    """On a server of its own."""
    with no_thread_left():
        bench = Bench(own_server.url())
        yield bench
        own_server.thaw()
        bench.close()
