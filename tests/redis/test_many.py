"""A process with many queues: all of them are served soon, after a start and after a restart, and it ends soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tests.redis.bench import Bench, parcel, send
from tests.redis.test_connections import open_now
from tests.servers import RedisServer
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Receipt
from typeddingo.brokers.redis import RedisBroker
from typeddingo.testing import eventually

MANY = 100
SOON = 4.0
"""Seconds; one after the other they would need twenty."""
BACKOFF = 4.0
"""Seconds more: a server that was away is found when the pause after the last try is over."""


class Crowd:
    """A worker of each of many queues."""

    def __init__(self, broker: RedisBroker) -> None:
        self.broker = broker
        self.served: set[str] = set()
        self._threads = Threads("test")
        for name in names():
            self._threads.start("worker", self._worker(name))

    def join(self, seconds: float) -> list[str]:
        return self._threads.join(Deadline(seconds))

    def _worker(self, name: str) -> Callable[[], None]:
        listener = self.broker.add_listener(name)

        def work() -> None:
            while not listener.closed:
                for delivery in listener.take(1):
                    self.served.add(name)
                    delivery.settle(Receipt.OK)

        return work


def names() -> list[str]:
    return [f"task.{number}" for number in range(MANY)]


def send_all(broker: RedisBroker) -> None:
    send(broker, *(parcel(name=name) for name in names()))


def test_all_are_served_soon_after_the_start(bench: Bench) -> None:
    send_all(bench.broker())
    began = time.monotonic()
    crowd = Crowd(bench.broker())
    eventually(lambda: len(crowd.served) == MANY, "all are served", 30)
    assert time.monotonic() - began < SOON


def test_all_are_served_soon_after_a_restart_of_the_server(own_server: RedisServer, own_bench: Bench) -> None:
    crowd = Crowd(own_bench.broker())
    eventually(lambda: open_now(own_bench) >= MANY, "all wait for tasks", 30)
    own_server.stop()
    time.sleep(1.0)  # they try in vain
    own_server.start()
    began = time.monotonic()
    send_all(own_bench.broker())
    eventually(lambda: len(crowd.served) == MANY, "all are served", 30)
    assert time.monotonic() - began < SOON + BACKOFF


def test_they_are_closed_soon_while_the_server_is_away(own_server: RedisServer, own_bench: Bench) -> None:
    crowd = Crowd(own_bench.broker())
    eventually(lambda: open_now(own_bench) >= MANY, "all wait for tasks", 30)
    own_server.stop()
    time.sleep(0.5)
    began = time.monotonic()
    crowd.broker.stop_all_listeners()
    assert crowd.join(SOON) == []
    assert time.monotonic() - began < SOON
    own_server.start()


def test_they_are_closed_soon_while_they_wait_for_their_turn(own_bench: Bench) -> None:
    crowd = Crowd(own_bench.broker())
    eventually(lambda: open_now(own_bench) >= MANY, "all wait for tasks", 30)
    for _ in range(3):  # a storm: from now on they come back one after the other
        own_bench.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        time.sleep(0.3)
    assert open_now(own_bench) < MANY
    began = time.monotonic()
    crowd.broker.stop_all_listeners()
    assert crowd.join(SOON) == []
    assert time.monotonic() - began < SOON


def test_many_threads_share_a_few_connections_and_wait_for_no_new_one(bench: Bench) -> None:
    broker = bench.broker()
    together = threading.Barrier(MANY)
    threads = Threads("test")

    def ask() -> None:
        together.wait(10)
        for _ in range(10):
            broker.queue("task.1")

    for _ in range(MANY):
        threads.start("asks", ask)
    assert threads.join(Deadline(SOON)) == []
