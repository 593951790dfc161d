"""Any sequence of sending, taking, settling, giving back and closing: the queue does what a list on paper does."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple, rule

from typeddingo.broker import Delivery, Listener, Parcel, Receipt
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.errors import QueueFull
from typeddingo.message import Meta

ENDS = [receipt for receipt in Receipt if receipt not in (Receipt.RETRY, Receipt.LATER)]
"""What is put off comes back in its own time: tests/life."""
NAMES = st.sampled_from(["a", "b"])
BOUND = 6


@dataclass(eq=False)
class Taker:
    """One listener, and what it should hold."""

    listener: Listener
    key: str
    prefetch: int
    held: dict[Delivery, int] = field(default_factory=dict[Delivery, int])
    closed: bool = False


class NamedMachine(RuleBasedStateMachine):
    """Tasks are numbered in the order in which they are sent; a number is in one place at any time."""

    takers = Bundle[Taker]("takers")
    deliveries = Bundle[tuple[Taker, Delivery]]("deliveries")

    def __init__(self) -> None:
        super().__init__()
        self.broker = self.make_broker()
        self.all_takers: list[Taker] = []
        self.waiting: dict[str, list[int]] = {}
        self.settled: set[int] = set()
        self.dead: list[int] = []
        self.sent = 0

    def make_broker(self) -> LocalBroker | LocalNamedBroker:
        return LocalNamedBroker(max_length=BOUND)

    def key(self, name: str) -> str:
        """Which queue a name goes to."""
        return name

    @rule(names=st.lists(NAMES, max_size=4))
    def send(self, names: list[str]) -> None:
        numbers = list(range(self.sent, self.sent + len(names)))
        after = {key: list(queue) for key, queue in self.waiting.items()}
        for name, number in zip(names, numbers, strict=True):
            after.setdefault(self.key(name), []).append(number)
        full = any(len(after[self.key(name)]) > BOUND for name in names)
        try:
            self.broker.send([Parcel(Meta(n, str(i)), b"%d" % i) for n, i in zip(names, numbers, strict=True)])
        except QueueFull:
            assert full
        else:
            assert not full
            self.waiting = after
            self.sent += len(names)

    @rule(target=takers, name=NAMES, prefetch=st.integers(1, 3))
    def listen(self, name: str, prefetch: int) -> Taker:
        broker = self.broker
        listener = (
            broker.add_listener(prefetch) if isinstance(broker, LocalBroker) else broker.add_listener(name, prefetch)
        )
        taker = Taker(listener, self.key(name), prefetch)
        self.all_takers.append(taker)
        return taker

    @rule(target=deliveries, taker=takers, count=st.integers(1, 4))
    def take(self, taker: Taker, count: int) -> MultipleResults[tuple[Taker, Delivery]]:
        queue = self.waiting.setdefault(taker.key, [])
        room = 0 if taker.closed else min(count, taker.prefetch - len(taker.held))
        expected = queue[:room]
        del queue[:room]
        taken = list(taker.listener.take(count, 0))
        assert [int(delivery.body) for delivery in taken] == expected
        taker.held.update(zip(taken, expected, strict=True))
        return multiple(*((taker, delivery) for delivery in taken))

    @rule(chosen=st.lists(deliveries, min_size=1, max_size=3, unique=True), receipt=st.sampled_from(ENDS))
    def settle(self, chosen: list[tuple[Taker, Delivery]], receipt: Receipt) -> None:
        """Also those that are settled already, and those of another listener: these change nothing."""
        listener = chosen[0][0].listener
        listener.settle([(delivery, receipt) for _, delivery in chosen])
        for taker, delivery in chosen:
            if taker.listener is not listener or (number := taker.held.pop(delivery, None)) is None:
                continue
            if receipt is Receipt.GIVE_BACK:
                self.waiting[taker.key] = sorted([*self.waiting[taker.key], number])
            elif receipt is Receipt.OK:
                self.settled.add(number)
            else:
                self.dead.append(number)

    @rule(taker=takers)
    def close_listener(self, taker: Taker) -> None:
        taker.listener.close()
        taker.closed = True

    @rule()
    def stop_all_listeners(self) -> None:
        self.broker.stop_all_listeners()
        for taker in self.all_takers:
            taker.closed = True

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        waiting = [number for queue in self.waiting.values() for number in queue]
        held = [number for taker in self.all_takers for number in taker.held.values()]
        assert self.broker.waiting() == len(waiting)
        assert [int(letter.body) for letter in self.broker.dead()] == self.dead
        assert sorted([*waiting, *held, *self.settled, *self.dead]) == list(range(self.sent))

    def teardown(self) -> None:
        """Closing puts back what nobody settled, of open and of closed listeners."""
        left = sum(map(len, self.waiting.values())) + sum(len(taker.held) for taker in self.all_takers)
        self.broker.close()
        assert self.broker.waiting() == left


class UnnamedMachine(NamedMachine):
    """The same with one queue for all names."""

    def make_broker(self) -> LocalBroker | LocalNamedBroker:
        return LocalBroker(max_length=BOUND)

    def key(self, name: str) -> str:
        return ""


TestNamed = NamedMachine.TestCase
TestNamed.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestUnnamed = UnnamedMachine.TestCase
TestUnnamed.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
