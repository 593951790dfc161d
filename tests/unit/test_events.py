"""Events: who hears what, what a slow or broken listener costs, and how listening ends."""

from __future__ import annotations

from collections import deque
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.inside import inside
from typeddingo._io.threads import Deadline, Threads
from typeddingo.events import Event, EventCode, EventLevel, EventMux, EventSource, Subscription
from typeddingo.role import Role
from typeddingo.testing import eventually


def event(message: str = "", origin: Role = Role.WORKER, level: EventLevel = EventLevel.INFO) -> Event:
    return Event(origin, level, EventCode.GENERIC, message, time=0.0)


def test_levels_and_codes_have_the_values_of_go() -> None:
    assert [int(level) for level in EventLevel] == [0, 1, 2, 3]
    assert [EventCode.GENERIC, EventCode.TASK_DELIVERY_FAILURE, EventCode.DUPLICATED_POLLING] == [0, 1, 2]


def test_an_event_knows_when_it_happened_and_cannot_be_changed() -> None:
    made = Event(Role.BRIDGE, EventLevel.ERROR, EventCode.GENERIC, "x")
    assert made.time > 1_600_000_000
    with pytest.raises(AttributeError):
        made.message = "y"  # type: ignore[misc]  # what the test is about


class TestSource:
    def test_every_subscriber_gets_every_event_in_order(self) -> None:
        source = EventSource()
        first: list[Event] = []
        second: list[Event] = []
        source.subscribe(first.append)
        source.subscribe(second.append)
        events = [event("a"), event("b")]
        for each in events:
            source.publish(each)
        assert first == second == events

    def test_nobody_hears_after_unsubscribing_twice(self) -> None:
        source = EventSource()
        heard: list[Event] = []
        stop = source.subscribe(heard.append)
        again = source.subscribe(heard.append)
        stop()
        stop()
        source.publish(event())
        assert len(heard) == 1
        again()
        source.publish(event())
        assert len(heard) == 1

    def test_it_is_active_while_somebody_listens(self) -> None:
        source = EventSource()
        assert not source.active
        stop = source.subscribe(lambda event: None)
        active = [source.active]
        stop()
        assert [*active, source.active] == [True, False]

    def test_a_subscriber_that_raises_breaks_neither_the_publisher_nor_the_others(self) -> None:
        source = EventSource()
        heard: list[Event] = []

        def broken(event: Event) -> None:
            raise RuntimeError("broken")

        source.subscribe(broken)
        source.subscribe(heard.append)
        source.publish(event())
        assert len(heard) == 1
        assert source.lost == 1

    def test_an_event_about_an_event_is_counted_and_not_delivered(self) -> None:
        source = EventSource()
        heard: list[Event] = []

        def echo(each: Event) -> None:
            heard.append(each)
            source.publish(event("echo"))

        source.subscribe(echo)
        source.publish(event("voice"))
        source.publish(event("voice"))
        assert [each.message for each in heard] == ["voice", "voice"]
        assert source.lost == 2

    def test_two_sources_that_feed_each_other_come_to_rest(self) -> None:
        left, right = EventSource(), EventSource()
        heard: list[Event] = []
        left.subscribe(right.publish)
        right.subscribe(left.publish)
        right.subscribe(heard.append)
        left.publish(event("once"))
        assert [each.message for each in heard] == ["once"]

    def test_many_threads_may_publish_subscribe_and_unsubscribe(self) -> None:
        source = EventSource()
        counts = [0] * 4
        threads = Threads("test")

        def work(number: int) -> None:
            def count(each: Event) -> None:
                if each.message == str(number):
                    counts[number] += 1

            for _ in range(200):
                stop = source.subscribe(count)
                source.publish(event(str(number)))
                stop()

        for number in range(4):
            threads.start(str(number), partial(work, number))
        assert threads.join(Deadline(10)) == []
        assert counts == [200] * 4
        assert not source.active


class TestMux:
    def test_a_listener_hears_the_rooms_and_levels_it_asked_for(self) -> None:
        mux = EventMux()
        listener = mux.listen(Role.WORKER | Role.BRIDGE, EventLevel.WARNING)
        mux.publish(event("room", Role.MAPPER, EventLevel.ERROR))
        mux.publish(event("level", Role.WORKER, EventLevel.INFO))
        mux.publish(event("worker", Role.WORKER, EventLevel.WARNING))
        mux.publish(event("bridge", Role.BRIDGE, EventLevel.ERROR))
        mux.publish(event("both", Role.BRIDGE | Role.STORE, EventLevel.ERROR))
        mux.close()
        assert [each.message for each in listener] == ["worker", "bridge", "both"]

    def test_by_default_everything_from_info_upwards_is_heard(self) -> None:
        mux = EventMux()
        listener = mux.listen()
        for level in EventLevel:
            mux.publish(event(level.name, Role.CHAIN_ROUTINE, level))
        mux.close()
        assert [each.message for each in listener] == ["INFO", "WARNING", "ERROR"]

    def test_events_of_attached_sources_are_heard_until_the_mux_is_closed(self) -> None:
        mux, source = EventMux(), EventSource()
        mux.attach(source)
        mux.attach(None)
        listener = mux.listen()
        source.publish(event("adapter"))
        assert listener.get(0) == event("adapter")
        mux.close()
        assert not source.active
        mux.attach(source)
        assert not source.active

    def test_one_source_can_feed_two_muxes(self) -> None:
        source, first, second = EventSource(), EventMux(), EventMux()
        first.attach(source)
        second.attach(source)
        listeners = first.listen(), second.listen()
        source.publish(event("shared"))
        first.close()
        source.publish(event("after"))
        assert [listener.get(0) for listener in listeners] == [event("shared"), event("shared")]
        assert listeners[0].get(0) is None
        assert listeners[1].get(0) == event("after")

    def test_listening_to_a_closed_mux_ends_at_once(self) -> None:
        mux = EventMux()
        mux.close()
        mux.close()
        listener = mux.listen()
        assert listener.closed
        assert list(listener) == []

    def test_a_closed_listener_is_forgotten(self) -> None:
        mux = EventMux()
        with mux.listen():
            assert mux.active
        assert not mux.active


