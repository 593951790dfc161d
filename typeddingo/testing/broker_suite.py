"""What every broker must do (Go: ``BrokerTestSuite``): inherit from it, say how yours is made, run pytest.

class TestMine(BrokerTestSuite):
    def make_broker(self) -> NamedBroker:
        return MyBroker("mine://localhost")
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Delivery, NamedBroker, Parcel, Receipt
from typeddingo.errors import ConfigError, TypedDingoError
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing.broker_harness import AnyBroker
from typeddingo.testing.broker_life import BrokerLife
from typeddingo.testing.waiting import eventually

__all__ = ["BrokerTestSuite"]

ODD_NAMES = [
    "a",
    "a.b",
    "b",
    "a:b",
    "a/b",
    "../a",
    "a b",
    "A",
    "*",
    "#",
    "a.*",
    "{a}",
    "%s",
    "-",
    "größe.ταξ",
    "x" * 80,
]
"""Names that a separator, a pattern or a case-blind store would mix up."""


class BrokerTestSuite(BrokerLife):
    """The contract of a ``Broker`` or ``NamedBroker``. Names of tasks are new in each test; an un-named consumer
    must find nothing of an earlier test in its queue. Effects are waited for, so that a server may take its time."""

    # The seed's cases.

    def test_basic(self, broker: AnyBroker, name: str) -> None:
        listener = self.listen(broker, name)
        self.send(broker, name, b"hello")
        (delivery,) = self.take(listener, 1)
        assert delivery.body == b"hello"
        delivery.settle(Receipt.OK)
        self.assert_nothing_comes(listener)

    def test_named(self, broker: AnyBroker, name: str) -> None:
        names = [f"{name}.{number}" for number in range(4)]
        self.assert_each_gets_its_own(broker, names)

    def test_duplicated(self, broker: AnyBroker, name: str) -> None:
        """Two listeners of one name: each task goes to one of them."""
        bodies = [b"%d" % number for number in range(20)]
        listeners = [self.listen(broker, name), self.listen(broker, name)]
        self.send(broker, name, *bodies)
        seen: list[bytes] = []

        def all_seen() -> bool:
            for listener in listeners:
                for delivery in listener.take(1, 0.01):
                    seen.append(delivery.body)
                    delivery.settle(Receipt.OK)
            return len(seen) >= len(bodies)

        eventually(all_seen, "all tasks were delivered", self.patience)
        for listener in listeners:
            self.assert_nothing_comes(listener)
        assert Counter(seen) == Counter(bodies)

    def test_expect(self, broker: AnyBroker) -> None:
        consumer = Role.NAMED_CONSUMER if isinstance(broker, NamedBroker) else Role.CONSUMER
        broker.expect(Role.PRODUCER)
        broker.expect(consumer)
        broker.expect(Role.PRODUCER | consumer)
        for other in (Role.REPORTER, Role.STORE, Role.PRODUCER | Role.STORE, Role.WORKER):
            with pytest.raises(ConfigError):
                broker.expect(other)

    # Sending.

    def test_a_task_waits_for_its_first_listener(self, broker: AnyBroker, name: str) -> None:
        self.send(broker, name, b"early")
        assert [d.body for d in self.take(self.listen(broker, name), 1)] == [b"early"]

    def test_a_batch_arrives_whole_and_in_order(self, broker: AnyBroker, name: str) -> None:
        bodies = [b"%d" % number for number in range(100)]
        self.send(broker, name, *bodies)
        assert [d.body for d in self.take(self.listen(broker, name, 100), 100)] == bodies

    def test_a_batch_of_many_names_reaches_every_queue(self, broker: AnyBroker, name: str) -> None:
        names = [f"{name}.{number}" for number in range(3)]
        for each in names:
            broker.declare_task(each)
        broker.send([Parcel(Meta(each, uuid.uuid4().hex), each.encode()) for each in names]).wait(self.patience)
        self.assert_each_gets(broker, {each: each.encode() for each in names})

    def test_an_empty_batch_is_confirmed(self, broker: AnyBroker) -> None:
        answers: list[BaseException | None] = []
        confirmation = broker.send([])
        confirmation.wait(self.patience)
        confirmation.add_done_callback(answers.append)
        eventually(lambda: answers == [None], "the empty batch was confirmed", self.patience)

    def test_tasks_sent_one_by_one_arrive_in_order(self, broker: AnyBroker, name: str) -> None:
        bodies = [b"%d" % number for number in range(30)]
        for body in bodies:
            self.send(broker, name, body)
        assert [d.body for d in self.take(self.listen(broker, name, 30), 30)] == bodies

    def test_every_confirmation_callback_fires_exactly_once(self, broker: AnyBroker, name: str) -> None:
        broker.declare_task(name)
        answers: list[BaseException | None] = []
        confirmation = broker.send([Parcel(Meta(name, uuid.uuid4().hex), b"x")] * 3)
        confirmation.add_done_callback(answers.append)
        confirmation.wait(self.patience)
        confirmation.wait(self.patience)
        confirmation.add_done_callback(answers.append)
        eventually(lambda: len(answers) >= 2, "both callbacks fired", self.patience)
        self.take(self.listen(broker, name, 3), 3)
        assert answers == [None, None]

    def test_declaring_a_task_again_changes_nothing(self, broker: AnyBroker, name: str) -> None:
        self.send(broker, name, b"kept")
        broker.declare_task(name)
        broker.declare_task(name)
        assert [d.body for d in self.take(self.listen(broker, name), 1)] == [b"kept"]

    def test_a_peer_receives_what_was_sent_here(self, broker: AnyBroker, name: str) -> None:
        peer = self.make_peer(broker)
        listener = self.listen(peer, name)
        self.send(broker, name, b"over there")
        (delivery,) = self.take(listener, 1)
        delivery.settle(Receipt.OK)
        assert delivery.body == b"over there"
        peer.close()

    # What travels.

    @pytest.mark.parametrize(
        "body", [b"", bytes(range(256)) * 3, b"\r\n\0", b"\xff" * 9], ids=lambda body: repr(body[:4])
    )
    def test_a_body_arrives_byte_for_byte(self, broker: AnyBroker, name: str, body: bytes) -> None:
        self.send(broker, name, body)
        assert [d.body for d in self.take(self.listen(broker, name), 1)] == [body]

    def test_a_large_body_arrives_whole(self, broker: AnyBroker, name: str) -> None:
        body = bytes(range(256)) * (self.large // 256)
        self.send(broker, name, body)
        (delivery,) = self.take(self.listen(broker, name), 1)
        assert delivery.body == body

    def test_odd_names_are_kept_apart(self, broker: AnyBroker) -> None:
        mark = uuid.uuid4().hex[:8]
        self.assert_each_gets_its_own(broker, [f"{mark}.{odd}" for odd in ODD_NAMES])

    # Taking.

    def test_take_returns_at_most_what_is_asked_for(self, broker: AnyBroker, name: str) -> None:
        self.send(broker, name, *[b"x"] * 10)
        listener = self.listen(broker, name, 10)
        assert len(listener.take(3, self.patience)) <= 3
        assert len(listener.take(1, self.patience)) == 1

    def test_take_returns_empty_when_its_time_is_over(self, broker: AnyBroker, name: str) -> None:
        listener = self.listen(broker, name)
        start = time.monotonic()
        assert list(listener.take(1, 0.05)) == []
        assert 0.04 <= time.monotonic() - start < self.patience
        assert list(listener.take(1, 0)) == []

    def test_a_waiting_take_gets_what_is_sent_later(self, broker: AnyBroker, name: str) -> None:
        listener = self.listen(broker, name)
        taken: list[Delivery] = []
        threads = Threads("suite")
        threads.start("taker", lambda: taken.extend(listener.take(1, self.patience)))
        self.send(broker, name, b"later")
        assert threads.join(Deadline(self.patience)) == []
        assert [d.body for d in taken] == [b"later"]

    @pytest.mark.parametrize("prefetch", [1, 3])
    def test_a_listener_holds_no_more_than_its_prefetch(self, broker: AnyBroker, name: str, prefetch: int) -> None:
        self.send(broker, name, *[b"%d" % number for number in range(prefetch + 2)])
        listener = self.listen(broker, name, prefetch)
        held = self.take(listener, prefetch)
        assert list(listener.take(10, self.quiet)) == []
        held[-1].settle(Receipt.OK)
        assert [d.body for d in self.take(listener, 1)] == [b"%d" % prefetch]
        assert list(listener.take(10, self.quiet)) == []

    def test_a_listener_at_its_prefetch_leaves_the_rest_to_another(self, broker: AnyBroker, name: str) -> None:
        self.send(broker, name, b"first", b"second")
        first, second = self.listen(broker, name), self.listen(broker, name)
        bodies = [d.body for d in (*self.take(first, 1), *self.take(second, 1))]
        assert sorted(bodies) == [b"first", b"second"]

    # Settling.

    def test_deliveries_are_settled_in_any_order(self, broker: AnyBroker, name: str) -> None:
        self.send(broker, name, *[b"%d" % number for number in range(5)])
        listener = self.listen(broker, name, 5)
        held = self.take(listener, 5)
        for delivery in (held[3], held[0], held[4]):
            delivery.settle(Receipt.OK)
        listener.settle([(held[2], Receipt.OK), (held[1], Receipt.OK)])
        self.assert_gone(broker, name, listener)

    @pytest.mark.parametrize("receipt", [Receipt.OK, Receipt.NOK, Receipt.WORKER_NOT_FOUND])
    def test_a_settled_task_never_comes_again(self, broker: AnyBroker, name: str, receipt: Receipt) -> None:
        self.send(broker, name, b"a", b"b")
        listener = self.listen(broker, name, 2)
        listener.settle([(delivery, receipt) for delivery in self.take(listener, 2)])
        self.assert_gone(broker, name, listener)

    def test_a_task_given_back_goes_to_another_listener(self, broker: AnyBroker, name: str) -> None:
        first = self.listen(broker, name)
        self.send(broker, name, b"given back")
        (delivery,) = self.take(first, 1)
        second = self.listen(broker, name)
        self.assert_nothing_comes(second)
        delivery.settle(Receipt.GIVE_BACK)
        first.close()
        (again,) = self.take(second, 1)
        assert again.body == b"given back"
        again.settle(Receipt.OK)
        self.assert_gone(broker, name, second)

    def test_a_task_that_was_taken_can_be_settled_after_its_listener_is_closed(
        self, broker: AnyBroker, name: str
    ) -> None:
        listener = self.listen(broker, name)
        self.send(broker, name, b"running")
        (delivery,) = self.take(listener, 1)
        listener.close()
        delivery.settle(Receipt.OK)
        self.assert_gone(broker, name, listener)

    def test_what_was_not_taken_stays_for_others_when_a_listener_closes(self, broker: AnyBroker, name: str) -> None:
        bodies = [b"%d" % number for number in range(6)]
        first = self.listen(broker, name, 6)
        self.send(broker, name, *bodies)
        (delivery,) = self.take(first, 1)
        delivery.settle(Receipt.OK)
        first.close()
        rest = [d.body for d in self.take(self.listen(broker, name, 6), 5)]
        assert sorted([delivery.body, *rest]) == bodies

    def test_what_nobody_settled_comes_again_when_its_broker_is_closed(self, broker: AnyBroker, name: str) -> None:
        peer = self.make_peer(broker)
        if peer is broker:
            pytest.skip("lives in one process: what it holds is lost with it")
        self.send(broker, name, b"unsettled")
        assert len(self.take(self.listen(peer, name), 1)) == 1
        peer.close()
        assert [d.body for d in self.take(self.listen(broker, name), 1)] == [b"unsettled"]

    def test_settling_twice_or_too_late_never_raises(self, broker: AnyBroker, name: str) -> None:
        listener = self.listen(broker, name, 2)
        self.send(broker, name, b"twice", b"late")
        twice, late = self.take(listener, 2)
        for receipt in (Receipt.OK, Receipt.OK, Receipt.GIVE_BACK, Receipt.NOK):
            twice.settle(receipt)
        self.assert_nothing_comes(listener)
        broker.close()
        late.settle(Receipt.GIVE_BACK)
        late.settle(Receipt.OK)

    # Closing.

    @pytest.mark.parametrize("how", ["listener", "stop_all_listeners", "broker"])
    def test_closing_ends_a_waiting_take(self, broker: AnyBroker, name: str, how: str) -> None:
        listener = self.listen(broker, name)
        waiting = threading.Event()
        taken: list[Sequence[Delivery]] = []

        def take() -> None:
            waiting.set()
            taken.append(listener.take(1, None))

        threads = Threads("suite")
        for number in range(3):
            threads.start(f"taker-{number}", take)
        assert waiting.wait(self.patience)
        {"listener": listener.close, "stop_all_listeners": broker.stop_all_listeners, "broker": broker.close}[how]()
        assert threads.join(Deadline(self.patience)) == []
        assert [list(each) for each in taken] == [[], [], []]
        assert listener.closed

    def test_a_closed_listener_takes_nothing(self, broker: AnyBroker, name: str) -> None:
        listener = self.listen(broker, name)
        assert not listener.closed
        listener.close()
        listener.close()
        self.send(broker, name, b"not for you")
        assert list(listener.take(1, None)) == []

    def test_listeners_can_be_added_after_all_were_stopped(self, broker: AnyBroker, name: str) -> None:
        self.listen(broker, name)
        broker.stop_all_listeners()
        broker.stop_all_listeners()
        self.send(broker, name, b"still here")
        assert [d.body for d in self.take(self.listen(broker, name), 1)] == [b"still here"]

    def test_closing_is_idempotent_and_safe_from_any_thread(self, broker: AnyBroker, name: str) -> None:
        listener = self.listen(broker, name)
        threads = Threads("suite")
        for number in range(4):
            threads.start(f"closer-{number}", broker.close)
        assert threads.join(Deadline(self.patience)) == []
        broker.close()
        listener.close()
        assert listener.closed

    def test_a_closed_broker_refuses_work(self, broker: AnyBroker, name: str) -> None:
        broker.close()
        with pytest.raises(TypedDingoError):
            broker.send([Parcel(Meta(name, "1"), b"x")]).wait(self.patience)
        with pytest.raises(TypedDingoError):
            self.listen(broker, name)

    # Many at once.

    def test_many_threads_send_and_take_without_loss_or_doubles(self, broker: AnyBroker, name: str) -> None:
        senders, takers, each = 4, 4, 100
        listeners = [self.listen(broker, name, 8), self.listen(broker, name, 8)]
        seen: list[bytes] = []
        threads = Threads("suite")

        def sender(number: int) -> None:
            for count in range(each):
                self.send(broker, name, b"%d-%d" % (number, count))

        def taker(number: int) -> None:
            listener = listeners[number % len(listeners)]
            while deliveries := listener.take(5, self.patience):
                seen.extend(delivery.body for delivery in deliveries)
                listener.settle([(delivery, Receipt.OK) for delivery in deliveries])

        for number in range(takers):
            threads.start(f"taker-{number}", partial(taker, number))
        for number in range(senders):
            threads.start(f"sender-{number}", partial(sender, number))
        eventually(lambda: len(seen) >= senders * each, "every task was taken", self.patience)
        broker.stop_all_listeners()
        assert threads.join(Deadline(self.patience)) == []
        taken = Counter(seen)
        lost = {b"%d-%d" % (s, count) for s in range(senders) for count in range(each)} - taken.keys()
        assert not sorted(lost)[:5], f"{len(lost)} were lost"
        doubled = [body for body, times in taken.items() if times > 1]
        assert not doubled[:5], f"{len(doubled)} were taken more than once"
