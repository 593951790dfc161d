"""The in-memory brokers keep the contract of every broker, and their own promises."""

from __future__ import annotations

from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.testing import BrokerTestSuite


class TestLocalBroker(BrokerTestSuite):
    quiet = 0.02

    def make_broker(self) -> LocalBroker:
        return LocalBroker()


class TestLocalNamedBroker(BrokerTestSuite):
    quiet = 0.02

    def make_broker(self) -> LocalNamedBroker:
        return LocalNamedBroker()
