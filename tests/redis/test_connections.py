"""How many connections there are, when they are made again, and what is told of it."""

from __future__ import annotations

import os
import re
import threading
import time

import pytest

from tests.inside import inside
from tests.redis.bench import NAME, STREAM, Bench, heard, parcel, send, take
from tests.servers import RedisServer
from typeddingo._io import redis_server
from typeddingo._io.redis_pace import BURST, SPACING
from typeddingo._io.redis_settings import RedisSettings
from typeddingo._io.threads import Threads
from typeddingo.backends.redis import RedisBackend
from typeddingo.broker import Delivery, Parcel, Receipt
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventSource
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing import eventually


def connected(bench: Bench) -> int:
    """How many connections the server has ever accepted, and ours to ask it."""
    stats = bench.ask("INFO", "stats")
    assert isinstance(stats, bytes)
    (count,) = re.findall(rb"total_connections_received:(\d+)", stats)
    return int(count)


def open_now(bench: Bench) -> int:
    clients = bench.ask("CLIENT", "LIST")
    assert isinstance(clients, bytes)
    return clients.count(b"name=typeddingo ") - 1  # without the one that asks


class TestCount:
    def test_a_worker_keeps_its_connections(self, own_bench: Bench) -> None:
        broker, sender = own_bench.broker(), own_bench.broker()
        listener = broker.add_listener(NAME)
        send(sender, parcel())
        take(listener)[0].settle(Receipt.OK)
        before = connected(own_bench)
        for _ in range(50):
            send(sender, parcel())
            take(listener)[0].settle(Receipt.OK)
        assert connected(own_bench) - before <= 1

    def test_so_does_a_caller_with_little_time(self, own_bench: Bench) -> None:
        broker = own_bench.broker("send_timeout=1")
        send(broker, parcel())
        before = connected(own_bench)
        for _ in range(50):
            send(broker, parcel())
        assert connected(own_bench) == before

    def test_results_cost_two_connections_however_many_are_outstanding(self, own_bench: Bench) -> None:
        backend = RedisBackend(own_bench.url)
        own_bench.closes(backend.close)
        metas = [Meta(NAME, str(number), backend.reply_to) for number in range(2000)]
        streams = [backend.poll(meta) for meta in metas]
        backend.report([Parcel(meta, b"x") for meta in metas])
        for stream in streams:
            assert stream.take(10) == [b"x"]
        assert connected(own_bench) <= 2 + 3  # with those of the test and of the server's start

    def test_an_object_that_was_never_used_connects_to_nothing(self, bench: Bench) -> None:
        broker, backend = bench.broker(), RedisBackend(bench.url)
        broker.close()
        backend.close()
        assert open_now(bench) == 0

    def test_many_listeners_close_quickly(self, bench: Bench) -> None:
        broker = bench.broker()
        listeners = [broker.add_listener(f"task.{number}") for number in range(20)]
        taking = [threading.Thread(target=listener.take, args=(1,)) for listener in listeners]
        for thread in taking:
            thread.start()
        eventually(lambda: open_now(bench) >= 20, "all wait for tasks", 20)
        start = time.monotonic()
        broker.close()
        assert time.monotonic() - start < 2
        for thread in taking:
            thread.join(2)
        eventually(lambda: open_now(bench) == 0, "none is left")


