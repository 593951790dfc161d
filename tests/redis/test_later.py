"""What waits beside the stream: tasks that are not due, that are retried, that overtake others, that are cancelled."""

from __future__ import annotations

import time
from typing import cast

import pytest

from tests.redis.bench import DEAD, NAME, STREAM, Bench, frame, heard, parcel, send, take, wait_for
from tests.servers import RedisServer
from typeddingo._io.redis_reply import whole
from typeddingo.broker import Delivery, Listener, Parcel, Receipt
from typeddingo.brokers.redis import RedisBroker
from typeddingo.errors import QueueFull
from typeddingo.inspection import QueueState
from typeddingo.message import Meta
from typeddingo.terms import Terms
from typeddingo.testing import eventually

BESIDE = "tdg:{shop.order}:"
LATER, URGENT, WAITS, HURRIED, CANCELLED = (
    f"{BESIDE}{what}" for what in ("later", "urgent", "waits", "hurried", "cancelled")
)
HOUR = 3600.0


def asked(id: str, reply_to: str = "", **terms: float) -> Parcel:
    """A task on these terms."""
    return parcel(id, reply_to=reply_to)._replace(terms=Terms(**terms))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def who(delivery: Delivery) -> str:
    """The id of a task whose frame is ``frame(id)``."""
    return next(id for id in IDS if delivery.body == frame(id))


IDS = [str(number) for number in range(50)]


def busy(broker: RedisBroker, prefetch: int = 1) -> tuple[Listener, Delivery]:
    """A worker that runs a task, and another task that waits behind it: what comes now may overtake that."""
    listener = broker.add_listener(NAME, prefetch)
    send(broker, parcel("0"))
    (running,) = take(listener)
    send(broker, parcel("1"))
    return listener, running


def test_what_asks_for_nothing_leaves_no_trace(bench: Bench) -> None:
    broker = bench.broker()
    listener = broker.add_listener(NAME)
    send(broker, parcel("1"))
    take(listener)[0].settle(Receipt.OK)
    assert {key.removeprefix(BESIDE).partition(":")[0] for key in bench.all_keys()} == {"tasks", "sent"}


