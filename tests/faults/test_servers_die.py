"""Servers that restart, die, fill up or hide behind a bad network: callers and workers carry on by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from tests.faults.caller import Caller, numbered
from tests.faults.marks import amqp_only, long, redis_only
from tests.faults.scale import HEARTBEAT, SLOTS, pick
from tests.faults.scene import Footprint, Scene
from tests.faults.technology import OnRabbit, OnRedis
from tests.servers import Proxy
from typeddingo import Option
from typeddingo.errors import BrokerBlocked, QueueFull
from typeddingo.events import EventCode
from typeddingo.testing import eventually

PROCESSES = 2
FILES = 5
"""Of one connection that is made when it is first needed; one more for each restart would be too many."""
WORK = 0.01
"""Seconds of a task: of shorter ones a worker takes several at once."""


@contextmanager
def load(caller: Caller, rate: float = pick(100, 500)) -> Generator[list[str], None, None]:
    """Calls without a pause while the fault happens; what was certainly not stored is sent again."""
    stop, ids = threading.Event(), numbered(1_000_000)
    sent: list[str] = []
    threads = 4

    def send(mine: list[str]) -> None:
        for id in mine:
            sent.append(id)
            while not caller.send(id, "note", WORK) and id in caller.refused:
                if stop.wait(0.05):
                    break
            if stop.wait(threads / rate):
                return

    senders = [threading.Thread(target=send, args=(ids[number::threads],)) for number in range(threads)]
    for sender in senders:
        sender.start()
    try:
        yield sent
    finally:
        stop.set()
        for sender in senders:
            sender.join(30)
        assert not any(sender.is_alive() for sender in senders), "a call never ended"


def resumes(scene: Scene) -> float:
    """Seconds until a new task has run."""
    began, start = time.monotonic(), scene.completed()
    eventually(lambda: scene.completed() > start, "tasks run again", timeout=30)
    return time.monotonic() - began


def under_load(scene: Scene, fault: Callable[[], object]) -> float:
    """Do ``fault`` while tasks are sent and run; returns how long it took until tasks ran again."""
    for _ in range(PROCESSES):
        scene.worker()
    with scene.caller(url=scene.url(send_timeout=10)) as caller:
        with load(caller) as sent:
            eventually(lambda: scene.completed() > 50, "tasks run")
            fault()
            took = resumes(scene)
            time.sleep(pick(0.3, 5.0))
        scene.figures.update({"tasks": len(sent), "resumed after": f"{took:.1f} s"})
        account = scene.check(duplicates=PROCESSES * SLOTS)
        scene.figures["unknown"] = len(account.unknown)
        for id, result in caller.results.items():
            if id in account.completed and id not in caller.unknown:
                assert result.get(20) == id
    return took


def test_F10_a_restart_of_the_server_under_load_is_survived(scene: Scene) -> None:
    assert under_load(scene, partial(restart, scene, gently=True, down=pick(1.0, 3.0))) <= pick(15.0, 5.0)


def test_F11_a_server_killed_under_load_loses_nothing(scene: Scene) -> None:
    under_load(scene, partial(restart, scene, gently=False))


@pytest.mark.parametrize("delay", [0.0, 3.0], ids=["at once", "later"])
def test_F11_a_server_killed_right_after_it_has_confirmed_the_first_task_of_all_keeps_it(
    scene: Scene, delay: float
) -> None:
    """Its queues are as new as the task."""
    with scene.caller() as caller:
        assert caller.send("first", "note", 0.0, option=Option(delay=delay))
        scene.server.kill()
        scene.server.start()
        scene.worker()
        scene.check()
        assert caller.results["first"].get(20) == "first"


def test_F12_many_restarts_leave_no_threads_and_files(scene: Scene) -> None:
    worker = scene.worker()
    rounds = pick(5, 20) if scene.technology.name == "redis" else pick(1, 8)
    with scene.caller() as caller:
        assert caller.send("first", "note", 0.0)
        assert caller.results["first"].get(20) == "first"
        restart(scene, gently=False)
        assert scene.sends_again(caller, "warm")
        assert caller.results["warm"].get(20) == "warm"
        before = Footprint.of(worker.pid), Footprint.here()
        for number in range(rounds):
            restart(scene, gently=number % 2 == 0)
            assert scene.sends_again(caller, f"t{number}")
            assert caller.results[f"t{number}"].get(20) == f"t{number}"
        scene.figures["restarts"] = rounds

        def flat() -> bool:
            after = Footprint.of(worker.pid), Footprint.here()
            return all(
                a.files <= b.files + FILES and a.threads <= b.threads + 1 for a, b in zip(after, before, strict=True)
            )

        with suppress(AssertionError):
            eventually(flat)
        assert flat(), f"threads and files were {before}, and are {Footprint.of(worker.pid)}, {Footprint.here()}"
        scene.check(duplicates=(rounds + 1) * SLOTS)


def restart(scene: Scene, *, gently: bool, down: float = 0.0) -> None:
    if gently:
        scene.server.stop()
    else:
        scene.server.kill()
    time.sleep(down)
    scene.server.start()


@long
def test_F13_a_server_that_is_frozen_for_long_is_waited_for(scene: Scene) -> None:
    scene.worker()
    with scene.caller(url=scene.url(send_timeout=5)) as caller:
        assert caller.send("first", "note", 0.0)
        scene.server.freeze()
        frozen = time.monotonic()
        assert not caller.send("frozen", "note", 0.0)
        assert time.monotonic() - frozen < 7
        time.sleep(max(0.0, 30 - (time.monotonic() - frozen)))
        scene.server.thaw()
        began = time.monotonic()
        assert scene.sends_again(caller, "after")
        assert caller.results["after"].get(30) == "after"
        scene.figures["resumed after"] = f"{time.monotonic() - began:.1f} s"
        assert time.monotonic() - began <= 5
        scene.check(duplicates=SLOTS)


@long
@pytest.mark.timeout(180)
def test_F14_a_black_hole_is_noticed_and_left(scene: Scene) -> None:
    with Proxy(scene.server.port) as proxy:
        url = proxy.url(scene.url(send_timeout=5))
        worker = scene.worker(url=url)
        with scene.caller() as caller:
            assert caller.send("first", "note", 0.0)
            assert caller.results["first"].get(20) == "first"
            proxy.weather.blackhole = True
            began = time.monotonic()
            noticed = 2 * HEARTBEAT + 10 if scene.technology.name == "amqp" else 12
            eventually(lambda: worker.told("CONNECTION", "again"), "the loss is told", timeout=noticed)
            scene.figures["noticed after"] = f"{time.monotonic() - began:.1f} s"
            time.sleep(max(0.0, 60 - (time.monotonic() - began)))
            proxy.calm()
            proxy.reset_all()
            began = time.monotonic()
            assert caller.send("after", "note", 0.0)
            assert caller.results["after"].get(60) == "after"
            scene.figures["resumed after"] = f"{time.monotonic() - began:.1f} s"
            scene.check(duplicates=SLOTS)


def test_F15_connections_reset_again_and_again_lose_nothing(scene: Scene) -> None:
    seconds, pause = pick(3.0, 20.0), 0.2
    with Proxy(scene.server.port) as calls, Proxy(scene.server.port) as work:
        for _ in range(PROCESSES):
            scene.worker(url=work.url(scene.plan.url))
        with scene.caller(url=calls.url(scene.url(send_timeout=5))) as caller:
            assert caller.send("first", "note", 0.0)
            before = work.connections
            work.reset_every(pause)
            calls.reset_every(pause)
            with load(caller, rate=pick(50, 200)):
                time.sleep(seconds)
            made = work.connections - before
            work.calm()
            calls.calm()
            scene.figures["connects a second"] = f"{made / seconds / PROCESSES:.1f}"
            assert made / PROCESSES <= 20 * seconds + 20, "a process may make a handful at once, and then 20 a second"
            scene.check(duplicates=round(seconds / pause) * PROCESSES * SLOTS + len(caller.unknown))


@long
def test_F16_a_slow_network_is_no_lost_connection(scene: Scene) -> None:
    """A lease must be longer than a few round trips; the usual one is, that of these tests is not."""
    patient = {"lease": 20} if scene.technology.name == "redis" else {}
    with Proxy(scene.server.port) as proxy:
        worker = scene.worker(url=proxy.url(scene.url(**patient)))
        with scene.caller() as caller:
            caller.send_all(numbered(SLOTS, "warm"), "note", 0.5)
            for result in caller.results.values():
                result.get(20)
            proxy.weather.latency, proxy.weather.jitter, proxy.weather.bandwidth = 0.3, 0.3, 16 * 1024
            before = proxy.connections
            caller.send_all(numbered(100), "note", 0.0)
            scene.check(duplicates=0)
            assert not worker.told("CONNECTION", "again")
            if scene.technology.name == "amqp":
                assert proxy.connections <= before + 1, "one is made when it is first needed"


@redis_only
def test_F17_a_full_server_takes_no_more_and_is_drained(scene: Scene) -> None:
    assert isinstance(scene.technology, OnRedis)
    redis = scene.technology.redis
    data = bytes(pick(50_000, 50_000))
    with scene.caller(url=scene.url(send_timeout=5)) as caller:
        assert caller.send("first", "echo", b"")
        used = redis.info("used_memory")
        redis.ask("CONFIG", "SET", "maxmemory", used + 8 * 1024 * 1024)
        for id in numbered(1000, "flood"):
            if not caller.send(id, "echo", data):
                break
        assert caller.refused
        assert all(isinstance(error, QueueFull) for error in caller.refused.values())
        stored = len(caller.results)
        scene.figures["stored before it was full"] = stored
        scene.worker(tasks=("echo",))
        eventually(lambda: scene.begun() >= min(stored, 20), "the workers drain it")
        redis.ask("CONFIG", "SET", "maxmemory", 0)
        scene.check(duplicates=0, empty=("echo",))
        for id, result in caller.results.items():
            assert len(result.get(20)) == (0 if id == "first" else len(data))


@amqp_only
def test_F18_a_server_that_blocks_senders_is_told_once_and_waited_for(scene: Scene) -> None:
    assert isinstance(scene.technology, OnRabbit)
    seconds = pick(2.0, 10.0)
    with scene.caller(url=scene.url(send_timeout=1)) as caller:
        assert caller.send("first", "note", 0.0)
        scene.technology.set_memory_limit(0.00001)
        began = time.monotonic()
        for id in numbered(100_000):
            sent = caller.send(id, "note", 0.0)
            assert caller.slowest < 3
            assert time.monotonic() - began < seconds + 10, "the server never blocked"
            if not sent and time.monotonic() - began > seconds:
                break
            time.sleep(0.02)
        assert caller.refused or caller.unknown
        assert all(isinstance(error, BrokerBlocked) for error in caller.refused.values())
        eventually(
            lambda: caller.count(EventCode.CONNECTION, "takes no messages") == 1, "it is told that the server blocks"
        )
        scene.technology.set_memory_limit(0.4)
        assert scene.sends_again(caller, "after")
        connection = [event.message for event in caller.events if event.code is EventCode.CONNECTION]
        assert len(connection) == 2, connection
        scene.worker()
        account = scene.check(duplicates=0)
        scene.figures["unknown"] = len(account.unknown)
        assert "after" in account.completed
