"""What every timetable promises: of many who try to fire, one does, and all know afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TypeAlias

import pika
import pytest

from typeddingo import Meta, Parcel, QueueFull, Receipt, Unroutable
from typeddingo.broker import Listener, NamedBroker
from typeddingo.brokers import _amqp_timetable
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.brokers.redis import RedisBroker
from typeddingo.header import Header
from typeddingo.terms import Terms
from typeddingo.testing import eventually
from typeddingo.timetable import Look, ScheduleKey, Seat, Timetable

Broker: TypeAlias = "LocalNamedBroker | RedisBroker | AmqpBroker"
KEY = ScheduleKey("a schedule: ünusual %", "a.task")


@pytest.fixture(params=["local", "redis", "amqp"])
def brokers(request: pytest.FixtureRequest) -> Iterator[tuple[Broker, Broker]]:
    """Two of them for one server; in memory, one twice."""
    if request.param == "local":
        with closing(LocalNamedBroker(max_length=3)) as broker:
            yield broker, broker
        return
    kind = RedisBroker if request.param == "redis" else AmqpBroker
    url: str = request.getfixturevalue(f"{request.param}_url")
    with closing(kind(url, max_length=3)) as one, closing(kind(url, max_length=3)) as two:
        yield one, two


def nothing() -> None: ...


def parcel(id: str, terms: Terms | None = None) -> Parcel:
    body = Header(id, KEY.task).to_bytes() + b"{}"
    return Parcel(Meta(KEY.task, id), body) if terms is None else Parcel(Meta(KEY.task, id), body, terms)


def ours(*seats: Seat) -> Seat:
    """Whoever may fire, once somebody may."""
    eventually(lambda: any(seat.look().ours for seat in seats), "somebody may fire")
    return next(seat for seat in seats if seat.look().ours)


def begun(timetable: Timetable) -> tuple[Seat, float]:
    """A seat, and up to when all is settled."""
    seat = ours(timetable.take_part(KEY, nothing))
    now = seat.look().now
    assert seat.fire(None, now, ())
    last = seat.look().last
    assert last == pytest.approx(now, abs=0.001)
    assert last is not None
    return seat, last


def taken(broker: NamedBroker, count: int) -> list[bytes]:
    listener: Listener = broker.add_listener(KEY.task, 10)
    bodies: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(bodies) < count and time.monotonic() < deadline:
        for delivery in listener.take(10, 0.2):
            bodies.append(delivery.body)
            listener.settle([(delivery, Receipt.OK)])
    assert [delivery.body for delivery in listener.take(1, 0.3)] == []
    listener.close()
    return bodies


def fill(broker: Broker) -> int:
    """Until there is no room; RabbitMQ finds that a little late."""
    for count in range(50):
        try:
            broker.send([parcel(f"before {count}")]).wait(10)
        except QueueFull:
            return count
    raise AssertionError("the queue has no bound")


def test_at_first_nothing_is_known_and_the_clock_is_right(brokers: tuple[Broker, Broker]) -> None:
    seat = ours(brokers[0].take_part(KEY, nothing))
    look = seat.look()
    assert look == Look(look.now, None, True)
    assert abs(look.now - time.time()) < 5
    assert brokers[1].last_fired([KEY]) == [None]
    assert brokers[1].last_fired([]) == []
    seat.leave()


def test_what_was_fired_is_stored_and_known_to_everybody(brokers: tuple[Broker, Broker]) -> None:
    seat, last = begun(brokers[0])
    to = seat.look().now
    assert seat.fire(last, to, [parcel("1"), parcel("2")])
    assert seat.look().last == pytest.approx(to, abs=0.001)
    eventually(lambda: brokers[1].last_fired([KEY])[0] == seat.look().last)
    assert len(taken(brokers[1], 2)) == 2
    seat.leave()


def test_nothing_is_fired_before_its_time_nor_by_who_knows_less(brokers: tuple[Broker, Broker]) -> None:
    seat, last = begun(brokers[0])
    now = seat.look().now
    assert not seat.fire(last, now + 60, [parcel("early")])
    assert not seat.fire(None, now, [parcel("again the first")])
    assert not seat.fire(last - 1, now, [parcel("from the past")])
    assert seat.look().last == last
    assert taken(brokers[1], 0) == []
    seat.leave()


def test_of_two_who_take_part_one_fires_and_when_it_leaves_the_other_does(brokers: tuple[Broker, Broker]) -> None:
    woken = threading.Event()
    one, last = begun(brokers[0])
    two = brokers[1].take_part(KEY, woken.set)
    to = one.look().now
    done = [one.fire(last, to, [parcel("1")]), two.fire(last, to, [parcel("1")])]
    assert sorted(done) == [False, True]
    woken.clear()
    one.leave()
    one.leave()
    eventually(lambda: two.look().ours, "the other may fire")
    assert isinstance(brokers[0], (LocalNamedBroker, RedisBroker)) or woken.wait(10)
    known = two.look().last
    assert known == pytest.approx(to, abs=0.001)
    assert two.fire(known, two.look().now, [parcel("2")])
    assert len(taken(brokers[1], 2)) == 2
    two.leave()


def test_a_full_queue_is_told_and_leaves_everything_as_it_was(brokers: tuple[Broker, Broker]) -> None:
    seat, last = begun(brokers[0])
    count = fill(brokers[0])
    with pytest.raises(QueueFull):
        seat.fire(last, seat.look().now, [parcel("one too many")])
    assert seat.look().last == last
    assert len(taken(brokers[1], count)) == count
    assert seat.fire(last, seat.look().now, [parcel("now there is room")])
    assert len(taken(brokers[1], 1)) == 1
    seat.leave()


def test_tasks_with_terms_are_stored_on_their_terms(brokers: tuple[Broker, Broker]) -> None:
    seat, last = begun(brokers[0])
    to = seat.look().now
    assert seat.fire(last, to, [parcel("urgent", Terms(priority=9))])
    assert seat.look().last == pytest.approx(to, abs=0.001)
    assert len(taken(brokers[1], 1)) == 1
    seat.leave()


def test_a_queue_that_is_gone_is_made_again(amqp_url: str) -> None:
    with closing(AmqpBroker(amqp_url)) as broker:
        seat, last = begun(broker)
        queue = broker._queue(KEY.task).main  # pyright: ignore[reportPrivateUsage]  # its name
        with closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as link:
            link.channel().queue_delete(queue)

        def fires() -> bool:
            try:
                return seat.fire(last, seat.look().now, [parcel("1")])
            except Unroutable:
                return False

        eventually(fires, "it is fired after all")
        assert len(taken(broker, 1)) == 1


def test_a_baton_is_renewed_before_the_server_takes_it_for_forgotten(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(AmqpBroker(amqp_url)) as broker:
        seat, last = begun(broker)
        monkeypatch.setattr(_amqp_timetable, "RENEW", 0.0)
        for _ in range(50):
            assert seat.look().last == last
        monkeypatch.undo()
        assert seat.fire(last, seat.look().now, [parcel("1")])
        eventually(lambda: seat.look().last != last)
        assert len(taken(broker, 1)) == 1


def test_schedules_of_one_name_of_two_tasks_do_not_know_each_other(brokers: tuple[Broker, Broker]) -> None:
    one, two = brokers
    mine, others = (
        one.take_part(ScheduleKey("nightly", "a"), nothing),
        two.take_part(ScheduleKey("nightly", "b"), nothing),
    )
    eventually(lambda: mine.look().ours and others.look().ours, "both may fire")
    assert mine.fire(None, mine.look().now, ())
    assert others.look().last is None
