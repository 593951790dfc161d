"""What the cases of ``BrokerTestSuite`` stand on: how a broker is made, listened to and waited for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TypeAlias

import pytest

from typeddingo._io.threads import Deadline
from typeddingo.broker import Broker, Delivery, Listener, NamedBroker, Parcel
from typeddingo.message import Meta
from typeddingo.testing.waiting import no_thread_left

__all__ = ["AnyBroker", "BrokerHarness"]

AnyBroker: TypeAlias = Broker | NamedBroker


class BrokerHarness:
    """To be inherited through ``BrokerTestSuite``: ``make_broker`` must be overridden, the rest may be."""

    patience: float = 10.0
    """Seconds after which an effect that has not come is missed."""
    quiet: float = 0.1
    """Seconds of silence that count as "nothing comes"."""
    large = 1_000_000
    """Bytes of the large body."""

    def make_broker(self) -> AnyBroker:
        """The adapter under test, connected, with empty queues. The suite closes it."""
        raise NotImplementedError("override make_broker() to return the broker to test")

    def make_peer(self, broker: AnyBroker) -> AnyBroker:
        """Another process's view of the same queues; the suite closes it. Adapters that live in one process return
        ``broker`` itself."""
        return broker

    def urgent_have_arrived(self, broker: AnyBroker, count: int) -> None:  # nothing to wait for, mostly
        """For adapters whose listeners fetch ahead: return when so many urgent tasks are where they overtake others."""

    @pytest.fixture(autouse=True)
    def _no_thread_is_left(self) -> Iterator[None]:
        with no_thread_left(self.patience):
            yield

    @pytest.fixture
    def broker(self) -> Iterator[AnyBroker]:
        broker = self.make_broker()
        yield broker
        broker.close()

    @pytest.fixture
    def name(self) -> str:
        return f"suite.{uuid.uuid4().hex}"

    def send(self, broker: AnyBroker, name: str, *bodies: bytes) -> None:
        """One confirmed batch."""
        broker.declare_task(name)
        broker.send([Parcel(Meta(name, uuid.uuid4().hex), body) for body in bodies]).wait(self.patience)

    def listen(self, broker: AnyBroker, name: str, prefetch: int = 1) -> Listener:
        """A listener that gets the tasks of this name (an un-named one gets them all)."""
        if isinstance(broker, NamedBroker):
            return broker.add_listener(name, prefetch)
        return broker.add_listener(prefetch)

    def take(self, listener: Listener, count: int) -> list[Delivery]:
        """Exactly ``count`` deliveries, however many takes it needs."""
        deadline = Deadline(self.patience)
        taken: list[Delivery] = []
        while len(taken) < count and not deadline.passed:
            taken += listener.take(count - len(taken), deadline.left)
        assert len(taken) == count, f"expected {count} deliveries within {self.patience} s"
        return taken

    def assert_nothing_comes(self, listener: Listener) -> None:
        assert list(listener.take(1, self.quiet)) == []

    def assert_each_gets_its_own(self, broker: AnyBroker, names: list[str]) -> None:
        for name in names:
            self.send(broker, name, name.encode())
        self.assert_each_gets(broker, {name: name.encode() for name in names})

    def assert_each_gets(self, broker: AnyBroker, bodies: dict[str, bytes]) -> None:
        if isinstance(broker, NamedBroker):
            # Backwards: two names that share a queue would otherwise get their own by luck.
            got = {name: [d.body for d in self.take(broker.add_listener(name, 2), 1)] for name in reversed(bodies)}
            assert got == {name: [body] for name, body in bodies.items()}
        else:
            taken = self.take(broker.add_listener(len(bodies)), len(bodies))
            assert [d.body for d in taken] == list(bodies.values())

    def assert_gone(self, broker: AnyBroker, name: str, listener: Listener) -> None:
        """Neither this listener nor a later one gets anything more."""
        if not listener.closed:
            self.assert_nothing_comes(listener)
            listener.close()
        self.assert_nothing_comes(self.listen(broker, name))
