"""RabbitMQ keeps the contract of every broker: on quorum queues, on classic ones, and in Go dingo's layout."""

from __future__ import annotations

import pytest

from tests.amqp.by_hand import await_urgent
from tests.servers import RabbitServer
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.testing import BrokerTestSuite
from typeddingo.testing.broker_harness import AnyBroker


class Amqp(BrokerTestSuite):
    settings = ""
    url = ""

    @pytest.fixture(autouse=True)
    def _server(self, rabbit_server: RabbitServer) -> None:
        self.url = f"{rabbit_server.url()}?{self.settings}"

    def make_broker(self) -> AmqpBroker:
        return AmqpBroker(self.url)

    def urgent_have_arrived(self, broker: AnyBroker, count: int) -> None:
        assert isinstance(broker, AmqpBroker)
        await_urgent(broker, count)

    def make_peer(self, broker: AnyBroker) -> AmqpBroker:
        return AmqpBroker(self.url)


class TestQuorum(Amqp):
    settings = "namespace=quorum"


class TestClassic(Amqp):
    settings = "namespace=classic&queue_type=classic"


class TestDingo(Amqp):
    """What is no frame of its task is left to its taker, as in the other layouts; frames are settled when taken."""

    settings = "layout=dingo"
