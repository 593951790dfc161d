"""The Redis backend keeps the contract of every backend, in both layouts."""

from __future__ import annotations

import pytest

from tests.servers import RedisServer
from typeddingo.backend import Backend
from typeddingo.backends.redis import RedisBackend
from typeddingo.testing import BackendTestSuite


class TestNative(BackendTestSuite):
    keeps_early_reports = False

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url()

    def make_backend(self) -> RedisBackend:
        return RedisBackend(self.url)

    def make_peer(self, backend: Backend) -> RedisBackend:
        return RedisBackend(self.url)


class TestDingo(TestNative):
    """The layout of Go dingo."""

    keeps_early_reports = True
    many = 2_000

    def make_backend(self) -> RedisBackend:
        return RedisBackend(f"{self.url}?layout=dingo")

    def make_peer(self, backend: Backend) -> RedisBackend:
        return RedisBackend(f"{self.url}?layout=dingo")

    @pytest.mark.skip(reason="the keys of Go's layout do not tell a.b with id c from a with id b.c")
    def test_names_and_ids_that_read_alike_are_kept_apart(self, backend: Backend) -> None: ...