class TestLater:
    def test_an_idle_worker_starts_a_task_when_it_is_due(self, bench: Bench) -> None:
        broker, caller = bench.broker(), bench.broker()
        listener = broker.add_listener(NAME)
        late: list[float] = []
        for number, delay in enumerate((0.5, 0.4, 0.1, 0.05)):
            due = time.monotonic() + delay
            send(caller, asked(str(number), delay=delay))
            (delivery,) = take(listener)
            late.append(time.monotonic() - due)
            delivery.settle(Receipt.OK)
        assert min(late) >= 0
        assert max(late) < 1.0  # a tenth of that on a machine with nothing else to do

    def test_one_that_is_sent_again_waits_once(self, bench: Bench) -> None:
        broker = bench.broker()
        for _ in range(2):
            send(broker, asked("1", delay=HOUR))
        assert bench.ask("ZCARD", LATER) == bench.ask("HLEN", WAITS) == 1

    def test_those_that_wait_count_for_the_bound(self, bench: Bench) -> None:
        broker = bench.broker("max_length=2")
        send(broker, asked("1", delay=HOUR), parcel("2"))
        for more in (parcel("3"), asked("4", delay=HOUR)):
            with pytest.raises(QueueFull):
                send(broker, more)
        assert broker.queue(NAME) == QueueState(NAME, 1, 0, 0, 0, later=1)

    def test_the_clock_of_the_server_counts(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        broker = bench.broker()
        listener = broker.add_listener(NAME, 2)
        right = time.time
        monkeypatch.setattr(time, "time", lambda: right() + HOUR)
        send(broker, asked("1", delay=0.3, lifetime=60.0), asked("2", lifetime=60.0))
        deliveries = take(listener, 2)
        assert {who(each): each.expired for each in deliveries} == {"1": False, "2": False}

    def test_it_survives_a_server_that_is_killed(self, own_bench: Bench, own_server: RedisServer) -> None:
        broker = own_bench.broker("send_timeout=20")
        listener = broker.add_listener(NAME)
        send(broker, parcel("1"))
        (delivery,) = take(listener)
        delivery.delay = 1.0
        delivery.settle(Receipt.RETRY)
        send(broker, asked("2", delay=2.0))
        own_server.kill()
        own_server.start()
        seen = [(who(each), each.retries) for each in self.one_by_one(listener, 2)]
        assert seen == [("1", 1), ("2", 0)]

    def one_by_one(self, listener: Listener, count: int) -> list[Delivery]:
        seen: list[Delivery] = []
        for _ in range(count):
            (delivery,) = take(listener, seconds=20)
            seen.append(delivery)
            delivery.settle(Receipt.OK)
        return seen

    def test_what_is_gone_from_the_server_does_not_stop_the_others(self, bench: Bench) -> None:
        broker = bench.broker()
        listener, running = busy(broker)
        send(broker, asked("2", delay=HOUR), asked("3", priority=9))
        bench.ask("FLUSHALL")
        running.settle(Receipt.OK)
        send(broker, asked("4", delay=0.2), asked("5", priority=9))
        assert {who(each) for each in self.one_by_one(listener, 2)} == {"4", "5"}


class TestRetry:
    def test_it_leaves_the_stream_in_one_step(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, parcel("1"))
        (delivery,) = take(broker.add_listener(NAME))
        delivery.delay = HOUR
        delivery.settle(Receipt.RETRY)
        assert bench.ask("XLEN", STREAM) == 0
        assert bench.pending() == []
        assert broker.queue(NAME).later == bench.ask("HLEN", WAITS) == 1

    def test_who_was_believed_dead_retries_nothing(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, parcel("1"), parcel("2"))
        for delivery, receipt in zip(
            take(broker.add_listener(NAME, 2), 2), (Receipt.RETRY, Receipt.LATER), strict=True
        ):
            bench.ask("XCLAIM", STREAM, "workers", "another", 0, cast("bytes", delivery.tag))
            delivery.delay = 0.0
            delivery.settle(receipt)
        assert bench.pending() == [(b"another", 2)] * 2
        assert bench.ask("XLEN", STREAM) == 2
        assert bench.ask("EXISTS", LATER, WAITS) == 0

    def test_deaths_of_workers_are_counted_anew(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5")
        listener = broker.add_listener(NAME)
        assert list(listener.take(1, 0.05)) == []
        send(broker, parcel("1"))
        bench.die_with(1)
        (delivery,) = take(listener)
        assert (delivery.attempt, delivery.retries) == (2, 0)
        delivery.settle(Receipt.RETRY)
        (delivery,) = take(listener)
        assert (delivery.attempt, delivery.retries) == (1, 1)

    def test_many_at_once_are_retried_each(self, bench: Bench) -> None:
        broker = bench.broker()
        listener = broker.add_listener(NAME, 50)
        send(broker, *[parcel(id) for id in IDS])
        for retries in range(3):
            held = take(listener, len(IDS))
            assert {who(each) for each in held} == set(IDS)
            assert {each.retries for each in held} == {retries}
            listener.settle([(each, Receipt.RETRY) for each in held])

    def test_one_that_failed_for_good_starts_anew_when_it_is_put_back(self, bench: Bench) -> None:
        broker = bench.broker()
        events = heard(broker.events())
        listener = broker.add_listener(NAME)
        send(broker, asked("1", lifetime=HOUR, priority=3))
        (delivery,) = take(listener)
        delivery.settle(Receipt.RETRY)
        (delivery,) = take(listener)
        assert delivery.retries == 1
        delivery.reason = "ValueError: no\nTraceback: secret"
        delivery.settle(Receipt.FAILED)
        assert "secret" not in wait_for(events, "dead-lettered").message
        (dead,) = broker.dead(NAME)
        assert (dead.id, dead.reason) == ("1", f"failed: {delivery.reason}")
        assert broker.replay(NAME) == 1
        (delivery,) = take(listener)
        assert (who(delivery), delivery.retries) == ("1", 0)
        (entry,) = whole(bench.ask("XRANGE", STREAM, "-", "+"))
        assert whole(whole(entry)[1])[::2] == [b"b", b"p"]


class TestUrgent:
    def test_it_overtakes_who_waits_a_shorter_time_than_its_head_start(self, bench: Bench) -> None:
        broker = bench.broker()
        listener = broker.add_listener(NAME)
        now = int(time.time() * 1000)
        for age in (60, 5):
            bench.ask("XADD", STREAM, f"{now - age * 1000}-0", "b", frame(str(age % 50)))
        (running,) = take(listener)  # the one of a minute ago; another as old follows
        send(broker, asked("1", priority=1), asked("9", priority=9))
        running.settle(Receipt.OK)
        order: list[str] = []
        for _ in range(3):
            (delivery,) = take(listener)
            order.append(who(delivery))
            delivery.settle(Receipt.OK)
        assert order == ["9", "1", "5"]

    def test_it_does_not_overtake_who_waits_longer(self, bench: Bench) -> None:
        broker = bench.broker()
        listener = broker.add_listener(NAME)
        now = int(time.time() * 1000)
        for number, age in enumerate((60, 50)):
            bench.ask("XADD", STREAM, f"{now - age * 1000}-0", "b", frame(str(number)))
        (running,) = take(listener)
        send(broker, asked("4", priority=4), asked("9", priority=9))
        running.settle(Receipt.OK)
        order: list[str] = []
        for _ in range(3):
            (delivery,) = take(listener)
            order.append(who(delivery))
            delivery.settle(Receipt.OK)
        assert order == ["9", "1", "4"]

    def test_it_is_leased_as_others_are(self, bench: Bench) -> None:
        broker, peer = bench.broker("lease=0.6"), bench.broker("lease=0.6")
        listener, running = busy(broker, 2)
        send(broker, asked("2", priority=9))
        running.settle(Receipt.OK)
        (urgent,) = take(listener)
        assert who(urgent) == "2"
        assert broker.queue(NAME) == QueueState(NAME, 1, 1, 0, 1)
        others = peer.add_listener(NAME)
        (usual,) = take(others)
        assert who(usual) == "1"
        assert list(others.take(1, 2.0)) == []
        urgent.settle(Receipt.OK)
        assert bench.ask("XLEN", HURRIED) == 0

    def test_it_runs_elsewhere_when_its_worker_dies_and_is_put_aside_when_many_did(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5&max_deliveries=3")
        events = heard(broker.events())
        listener, running = busy(broker)
        send(broker, asked("2", priority=9))
        running.settle(Receipt.OK)
        (urgent,) = take(listener)
        for deaths in range(1, 3):
            bench.ask("XCLAIM", HURRIED, "workers", "dead", 0, cast("bytes", urgent.tag)[1:], "RETRYCOUNT", deaths)
            urgent = self.first_again(listener)
            assert (who(urgent), urgent.attempt) == ("2", deaths + 1)
        bench.ask("XCLAIM", HURRIED, "workers", "dead", 0, cast("bytes", urgent.tag)[1:], "RETRYCOUNT", 3)
        assert wait_for(events, "its workers died").id == "2"
        assert bench.ask("XLEN", DEAD) == 1

    def first_again(self, listener: Listener) -> Delivery:
        """The first that was started before; the others are done."""
        while True:
            (delivery,) = take(listener)
            if delivery.attempt > 1:
                return delivery
            delivery.settle(Receipt.OK)

    def test_who_was_believed_dead_settles_none(self, bench: Bench) -> None:
        broker = bench.broker()
        listener, running = busy(broker)
        send(broker, asked("2", priority=9))
        running.settle(Receipt.OK)
        (urgent,) = take(listener)
        bench.ask("XCLAIM", HURRIED, "workers", "another", 0, cast("bytes", urgent.tag)[1:])
        urgent.settle(Receipt.RETRY)
        assert bench.ask("XLEN", HURRIED) == 1
        assert bench.ask("EXISTS", LATER) == 0

    def test_it_keeps_its_priority_when_it_is_retried(self, bench: Bench) -> None:
        broker = bench.broker()
        listener, running = busy(broker)
        send(broker, asked("2", priority=9))
        running.settle(Receipt.OK)
        (urgent,) = take(listener)
        urgent.settle(Receipt.RETRY)
        (urgent,) = take(listener)
        assert (who(urgent), urgent.retries) == ("2", 1)

    def test_those_who_sleep_are_roused_for_it(self, bench: Bench) -> None:
        """As if the last task before it was taken while it was sent."""
        broker = bench.broker()
        listener, running = busy(broker)
        send(broker, asked("2", priority=9))
        assert bench.ask("ZCARD", URGENT) == 1
        bench.ask("XREADGROUP", "GROUP", "workers", "another", "STREAMS", STREAM, ">")
        eventually(lambda: bench.ask("ZCARD", URGENT) == 0, "it stands where a sleeper sees it", 1)
        running.settle(Receipt.OK)
        assert who(take(listener)[0]) == "2"


class TestCancelled:
    def test_the_caller_of_a_waiting_one_is_told_at_once(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, asked("1", "caller", delay=HOUR), asked("2", "other", delay=HOUR), asked("3", delay=HOUR))
        metas = [Meta(NAME, id, "caller") for id in ("1", "2", "3")]
        for _ in range(2):  # who did not hear the answer asks again
            assert list(broker.cancel(metas)) == [True, False, True]
        assert bench.ask("EXISTS", LATER, WAITS) == 0
        (delivery,) = take(broker.add_listener(NAME))
        assert (who(delivery), delivery.reply_to) == ("2", "other")  # a worker tells that one

    def test_of_two_with_one_id_none_is_taken_for_the_other(self, bench: Bench) -> None:
        broker = bench.broker()
        told: list[tuple[str, str]] = []
        broker.watch_cancelled(lambda name, id: told.append((name, id)))
        send(broker, asked("1", "one", delay=0.3), asked("1", "two", delay=0.3))
        assert bench.ask("ZCARD", LATER) == 2
        assert list(broker.cancel([Meta(NAME, "1", "one")])) == [False]
        assert {each.reply_to for each in take(broker.add_listener(NAME, 2), 2)} == {"one", "two"}
        assert told == [(NAME, "1")]

    def test_it_is_forgotten_when_it_has_ended(self, bench: Bench) -> None:
        broker = bench.broker()
        told: list[tuple[str, str]] = []
        broker.watch_cancelled(lambda name, id: told.append((name, id)))
        listener = broker.add_listener(NAME)
        send(broker, parcel("1"), parcel("2"))
        broker.cancel([Meta(NAME, "1"), Meta(NAME, "never sent")])
        for _ in range(2):
            take(listener)[0].settle(Receipt.OK)
        assert set(told) == {(NAME, "1"), (NAME, "never sent")}
        eventually(lambda: bench.ask("ZRANGE", CANCELLED, 0, -1) == [b"never sent"], "it has ended", 2)
        assert 0 < cast("int", bench.ask("TTL", CANCELLED)) <= 24 * 3600

    def test_a_sleeper_that_is_handed_it_knows(self, bench: Bench) -> None:
        broker, caller = bench.broker(), bench.broker()
        told: list[tuple[str, str]] = []
        broker.watch_cancelled(lambda name, id: told.append((name, id)))
        listener = broker.add_listener(NAME)
        assert list(listener.take(1, 0.05)) == []
        caller.cancel([Meta(NAME, "1")])
        eventually(lambda: told == [(NAME, "1")], "it was told", 1)
