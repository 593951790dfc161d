"""What a broker must do that says it can do more than carry tasks: the part of ``BrokerTestSuite`` that asks for it.

A case is skipped where ``Adapter.features`` does not name what it is about.
"""

from __future__ import annotations

import time
import uuid

import pytest

from typeddingo.broker import Delivery, Feature, Listener, Parcel, Receipt
from typeddingo.message import Meta
from typeddingo.terms import Terms
from typeddingo.testing.broker_harness import AnyBroker, BrokerHarness
from typeddingo.testing.waiting import eventually

__all__ = ["BrokerLife"]

SOON = 0.4
"""Seconds for which a task is put off."""
LONG = 3600.0


def need(broker: AnyBroker, feature: Feature) -> None:
    if feature not in broker.features:
        pytest.skip(f"{type(broker).__name__} has no Feature.{feature.name}")


def again(listener: Listener, delivery: Delivery, receipt: Receipt, delay: float) -> None:
    delivery.delay = delay
    listener.settle([(delivery, receipt)])


class BrokerLife(BrokerHarness):
    """Tasks that wait, expire, are retried, are urgent, are cancelled."""

    def send_on(self, broker: AnyBroker, name: str, *tasks: tuple[bytes, Terms]) -> list[Meta]:
        """One confirmed batch; who its tasks are."""
        broker.declare_task(name)
        metas = [Meta(name, uuid.uuid4().hex) for _ in tasks]
        broker.send([Parcel(meta, *task) for meta, task in zip(metas, tasks, strict=True)]).wait(self.patience)
        return metas

    def bodies(self, listener: Listener, count: int) -> list[bytes]:
        """Of so many tasks, taken and settled one after the other."""
        seen: list[bytes] = []
        for _ in range(count):
            (delivery,) = self.take(listener, 1)
            seen.append(delivery.body)
            delivery.settle(Receipt.OK)
        return seen

    # Later.

    def test_a_delayed_task_comes_when_it_is_due_and_not_before(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        listener = self.listen(broker, name, 2)
        sent = time.monotonic()
        self.send_on(broker, name, (b"later", Terms(delay=SOON)), (b"now", Terms()))
        (now,) = self.take(listener, 1)
        (later,) = self.take(listener, 1)
        assert time.monotonic() - sent >= SOON
        assert (now.body, later.body) == (b"now", b"later")
        assert (later.attempt, later.retries, later.expired) == (1, 0, False)
        listener.settle([(now, Receipt.OK), (later, Receipt.OK)])
        self.assert_gone(broker, name, listener)

    def test_a_task_with_an_eta_comes_then(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        listener = self.listen(broker, name)
        eta = time.time() + SOON
        self.send_on(broker, name, (b"then", Terms(eta=eta)), (b"past", Terms(eta=eta - LONG)))
        assert self.bodies(listener, 1) == [b"past"]
        assert self.bodies(listener, 1) == [b"then"]
        assert time.time() >= eta - 0.01

    def test_delayed_tasks_come_in_the_order_in_which_they_are_due(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        delays = (0.9, 0.3, 0.6)
        self.send_on(broker, name, *[(b"%d" % (delay * 10), Terms(delay=delay)) for delay in delays])
        assert self.bodies(self.listen(broker, name), 3) == [b"3", b"6", b"9"]

    def test_a_delayed_task_waits_for_its_first_listener(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        sent = time.monotonic()
        self.send_on(broker, name, (b"early", Terms(delay=SOON)))
        eventually(lambda: time.monotonic() - sent > 1.5 * SOON, "it is due")
        assert self.bodies(self.listen(broker, name), 1) == [b"early"]

    # Again.

    def test_a_retried_task_comes_again_after_its_delay_and_counts_it(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        listener = self.listen(broker, name)
        self.send(broker, name, b"flaky")
        seen: list[tuple[bytes, int, int]] = []
        for delay in (SOON, 0.0, SOON):
            (delivery,) = self.take(listener, 1)
            seen.append((delivery.body, delivery.retries, delivery.attempt))
            since = time.monotonic()
            again(listener, delivery, Receipt.RETRY, delay)
            (delivery,) = self.take(listener, 1)
            assert time.monotonic() - since >= delay
            delivery.settle(Receipt.GIVE_BACK)
        (last,) = self.take(listener, 1)
        assert [retries for _, retries, _ in seen] == [0, 1, 2]
        assert {body for body, _, _ in seen} == {b"flaky"}
        assert last.retries == 3
        last.settle(Receipt.OK)
        self.assert_gone(broker, name, listener)

    def test_a_task_put_off_comes_again_and_does_not_count_it(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        listener = self.listen(broker, name)
        self.send(broker, name, b"busy")
        since = time.monotonic()
        for _ in range(2):
            (delivery,) = self.take(listener, 1)
            assert (delivery.body, delivery.retries) == (b"busy", 0)
            since = time.monotonic()
            again(listener, delivery, Receipt.LATER, SOON)
        (delivery,) = self.take(listener, 1)
        assert time.monotonic() - since >= SOON
        assert (delivery.body, delivery.retries) == (b"busy", 0)

    def test_a_task_between_two_tries_is_in_nobodys_hands(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        first = self.listen(broker, name)
        self.send(broker, name, b"flaky", b"next")
        (flaky,) = self.take(first, 1)
        again(first, flaky, Receipt.RETRY, SOON)
        (following,) = self.take(first, 1)
        assert following.body == b"next"
        following.settle(Receipt.OK)
        first.close()
        (delivery,) = self.take(self.listen(broker, name), 1)
        assert (delivery.body, delivery.retries) == (b"flaky", 1)

    def test_a_task_that_failed_for_good_never_comes_again(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.LATER)
        listener = self.listen(broker, name)
        self.send(broker, name, b"broken")
        (delivery,) = self.take(listener, 1)
        delivery.reason = "ValueError: broken"
        delivery.settle(Receipt.FAILED)
        self.assert_gone(broker, name, listener)

    # Expiry.

    def test_an_expired_task_is_handed_out_as_such(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.EXPIRY)
        sent = time.monotonic()
        now = time.time()
        self.send_on(
            broker,
            name,
            (b"late", Terms(lifetime=SOON)),
            (b"late too", Terms(expires=now + SOON)),
            (b"in time", Terms(lifetime=LONG)),
            (b"at any time", Terms()),
        )
        eventually(lambda: time.monotonic() - sent > 1.5 * SOON, "two have expired")
        taken = self.take(self.listen(broker, name, 4), 4)
        expired = {delivery.body: delivery.expired for delivery in taken}
        assert expired == {b"late": True, b"late too": True, b"in time": False, b"at any time": False}

    def test_a_delayed_task_may_expire_before_it_is_due(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.EXPIRY | Feature.LATER)
        self.send_on(broker, name, (b"late", Terms(delay=SOON, lifetime=SOON / 2)))
        (delivery,) = self.take(self.listen(broker, name), 1)
        assert (delivery.body, delivery.expired) == (b"late", True)

    def test_a_retried_task_still_expires(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.EXPIRY | Feature.LATER)
        listener = self.listen(broker, name)
        self.send_on(broker, name, (b"flaky", Terms(lifetime=2 * SOON)))
        (delivery,) = self.take(listener, 1)
        assert not delivery.expired
        again(listener, delivery, Receipt.RETRY, 3 * SOON)
        (delivery,) = self.take(listener, 1)
        assert (delivery.retries, delivery.expired) == (1, True)

    # Priority.

    def test_the_urgent_come_first(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.PRIORITY)
        listener = self.listen(broker, name, 10)
        self.send(broker, name, b"running", b"usual 1", b"usual 2")
        (running,) = self.take(listener, 1)
        self.send_on(broker, name, (b"soon", Terms(priority=1)), (b"urgent", Terms(priority=9)))
        self.urgent_have_arrived(broker, 2)
        running.settle(Receipt.OK)
        order = self.bodies(listener, 4)
        assert order.index(b"urgent") < order.index(b"soon") < order.index(b"usual 2")
        assert order.index(b"usual 1") < order.index(b"usual 2")
        self.assert_gone(broker, name, listener)

    def test_tasks_of_one_priority_come_in_order(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.PRIORITY)
        listener = self.listen(broker, name)
        self.send(broker, name, b"running")
        (running,) = self.take(listener, 1)
        self.send(broker, name, b"usual")
        for number in range(5):
            self.send_on(broker, name, (b"%d" % number, Terms(priority=5)))
        running.settle(Receipt.OK)
        order = [body for body in self.bodies(listener, 6) if body != b"usual"]
        assert order == [b"%d" % number for number in range(5)]

    def test_an_urgent_task_that_is_given_back_comes_again(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.PRIORITY)
        first = self.listen(broker, name)
        self.send(broker, name, b"running")
        (running,) = self.take(first, 1)
        self.send(broker, name, b"usual")
        self.send_on(broker, name, (b"urgent", Terms(priority=9)))
        running.settle(Receipt.OK)
        self.take_up_to(first, b"urgent").settle(Receipt.GIVE_BACK)
        first.close()
        self.take_up_to(self.listen(broker, name), b"urgent").settle(Receipt.OK)

    def take_up_to(self, listener: Listener, body: bytes) -> Delivery:
        """This one; what comes before it is settled."""
        while True:
            (delivery,) = self.take(listener, 1)
            if delivery.body == body:
                return delivery
            delivery.settle(Receipt.OK)

    # Cancelling.

    def test_a_delayed_task_that_is_cancelled_never_comes_or_its_taker_is_told(
        self, broker: AnyBroker, name: str
    ) -> None:
        need(broker, Feature.CANCEL | Feature.LATER)
        told: list[tuple[str, str]] = []
        broker.watch_cancelled(lambda name, id: told.append((name, id)))
        listener = self.listen(broker, name)
        meta, _ = self.send_on(broker, name, (b"cancelled", Terms(delay=SOON)), (b"kept", Terms(delay=2 * SOON)))
        (gone,) = broker.cancel([meta])
        broker.cancel([meta])  # twice is once
        if not gone:
            assert self.bodies(listener, 1) == [b"cancelled"]
            eventually(lambda: (meta.name, meta.id) in told, "it was told", 1.5)
        assert self.bodies(listener, 1) == [b"kept"]
        self.assert_gone(broker, name, listener)

    def test_who_takes_a_cancelled_task_is_told(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.CANCEL)
        told: list[tuple[str, str]] = []
        broker.watch_cancelled(lambda name, id: told.append((name, id)))
        listener = self.listen(broker, name)
        self.send(broker, name, b"running")
        (running,) = self.take(listener, 1)
        meta, other = self.send_on(broker, name, (b"cancelled", Terms()), (b"kept", Terms()))
        (gone,) = broker.cancel([meta])
        running.settle(Receipt.OK)
        if not gone:
            assert self.bodies(listener, 1) == [b"cancelled"]
            eventually(lambda: (meta.name, meta.id) in told, "it was told", 1.5)
        assert self.bodies(listener, 1) == [b"kept"]
        assert (other.name, other.id) not in told

    def test_who_runs_a_cancelled_task_is_told_within_a_second(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.CANCEL)
        peer = self.make_peer(broker)
        told: list[tuple[str, str]] = []
        broker.watch_cancelled(lambda name, id: told.append((name, id)))
        listener = self.listen(broker, name)
        (meta,) = self.send_on(broker, name, (b"running", Terms()))
        (running,) = self.take(listener, 1)
        assert list(peer.cancel([meta])) == [False]
        eventually(lambda: (meta.name, meta.id) in told, "it was told", 1.5)
        running.settle(Receipt.OK)
        if peer is not broker:
            peer.close()

    def test_who_listens_after_a_task_was_cancelled_is_told(self, broker: AnyBroker, name: str) -> None:
        need(broker, Feature.CANCEL)
        (meta,) = self.send_on(broker, name, (b"cancelled", Terms()))
        (gone,) = broker.cancel([meta])
        peer = self.make_peer(broker)
        told: list[tuple[str, str]] = []
        peer.watch_cancelled(lambda name, id: told.append((name, id)))
        listener = self.listen(peer, name)
        if not gone:
            (delivery,) = self.take(listener, 1)
            eventually(lambda: (meta.name, meta.id) in told, "it was told", 1.5)
            delivery.settle(Receipt.OK)
        self.assert_gone(peer, name, listener)
        if peer is not broker:
            peer.close()