class TestReconnecting:
    def test_02_a_worker_goes_on_after_a_restart_and_it_is_told_once(
        self, own_server: RedisServer, own_bench: Bench
    ) -> None:
        broker, sender = own_bench.broker(), own_bench.broker()
        events = heard(broker.events())
        listener = broker.add_listener(NAME)
        send(sender, parcel("1"))
        take(listener)[0].settle(Receipt.OK)
        taken: list[Delivery] = []
        threads = Threads("test")
        threads.start("taker", lambda: taken.extend(take(listener, seconds=20)))
        own_server.stop()
        eventually(lambda: any("trying again" in event.message for event in events), "the loss was told")
        own_server.start()
        send(sender, parcel("2"))
        eventually(lambda: len(taken) == 1, "the worker goes on", 5)
        told = [event.message.partition(": ")[2] for event in events if event.code is EventCode.CONNECTION]
        assert len(told) == 2
        assert told[1] == "connected again"
        taken[0].settle(Receipt.OK)

    def test_who_waits_for_a_result_gets_it_after_a_restart(self, own_server: RedisServer, own_bench: Bench) -> None:
        backend, worker = RedisBackend(own_bench.url), RedisBackend(own_bench.url)
        own_bench.closes(backend.close)
        own_bench.closes(worker.close)
        meta = Meta(NAME, "1", backend.reply_to)
        stream = backend.poll(meta)
        worker.report([Parcel(meta, b"before")])
        assert stream.take(10) == [b"before"]
        own_server.restart()
        worker.report([Parcel(meta, b"after")])
        assert stream.take(10) == [b"after"]

    def test_a_server_that_hangs_up_is_not_hammered(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker()
        listeners = [broker.add_listener(f"task.{number}") for number in range(8)]
        threads = Threads("test")
        for listener in listeners:
            threads.start("taker", lambda listener=listener: listener.take(1))  # type: ignore[misc]  # bound now
        eventually(lambda: open_now(own_bench) >= 8, "all wait for tasks")
        before = connected(own_bench)
        for _ in range(15):
            own_bench.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(0.2)
        assert connected(own_bench) - before <= 4 / SPACING + BURST


class TestGoneQueues:
    @pytest.mark.parametrize(
        "command",
        [("FLUSHDB",), ("DEL", STREAM), ("XGROUP", "DESTROY", STREAM, "workers")],
        ids=lambda command: command[0],
    )
    @pytest.mark.parametrize("blocked", [True, False], ids=["blocked", "between"])
    def test_a_listener_makes_its_queue_again(self, bench: Bench, command: tuple[str, ...], blocked: bool) -> None:
        broker = bench.broker()
        events = heard(broker.events())
        listener = broker.add_listener(NAME, 5)
        assert list(listener.take(1, 0.05)) == []
        taken: list[Delivery] = []
        threads = Threads("test")
        if blocked:
            thread = threads.start("taker", lambda: taken.extend(take(listener)))
            eventually(lambda: inside(thread, "answers"), "it waits for the server")
        bench.ask(*command)
        send(broker, parcel("1"))
        if not blocked:
            taken.extend(take(listener))
        eventually(lambda: len(taken) == 1, "the listener lives", 5)
        taken[0].settle(Receipt.OK)
        eventually(lambda: any("is made again" in event.message for event in events), "it was told")

    def test_something_else_under_the_key_of_a_queue_ends_no_listener(self, bench: Bench) -> None:
        broker = bench.broker()
        events = heard(broker.events())
        listener = broker.add_listener(NAME)
        bench.ask("SET", STREAM, "a string")
        assert list(listener.take(1, 1.5)) == []
        bench.ask("DEL", STREAM)
        send(broker, parcel("1"))
        assert len(take(listener)) == 1
        assert len([event for event in events if "cannot be read" in event.message]) == 1

    def test_a_task_that_runs_when_everything_is_deleted_is_settled_in_peace(self, bench: Bench) -> None:
        broker = bench.broker("lease=0.5")
        send(broker, parcel("1"))
        listener = broker.add_listener(NAME)
        (delivery,) = take(listener)
        bench.ask("FLUSHDB")
        delivery.settle(Receipt.OK)
        send(broker, parcel("2"))
        take(listener)[0].settle(Receipt.OK)


class TestForked:
    def test_a_child_may_not_use_what_its_parent_made(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        broker, backend = bench.broker(), RedisBackend(bench.url)
        send(broker, parcel())
        real = __import__("os").getpid()
        monkeypatch.setattr("os.getpid", lambda: real + 1)
        with pytest.raises(ConfigError, match="forked"):
            send(broker, parcel())
        with pytest.raises(ConfigError, match="forked"):
            backend.ping()
        broker.close()
        backend.close()
        monkeypatch.undo()
        send(broker, parcel())
        backend.ping()
        backend.close()

    def test_a_child_does_not_read_its_parents_answers(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        server = redis_server.RedisServer(RedisSettings.parse(bench.url), Role.PRODUCER, EventSource())
        server.greet()
        posted = server.post([("PING",), ("PING", "again")])
        assert posted is not None
        assert server.post([("PING",)]) is None
        real = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: real + 1)
        assert server.post([("PING",)]) is None
        with pytest.raises(ConnectionLost, match="forked"):
            posted.answers(5)
        monkeypatch.undo()
        assert list(posted.answers(5)) == [b"PONG", b"again"]
        assert server.has_idle()
        server.close()


def test_ping_answers_or_says_why_not(bench: Bench) -> None:
    bench.broker().ping()
    backend = RedisBackend(bench.url)
    backend.ping()
    backend.close()
    for gone in (
        bench.broker().__class__("redis://127.0.0.1:1?send_timeout=0.2"),
        RedisBackend("redis://127.0.0.1:1?send_timeout=0.2"),
    ):
        with pytest.raises(ConnectionLost, match=r"127\.0\.0\.1:1"):
            gone.ping()
        gone.close()
