"""The Redis broker keeps the contract of every broker, in both layouts."""

from __future__ import annotations

import pytest

from tests.servers import RedisServer
from typeddingo.brokers.redis import RedisBroker
from typeddingo.testing import BrokerTestSuite
from typeddingo.testing.broker_harness import AnyBroker


class TestNative(BrokerTestSuite):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url()

    def make_broker(self) -> RedisBroker:
        return RedisBroker(self.url)

    def make_peer(self, broker: AnyBroker) -> RedisBroker:
        return RedisBroker(self.url)


class TestDingo(TestNative):
    """The layout of Go dingo."""

    def make_broker(self) -> RedisBroker:
        return RedisBroker(f"{self.url}?layout=dingo")

    def make_peer(self, broker: AnyBroker) -> RedisBroker:
        return RedisBroker(f"{self.url}?layout=dingo")
