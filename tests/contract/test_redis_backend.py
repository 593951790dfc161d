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
