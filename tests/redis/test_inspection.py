"""What an operator sees of queues and dead letters on Redis, and what is left when everything is closed."""

from __future__ import annotations

import time

import pytest

from tests.redis.bench import DEAD, NAME, STREAM, Bench, frame, parcel, send, take
from typeddingo import App
from typeddingo.broker import Receipt
from typeddingo.brokers._redis_scripts import SWEEP_CONSUMERS
from typeddingo.inspection import Inspector, QueueState
from typeddingo.testing import eventually


class TestQueue:
    def test_one_that_is_not_there_is_empty(self, bench: Bench) -> None:
        broker = bench.broker()
        assert isinstance(broker, Inspector)
        assert broker.queue(NAME) == QueueState(NAME, 0, 0, 0, 0)
        assert bench.all_keys() == set()

    def test_waiting_running_dead_and_workers_are_counted(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, *[parcel(str(number)) for number in range(7)])
        assert broker.queue(NAME) == QueueState(NAME, 7, 0, 0, 0)
        listener = broker.add_listener(NAME, 4)
        held = take(listener, 4)
        held[0].settle(Receipt.NOK)
        held[1].settle(Receipt.OK)
        held[2].settle(Receipt.GIVE_BACK)
        eventually(lambda: broker.queue(NAME) == QueueState(NAME, 4, 1, 1, 1), "all are settled", 5)

    def test_a_worker_that_has_nothing_to_do_is_one(self, bench: Bench) -> None:
        broker = bench.broker()
        listeners = [broker.add_listener(NAME), bench.broker().add_listener(NAME)]
        for listener in listeners:
            assert list(listener.take(1, 0.05)) == []
        assert broker.queue(NAME).workers == 2
        for listener in listeners:
            listener.close()
        assert broker.queue(NAME).workers == 0


class TestDead:
    def put_aside(self, bench: Bench, count: int) -> None:
        broker = bench.broker()
        send(broker, *[parcel(str(number), reply_to="caller") for number in range(count)])
        listener = broker.add_listener(NAME, count)
        listener.settle([(delivery, Receipt.NOK) for delivery in take(listener, count)])

    def test_they_are_listed_oldest_first_with_what_is_known(self, bench: Bench) -> None:
        self.put_aside(bench, 3)
        dead = bench.broker().dead(NAME)
        assert [(each.name, each.id, each.body, each.deliveries) for each in dead] == [
            (NAME, str(number), frame(str(number)), 1) for number in range(3)
        ]
        assert {each.reason for each in dead} == {"its worker refused it for good"}
        assert all(abs(each.time - time.time()) < 60 for each in dead)
        assert [each.id for each in bench.broker().dead(NAME, 2)] == ["0", "1"]
        assert list(bench.broker().dead(NAME, 0)) == []

    def test_one_nobody_can_read_is_listed_too(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, parcel("1", b"\xff no frame"))
        take(broker.add_listener(NAME))[0].settle(Receipt.WORKER_NOT_FOUND)
        (dead,) = broker.dead(NAME)
        assert (dead.id, dead.body, dead.reason) == ("", b"\xff no frame", "no worker here runs a task of this name")

    def test_all_are_replayed_as_new_tasks(self, bench: Bench) -> None:
        self.put_aside(bench, 3)
        broker = bench.broker()
        assert broker.replay(NAME) == 3
        assert broker.queue(NAME)[:4] == (NAME, 3, 0, 0)
        again = take(broker.add_listener(NAME, 3), 3)
        assert [(each.body, each.reply_to, each.attempt) for each in again] == [
            (frame(str(number)), "caller", 1) for number in range(3)
        ]

    def test_or_some_of_them(self, bench: Bench) -> None:
        self.put_aside(bench, 3)
        broker = bench.broker()
        keys = [each.key for each in broker.dead(NAME)]
        assert broker.replay(NAME, [keys[1], "0-1"]) == 1
        assert broker.replay(NAME, [keys[1]]) == 0
        assert broker.replay(NAME, []) == 0
        assert [each.id for each in broker.dead(NAME)] == ["0", "2"]
        assert [each.body for each in take(broker.add_listener(NAME))] == [frame("1")]

    def test_they_are_purged(self, bench: Bench) -> None:
        self.put_aside(bench, 3)
        broker = bench.broker()
        keys = [each.key for each in broker.dead(NAME)]
        assert broker.purge(NAME, [keys[0], "0-1"]) == 1
        assert broker.purge(NAME, []) == 0
        assert broker.purge(NAME) == 2
        assert broker.purge(NAME) == 0
        assert bench.ask("XLEN", DEAD) == 0

    def test_a_thousand_are_moved(self, bench: Bench) -> None:
        self.put_aside(bench, 1200)
        broker = bench.broker()
        keys = [each.key for each in broker.dead(NAME, 1200)]
        assert broker.replay(NAME, keys[:600]) == 600
        assert broker.replay(NAME) == 600
        assert bench.ask("XLEN", STREAM) == 1200

    def test_old_ones_make_room(self, bench: Bench) -> None:
        for number in range(1, 150):
            bench.ask("XADD", DEAD, f"{number}-0", "b", "old")
        self.put_aside(bench, 1)
        left = bench.ask("XLEN", DEAD)
        assert isinstance(left, int)
        assert left < 100  # whole nodes of the stream go


class TestNothingIsLeft:
    def test_when_an_app_is_closed(self, bench: Bench) -> None:
        app = App(bench.url)

        def double(value: int) -> int:
            return 2 * value

        task = app.register("double", double)
        with app:
            app.allocate(task, 3)
            with app.batch():
                results = [task.call(number) for number in range(300)]
            assert [result.get(timeout=20) for result in results] == [2 * number for number in range(300)]
        kept = {key for key in bench.all_keys() if ":result:" in key}
        assert len(kept) == len(results), "for their time, for whoever asks"
        keys = bench.all_keys() - kept
        assert {key.partition("}")[2].rstrip("0123456789") for key in keys} == {":tasks", ":sent:"}
        assert bench.ask("XLEN", "tdg:{double}:tasks") == 0
        assert bench.ask("XINFO", "CONSUMERS", "tdg:{double}:tasks", "workers") == []

    def test_of_consumers_whose_process_died(self, bench: Bench) -> None:
        broker = bench.broker()
        listener = broker.add_listener(NAME)
        assert list(listener.take(1, 0.05)) == []
        bench.ask("XGROUP", "CREATECONSUMER", STREAM, "workers", "dead")
        bench.ask("EVAL", SWEEP_CONSUMERS.text, 1, STREAM, "me", -1)
        owners = bench.ask("XINFO", "CONSUMERS", STREAM, "workers")
        assert isinstance(owners, list)
        assert len(owners) == 1

    @pytest.mark.parametrize("held", [True, False])
    def test_of_a_consumer_that_is_closed(self, bench: Bench, held: bool) -> None:
        broker = bench.broker()
        send(broker, parcel("1"))
        listener = broker.add_listener(NAME)
        (delivery,) = take(listener)
        if held:
            listener.close()
            delivery.settle(Receipt.OK)
        else:
            delivery.settle(Receipt.OK)
            listener.close()
        eventually(lambda: bench.ask("XINFO", "CONSUMERS", STREAM, "workers") == [], "it is gone")
