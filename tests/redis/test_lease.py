"""Who has a task, for how long, and what happens when he dies."""

from __future__ import annotations

import threading
import time

import pytest

from tests.inside import inside
from tests.redis.bench import DEAD, NAME, STREAM, Bench, frame, heard, parcel, send, take, wait_for
from tests.servers import RedisServer
from typeddingo._io.gate import Gate
from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_reply import whole
from typeddingo._io.redis_settings import RedisSettings
from typeddingo.broker import Delivery, Receipt
from typeddingo.brokers import _redis_suspects
from typeddingo.brokers._redis_listener import RedisListener
from typeddingo.brokers._redis_queue import RedisQueue, Taken
from typeddingo.brokers._redis_suspects import Suspects
from typeddingo.errors import ConnectionLost
from typeddingo.events import EventCode, EventLevel
from typeddingo.testing import eventually


def tag(delivery: Delivery) -> bytes:
    """Which entry of the stream it is."""
    assert isinstance(delivery.tag, bytes)
    return delivery.tag


class TestLease:
    def test_a_task_stays_with_its_worker_for_as_long_as_that_lives(self, bench: Bench) -> None:
        broker, peer = bench.broker("lease=0.6"), bench.broker("lease=0.6")
        send(broker, parcel())
        (delivery,) = take(broker.add_listener(NAME))
        assert list(peer.add_listener(NAME).take(1, 2.0)) == []
        delivery.settle(Receipt.OK)

    def test_what_a_dead_worker_held_runs_elsewhere_and_is_counted(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5")
        listener = broker.add_listener(NAME)
        assert list(listener.take(1, 0.05)) == []
        send(broker, parcel("1"))
        bench.die_with(1)
        (delivery,) = take(listener)
        assert delivery.attempt == 2
        delivery.settle(Receipt.OK)
        eventually(lambda: bench.ask("XLEN", STREAM) == 0, "it is settled", 2)

    def test_a_worker_that_was_believed_dead_settles_nothing(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, parcel("1"), parcel("2"), parcel("3"))
        held = take(broker.add_listener(NAME, 3), 3)
        for delivery in held:
            bench.ask("XCLAIM", STREAM, "workers", "another", 0, tag(delivery))
        for delivery, receipt in zip(held, (Receipt.OK, Receipt.NOK, Receipt.GIVE_BACK), strict=True):
            delivery.settle(receipt)
        assert bench.pending() == [(b"another", 2)] * 3
        assert bench.ask("XLEN", DEAD) == 0

    def test_and_hears_of_it(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.6")
        events = heard(broker.events())
        send(broker, parcel("1"))
        listener = broker.add_listener(NAME)
        (delivery,) = take(listener)
        bench.ask("XCLAIM", STREAM, "workers", "another", 0, tag(delivery))
        assert wait_for(events, "silent for too long").code is EventCode.TASK_DELIVERY_FAILURE
        send(broker, parcel("2"))
        assert take(listener)[0].body != delivery.body  # its room is free again

    def test_a_reply_that_was_lost_on_its_way_costs_nothing(self, bench: Bench) -> None:
        """The server has handed a task out, to a connection that is gone."""
        broker = bench.broker("lease=60")
        listener = broker.add_listener(NAME, 10)
        assert list(listener.take(1, 0.05)) == []
        (me,) = [whole(each)[1] for each in whole(bench.ask("XINFO", "CONSUMERS", STREAM, "workers"))]
        assert isinstance(me, bytes)
        listener.take(1, 0)  # it is not waiting now
        send(broker, parcel("1"))
        bench.ask("XREADGROUP", "GROUP", "workers", me, "STREAMS", STREAM, ">")
        bench.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        (delivery,) = take(listener, seconds=5)
        assert delivery.attempt == 1
        delivery.settle(Receipt.OK)


class TestSuspects:
    def test_run_alone(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5")
        listener = broker.add_listener(NAME, 10)
        assert list(listener.take(1, 0.05)) == []
        send(broker, *[parcel(f"suspect-{number}") for number in range(3)])
        bench.die_with(3)
        idle = ("XPENDING", STREAM, "workers", "IDLE", 500, "-", "+", 10)
        eventually(lambda: len(whole(bench.ask(*idle))) == 3, "their lease is over")
        send(broker, *[parcel(f"good-{number}") for number in range(5)])
        running, seen, alone = 0, 0, True
        lock = threading.Lock()

        def work() -> None:
            nonlocal running, seen, alone
            while not listener.closed:
                for delivery in listener.take(2, 1.0):
                    with lock:
                        running += 1
                    time.sleep(0.02)
                    with lock:
                        alone = alone and (delivery.attempt == 1 or running == 1)
                        running, seen = running - 1, seen + 1
                    delivery.settle(Receipt.OK)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        eventually(lambda: seen >= 8, "all have run", 20)
        listener.close()
        for worker in workers:
            worker.join()
        assert alone
        assert seen == 8

    def test_wait_for_what_runs_and_then_run(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5")
        listener = broker.add_listener(NAME, 10)
        send(broker, parcel("slow"))
        (slow,) = take(listener)
        send(broker, parcel("suspect"))
        bench.die_with(1)
        assert list(listener.take(1, 1.5)) == []
        slow.settle(Receipt.OK)
        (suspect,) = take(listener)
        assert suspect.attempt == 2

    def test_what_kills_its_workers_again_and_again_is_put_aside(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5&max_deliveries=3")
        events = heard(broker.events())
        listener = broker.add_listener(NAME, 10)
        assert list(listener.take(1, 0.05)) == []
        send(broker, parcel("poison", reply_to="caller"), parcel("good"))
        bench.die_with(1, starts=3)
        assert [delivery.attempt for delivery in take(listener, 1)] == [1]
        event = wait_for(events, "dead-lettered")
        assert (event.code, event.level, event.task, event.id) == (
            EventCode.DEAD_LETTER,
            EventLevel.ERROR,
            NAME,
            "poison",
        )
        (dead,) = broker.dead(NAME)
        assert (dead.id, dead.deliveries, dead.reason) == ("poison", 3, "its worker died 3 times while it ran")
        assert list(listener.take(1, 1.0)) == []

    def test_none_is_begun_more_often_than_it_may(self, bench: Bench) -> None:
        """Also by whoever sees it before the keeper does."""
        broker = bench.broker("lease=60")
        assert list(broker.add_listener(NAME).take(1, 0.05)) == []
        send(broker, parcel("poison"), parcel("good"))
        bench.die_with(1, starts=3)
        bench.die_with(1, starts=2)
        settings = RedisSettings.parse(f"{bench.url}?lease=0.001&max_deliveries=3")
        queue = RedisQueue(NativeKeys("tdg"), settings, NAME, "me")
        link = RedisLink(settings, 5.0)
        link.open()
        time.sleep(0.01)
        taken = queue.claim_suspect(link) + queue.claim_suspect(link)
        link.close()
        assert [(each.body, each.attempt) for each in taken] == [(frame("good"), 3)]

    def test_are_found_by_every_process_and_run_in_one(self, bench: Bench) -> None:
        listeners = [bench.broker("lease=0.5").add_listener(NAME, 100) for _ in range(2)]
        for listener in listeners:
            assert list(listener.take(1, 0.05)) == []
        send(bench.broker(), *[parcel(str(number)) for number in range(20)])
        bench.die_with(20)
        seen: list[bytes] = []

        def all_seen() -> bool:
            for listener in listeners:
                for delivery in listener.take(5, 0.05):
                    seen.append(delivery.body)
                    delivery.settle(Receipt.OK)
            return len(seen) >= 20

        eventually(all_seen, "all have run", 20)
        assert len(set(seen)) == 20


class TestGivenBack:
    def test_another_process_sees_it_within_a_second(self, bench: Bench) -> None:
        broker, peer = bench.broker(), bench.broker()
        send(broker, *[parcel(str(number)) for number in range(50)])
        listener = broker.add_listener(NAME, 50)
        held = take(listener, 50)
        waiting = peer.add_listener(NAME, 100)
        assert list(waiting.take(1, 0.1)) == []
        listener.settle([(delivery, Receipt.GIVE_BACK) for delivery in held])
        listener.close()
        start = time.monotonic()
        again = take(waiting, 50)
        assert time.monotonic() - start < 1.0
        assert [delivery.body for delivery in again] == [delivery.body for delivery in held]

    def test_and_it_does_not_count(self, bench: Bench) -> None:
        broker = bench.broker("max_deliveries=2")
        send(broker, parcel("1"))
        listener = broker.add_listener(NAME)
        for _ in range(5):
            (delivery,) = take(listener)
            assert delivery.attempt == 1
            delivery.settle(Receipt.GIVE_BACK)
        assert bench.ask("XLEN", DEAD) == 0

    def test_another_thread_of_this_process_takes_it_at_once(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, parcel("1"))
        listener = broker.add_listener(NAME, 2)
        (delivery,) = take(listener)
        taken: list[Delivery] = []
        thread = threading.Thread(target=lambda: taken.extend(take(listener)))
        thread.start()
        eventually(lambda: inside(thread, "answers"), "it waits for the server")
        start = time.monotonic()
        delivery.settle(Receipt.GIVE_BACK)
        thread.join()
        assert time.monotonic() - start < 0.6
        assert [each.body for each in taken] == [delivery.body]

    def test_it_is_taken_before_what_waits(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, *[parcel(str(number)) for number in range(4)])
        listener = broker.add_listener(NAME, 4)
        first = take(listener, 2)
        first[0].settle(Receipt.GIVE_BACK)
        assert take(listener)[0].body == first[0].body


class TestReceipts:
    def test_a_task_that_is_settled_is_gone(self, bench: Bench) -> None:
        """When ``settle`` returns: what is acknowledged early must not run twice."""
        broker = bench.broker()
        send(broker, parcel("1"))
        take(broker.add_listener(NAME))[0].settle(Receipt.OK)
        assert bench.ask("XLEN", STREAM) == 0

    def test_an_acknowledgement_says_whether_it_is_certain(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker("connect_timeout=1")
        send(broker, parcel("1"), parcel("2"), parcel("3"))
        listener = broker.add_listener(NAME, 3)
        first, second, third = take(listener, 3)
        assert listener.acknowledge([first])
        assert own_bench.ask("XLEN", STREAM) == 2
        assert not listener.acknowledge([first])
        own_bench.ask("XCLAIM", STREAM, "workers", "another", 0, tag(second))
        assert isinstance(listener, RedisListener)
        listener.forget([tag(second)], [])  # as the keeper does
        assert not listener.acknowledge([second])
        own_server.stop()
        assert not listener.acknowledge([third])
        own_server.start()

    def test_what_a_worker_found_is_the_reason(self, bench: Bench) -> None:
        broker = bench.broker()
        events = heard(broker.events())
        send(broker, parcel("1"))
        (delivery,) = take(broker.add_listener(NAME))
        delivery.reason = "done"  # nor is it taken for a verdict
        delivery.settle(Receipt.NOK)
        assert [each.reason for each in broker.dead(NAME)] == ["refused: done"]
        assert wait_for(events, "dead-lettered: refused: done").id == "1"

    def test_what_cannot_be_settled_now_is_settled_later(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker("connect_timeout=1")
        listener = broker.add_listener(NAME, 5)
        send(broker, *[parcel(str(number)) for number in range(3)])
        held = take(listener, 3)
        own_server.stop()
        listener.settle([(held[0], Receipt.OK), (held[1], Receipt.NOK), (held[2], Receipt.OK)])
        own_server.start()
        eventually(lambda: own_server.ask("XLEN", STREAM) == 0, "all are settled", 15)
        assert own_server.ask("XLEN", DEAD) == 1

    def test_what_was_not_settled_when_the_server_is_gone_does_not_hold_up_closing(
        self, own_server: RedisServer, own_bench: Bench
    ) -> None:
        broker = own_bench.broker("connect_timeout=1")
        listener = broker.add_listener(NAME, 5)
        send(broker, parcel("1"), parcel("2"))
        held = take(listener, 1)
        own_server.freeze()
        start = time.monotonic()
        broker.close()
        assert time.monotonic() - start < 5
        held[0].settle(Receipt.OK)

    def test_how_often_it_killed_is_kept_when_it_is_put_off_without_having_run(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.3&max_deliveries=3")
        listener = broker.add_listener(NAME, 1)
        assert list(listener.take(1, 0.05)) == []
        send(broker, parcel("suspect"))
        bench.die_with(1)
        (suspect,) = take(listener)
        assert suspect.attempt == 2
        listener.close()
        suspect.settle(Receipt.LATER)
        bench.die_with(1)
        other = bench.broker("lease=0.3&max_deliveries=3").add_listener(NAME, 1)
        (third,) = take(other)
        assert (third.body, third.attempt) == (suspect.body, 3)
        third.settle(Receipt.RETRY)
        (retried,) = take(other)
        assert retried.attempt == 1, "it has run to its end"
        retried.settle(Receipt.OK)

    def test_another_one_is_not_run_beside_others_because_one_of_before_was(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, gate = [1.0], Gate()
        assert gate.enter(1)
        suspects = Suspects(gate, lambda: None, clock=lambda: clock[0])
        tried = Taken(b"1-1", b"", "", 2)
        monkeypatch.setattr(_redis_suspects, "WAIT", 0.001)
        assert suspects.claim(lambda: [tried]) == []
        clock[0] = 3600.0
        assert suspects.claim(lambda: [tried]) == []
        while not suspects.claim(lambda: [tried]):
            clock[0] += 3
        assert 3660 < clock[0] < 3670


def test_what_was_read_when_the_connection_broke_leaves_the_gate(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = bench.broker()
    listener = broker.add_listener(NAME, 10)
    assert isinstance(listener, RedisListener)
    assert list(listener.take(1, 0.05)) == []
    send(broker, parcel("1"), parcel("2"))

    def breaks(count: int) -> Command:
        raise ConnectionLost("after the first two were read")

    monkeypatch.setattr(listener.queue, "take", breaks)
    link = RedisLink(RedisSettings.parse(bench.url), 5.0)
    link.open()
    with pytest.raises(ConnectionLost):
        listener._read(link, 10, 1.0)  # pyright: ignore[reportPrivateUsage]  # a moment that nobody can choose
    link.close()
    assert listener._gate.held == 0  # pyright: ignore[reportPrivateUsage]  # what it is about