class TestSubscription:
    def test_a_slow_listener_loses_the_newest_and_counts_them(self) -> None:
        mux = EventMux()
        listener = mux.listen()
        for number in range(13):
            mux.publish(event(str(number)))
        assert listener.dropped == 3
        listener.close()
        assert [each.message for each in listener] == [str(number) for number in range(10)]

    def test_there_is_room_again_once_something_was_read(self) -> None:
        listener = Subscription(Role.ALL, EventLevel.DEBUG, room=1)
        listener.offer(event("first"))
        assert listener.get(0) == event("first")
        listener.offer(event("second"))
        assert listener.get(0) == event("second")
        assert listener.dropped == 0

    def test_get_returns_none_when_its_time_is_over(self) -> None:
        assert Subscription(Role.ALL, EventLevel.DEBUG).get(0.01) is None

    def test_a_waiting_reader_gets_what_is_published_later(self) -> None:
        mux = EventMux()
        heard: list[Event | None] = []
        listener = mux.listen()
        threads = Threads("test")
        reader = threads.start("reader", lambda: heard.append(listener.get(30)))
        eventually(lambda: inside(reader, "wait"), "the reader sleeps")
        mux.publish(event("later"))
        assert threads.join(Deadline(5)) == []
        assert heard == [event("later")]

    def test_closing_ends_every_waiting_reader(self) -> None:
        mux = EventMux()
        listener = mux.listen()
        ended: list[list[Event]] = []
        threads = Threads("test")
        readers = [threads.start(str(number), lambda: ended.append(list(listener))) for number in range(3)]
        eventually(lambda: all(inside(reader, "wait") for reader in readers), "every reader sleeps")
        listener.close()
        assert threads.join(Deadline(5)) == []
        assert ended == [[], [], []]

    def test_nothing_is_heard_after_closing(self) -> None:
        mux = EventMux()
        listener = mux.listen()
        listener.close()
        listener.close()
        mux.publish(event("too late"))
        listener.offer(event("too late"))
        assert list(listener) == []
        assert listener.dropped == 0

    def test_a_listener_may_close_itself_while_it_reads(self) -> None:
        mux = EventMux()
        with mux.listen() as listener:
            mux.publish(event("only"))
            for each in listener:
                assert each == event("only")
                listener.close()
        assert listener.closed


class MuxMachine(RuleBasedStateMachine):
    """Any mixture of listening, publishing, reading and closing: each listener hears exactly what a plain list says."""

    listeners = Bundle[Subscription]("listeners")

    def __init__(self) -> None:
        super().__init__()
        self.mux = EventMux()
        self.model: dict[Subscription, tuple[Role, EventLevel, deque[Event]]] = {}
        self.dropped: dict[Subscription, int] = {}
        self.open: set[Subscription] = set()
        self.count = 0

    @rule(
        target=listeners,
        roles=st.sampled_from([Role.ALL, Role.WORKER, Role.BRIDGE, Role(0)]),
        level=st.sampled_from(EventLevel),
    )
    def listen(self, roles: Role, level: EventLevel) -> Subscription:
        listener = self.mux.listen(roles, level, room=3)
        self.model[listener] = (roles, level, deque())
        self.dropped[listener] = 0
        self.open.add(listener)
        return listener

    @rule(origin=st.sampled_from([Role.WORKER, Role.BRIDGE, Role(0)]), level=st.sampled_from(EventLevel))
    def publish(self, origin: Role, level: EventLevel) -> None:
        self.count += 1
        made = event(str(self.count), origin, level)
        self.mux.publish(made)
        for listener in self.open:
            roles, least, waiting = self.model[listener]
            if origin & roles and level >= least:
                if len(waiting) < 3:
                    waiting.append(made)
                else:
                    self.dropped[listener] += 1

    @rule(listener=listeners)
    def read(self, listener: Subscription) -> None:
        waiting = self.model[listener][2]
        assert listener.get(0) == (waiting.popleft() if waiting else None)

    @rule(listener=listeners)
    def close(self, listener: Subscription) -> None:
        listener.close()
        self.open.discard(listener)

    @invariant()
    def the_counts_agree(self) -> None:
        assert self.mux.active == bool(self.open)
        for listener, dropped in self.dropped.items():
            assert listener.dropped == dropped
            assert listener.closed == (listener not in self.open)


TestMuxMachine = MuxMachine.TestCase
TestMuxMachine.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
