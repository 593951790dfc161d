"""The in-memory brokers keep the contract of every broker, and their own promises."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, cast

import pytest

from tests.inside import inside
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Delivery, Listener, Parcel, Receipt
from typeddingo.brokers.local import DeadLetter, LocalBroker, LocalNamedBroker
from typeddingo.errors import ConfigError, QueueFull, SendError
from typeddingo.events import Event, EventCode, EventLevel
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing import BrokerTestSuite, eventually


class TestLocalBroker(BrokerTestSuite):
    quiet = 0.02

    def make_broker(self) -> LocalBroker:
        return LocalBroker()


class TestLocalNamedBroker(BrokerTestSuite):
    quiet = 0.02

    def make_broker(self) -> LocalNamedBroker:
        return LocalNamedBroker()


AnyLocal: TypeAlias = LocalBroker | LocalNamedBroker


@pytest.fixture(params=[LocalBroker, LocalNamedBroker])
def make(request: pytest.FixtureRequest) -> Callable[..., AnyLocal]:
    """Either class: each of these promises is kept by both."""
    return cast("Callable[..., AnyLocal]", request.param)


def parcels(name: str, *bodies: str) -> list[Parcel]:
    return [Parcel(Meta(name, body), body.encode()) for body in bodies]


def listen(broker: AnyLocal, prefetch: int = 10, name: str = "task") -> Listener:
    return broker.add_listener(prefetch) if isinstance(broker, LocalBroker) else broker.add_listener(name, prefetch)


def bodies(deliveries: Sequence[Delivery]) -> str:
    return " ".join(delivery.body.decode() for delivery in deliveries)


def test_a_task_given_back_takes_its_old_place(make: Callable[..., AnyLocal]) -> None:
    broker = make()
    broker.send(parcels("task", *"abcde"))
    listener = listen(broker)
    a, b, c, _ = listener.take(4, 0)
    for delivery in (c, a, b):
        delivery.settle(Receipt.GIVE_BACK)
    assert bodies(listener.take(10, 0)) == "a b c e"


def test_what_is_sent_is_confirmed_at_once(make: Callable[..., AnyLocal]) -> None:
    answers: list[BaseException | None] = []
    confirmation = make().send(parcels("task", "a"))
    confirmation.wait(0)
    confirmation.add_done_callback(answers.append)
    assert answers == [None]


class TestDeadLetters:
    @pytest.mark.parametrize(
        ("receipt", "code"),
        [(Receipt.NOK, EventCode.DEAD_LETTER), (Receipt.WORKER_NOT_FOUND, EventCode.WORKER_NOT_FOUND)],
    )
    def test_a_refused_task_is_kept_with_its_reason_and_an_event(
        self, make: Callable[..., AnyLocal], receipt: Receipt, code: EventCode
    ) -> None:
        broker = make()
        events: list[Event] = []
        broker.events().subscribe(events.append)
        (parcel,) = parcels("task", "bad")
        broker.send([parcel])
        (delivery,) = listen(broker).take(1, 0)
        delivery.settle(receipt)
        delivery.settle(receipt)
        assert broker.dead() == [DeadLetter(parcel.meta, b"bad", receipt)]
        assert [(event.code, event.level, event.task, event.id) for event in events] == [
            (code, EventLevel.ERROR, "task", "bad")
        ]
        assert events[0].origin & Role.CONSUMER

    def test_the_oldest_go_first_and_are_counted_in_an_event(self, make: Callable[..., AnyLocal]) -> None:
        broker = make(dead_letters=2)
        events: list[Event] = []
        broker.events().subscribe(events.append)
        broker.send(parcels("task", *"abc"))
        listener = listen(broker)
        listener.settle([(delivery, Receipt.NOK) for delivery in listener.take(3, 0)])
        assert [letter.body for letter in broker.dead()] == [b"b", b"c"]
        assert events[-1].level is EventLevel.WARNING
        assert events[-1].message == "1 oldest dead letters dropped: no room"

    def test_whoever_hears_of_one_may_use_the_broker(self, make: Callable[..., AnyLocal]) -> None:
        broker = make()
        seen: list[int] = []
        broker.events().subscribe(lambda event: seen.append(len(broker.dead())))
        broker.send(parcels("task", "bad"))
        (delivery,) = listen(broker).take(1, 0)
        delivery.settle(Receipt.NOK)
        assert seen == [1]


class TestBound:
    def test_a_full_queue_refuses_the_whole_batch(self, make: Callable[..., AnyLocal]) -> None:
        broker = make(max_length=3)
        broker.send(parcels("task", *"ab"))
        with pytest.raises(QueueFull, match="max_length"):
            broker.send(parcels("task", *"cd"))
        broker.send(parcels("task", "e"))
        assert bodies(listen(broker).take(10, 0)) == "a b e"

    def test_tasks_in_hand_do_not_count(self, make: Callable[..., AnyLocal]) -> None:
        broker = make(max_length=1)
        broker.send(parcels("task", "a"))
        listener = listen(broker)
        listener.take(1, 0)
        broker.send(parcels("task", "b"))
        assert bodies(listener.take(1, 0)) == "b"

    def test_a_task_is_given_back_even_to_a_full_queue(self, make: Callable[..., AnyLocal]) -> None:
        broker = make(max_length=1)
        broker.send(parcels("task", "a"))
        listener = listen(broker)
        (delivery,) = listener.take(1, 0)
        broker.send(parcels("task", "b"))
        delivery.settle(Receipt.GIVE_BACK)
        broker.send([])  # over its bound now: still not a reason to refuse nothing
        assert bodies(listener.take(2, 0)) == "a b"

    def test_each_name_has_its_own_bound_and_a_mixed_batch_is_stored_whole_or_not_at_all(self) -> None:
        broker = LocalNamedBroker(max_length=1)
        broker.send(parcels("full", "a"))
        with pytest.raises(QueueFull):
            broker.send([*parcels("other", "b"), *parcels("full", "c")])
        assert broker.waiting() == 1
        broker.send(parcels("other", "d"))
        assert bodies(listen(broker, name="other").take(10, 0)) == "d"


class TestClosing:
    @pytest.mark.parametrize("listener_first", [False, True])
    def test_what_nobody_settled_is_back_in_the_queue_and_told(
        self, make: Callable[..., AnyLocal], listener_first: bool
    ) -> None:
        broker = make()
        events: list[Event] = []
        broker.events().subscribe(events.append)
        broker.send(parcels("task", *"abc"))
        listener = listen(broker)
        listener.take(2, 0)[0].settle(Receipt.OK)
        if listener_first:
            listener.close()
        broker.close()
        broker.close()
        assert broker.waiting() == 2
        assert [(event.level, event.code) for event in events] == [(EventLevel.WARNING, EventCode.SHUTDOWN)]
        assert events[0].message.startswith("closed with 2 tasks")

    def test_an_empty_broker_closes_silently(self, make: Callable[..., AnyLocal]) -> None:
        broker = make()
        events: list[Event] = []
        broker.events().subscribe(events.append)
        broker.send(parcels("task", "a"))
        (delivery,) = listen(broker).take(1, 0)
        delivery.settle(Receipt.OK)
        broker.close()
        assert events == []

    def test_a_closed_broker_says_what_to_do(self, make: Callable[..., AnyLocal]) -> None:
        broker = make()
        broker.close()
        with pytest.raises(SendError, match="closed: nothing was sent"):
            broker.send(parcels("task", "a"))
        with pytest.raises(ConfigError, match="closed: make a new one"):
            listen(broker)


@pytest.mark.parametrize("wrong", [{"max_length": 0}, {"dead_letters": 0}])
def test_a_wrong_bound_is_refused(make: Callable[..., AnyLocal], wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        make(**wrong)


def test_a_listener_needs_room_for_one(make: Callable[..., AnyLocal]) -> None:
    with pytest.raises(ConfigError, match="prefetch"):
        listen(make(), prefetch=0)


def test_a_role_it_cannot_play_is_named() -> None:
    with pytest.raises(ConfigError, match=r"LocalBroker cannot be STORE: it can be PRODUCER\|CONSUMER"):
        LocalBroker().expect(Role.PRODUCER | Role.STORE)


class Takers:
    """Threads that take one task each from a listener, and a proof that they sleep before the test goes on."""

    def __init__(self) -> None:
        self.threads = Threads("test")
        self.taken: list[Delivery] = []

    def start(self, listener: Listener, count: int = 1) -> None:
        def take() -> None:
            self.taken.extend(listener.take(count, 30))

        thread = self.threads.start(f"taker-{len(self.threads.alive())}", take)
        eventually(lambda: inside(thread, "wait"), "the taker sleeps")

    def end(self) -> str:
        assert self.threads.join(Deadline(5)) == []
        return " ".join(sorted(delivery.body.decode() for delivery in self.taken))


class TestWakingUp:
    """Each of these is one way in which a sleeper could be forgotten while there is something for it."""

    def test_a_task_given_back_wakes_a_sleeper(self, make: Callable[..., AnyLocal]) -> None:
        broker, takers = make(), Takers()
        broker.send(parcels("task", "a"))
        (delivery,) = listen(broker).take(1, 0)
        takers.start(listen(broker))
        delivery.settle(Receipt.GIVE_BACK)
        assert takers.end() == "a"

    def test_a_settled_task_makes_room_for_a_sleeper(self, make: Callable[..., AnyLocal]) -> None:
        broker, takers = make(), Takers()
        listener = listen(broker, 1)
        broker.send(parcels("task", *"ab"))
        (delivery,) = listener.take(1, 0)
        takers.start(listener)
        delivery.settle(Receipt.OK)
        assert takers.end() == "b"

    def test_one_that_was_woken_in_vain_wakes_the_next(self, make: Callable[..., AnyLocal]) -> None:
        """Both tasks wake takers of the listener that has room for one only: the third must get the second task."""
        broker, takers = make(), Takers()
        narrow = listen(broker, 1)
        takers.start(narrow)
        takers.start(narrow)
        takers.start(listen(broker, 1))
        broker.send(parcels("task", *"ab"))
        eventually(lambda: len(takers.taken) == 2, "both tasks were taken", 5)
        broker.close()
        assert takers.end() == "a b"

    def test_one_that_is_interrupted_when_it_is_woken_wakes_the_next(self, make: Callable[..., AnyLocal]) -> None:
        broker, takers = make(), Takers()
        interrupted = threading.Event()

        def take() -> None:
            try:
                listen(broker).take(1, 30)
            except KeyboardInterrupt:
                interrupted.set()

        victim = takers.threads.start("victim", take)
        eventually(lambda: inside(victim, "wait"), "the victim sleeps")
        takers.start(listen(broker))
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(victim.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )
        broker.send(parcels("task", "a"))
        assert interrupted.wait(5)
        assert takers.end() == "a"

    def test_closing_wakes_one_that_waits_for_room(self, make: Callable[..., AnyLocal]) -> None:
        broker, takers = make(), Takers()
        listener = listen(broker, 1)
        broker.send(parcels("task", *"ab"))
        listener.take(1, 0)
        takers.start(listener)
        listener.close()
        assert takers.end() == ""


def test_a_taker_at_its_prefetch_never_swallows_a_wake_up(make: Callable[..., AnyLocal]) -> None:
    """Two takers share a listener with room for one, a third waits elsewhere: two tasks must reach two of them."""
    threads = Threads("test")
    taken: list[Delivery] = []

    def take(listener: Listener) -> None:
        taken.extend(listener.take(1, 10))

    for _ in range(30):
        broker = make()
        narrow, other = listen(broker, 1), listen(broker, 1)
        taken.clear()
        for number, listener in enumerate([narrow, narrow, other]):
            threads.start(str(number), partial(take, listener))
        broker.send(parcels("task", "a"))
        broker.send(parcels("task", "b"))
        eventually(lambda: len(taken) == 2, "both tasks were taken")
        broker.close()
        assert threads.join(Deadline(10)) == []
        assert sorted(delivery.body for delivery in taken) == [b"a", b"b"]
