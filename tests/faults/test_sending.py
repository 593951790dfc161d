"""What ``call()`` promises: returned means stored, once; anything else says what it knows."""

from __future__ import annotations

import threading
import time

import pytest

from tests.faults.caller import numbered
from tests.faults.marks import amqp_only, redis_only
from tests.faults.scale import pick
from tests.faults.scene import Scene
from tests.servers import Proxy
from typeddingo.errors import PayloadTooLarge, SendError
from typeddingo.testing import eventually


def through(proxy: Proxy, scene: Scene, send_timeout: float) -> str:
    """The URL of this scene behind a proxy."""
    return proxy.url(scene.url(send_timeout=send_timeout))


def test_F01_without_a_fault_every_task_runs_once(scene: Scene) -> None:
    for _ in range(pick(2, 4)):
        scene.worker()
    with scene.caller() as caller:
        ids = numbered(pick(400, 10_000))
        began = time.monotonic()
        caller.send_all(ids, "note", 0.0)
        account = scene.check(duplicates=0)
        scene.figures["tasks a second"] = round(len(ids) / (time.monotonic() - began))
        assert account.sent == account.completed == frozenset(ids)
        assert {caller.results[id].get(10) for id in ids} == set(ids)


@redis_only
def test_F02_a_frozen_server_stores_each_task_once(scene: Scene) -> None:
    ids = numbered(pick(40, 100))
    with scene.caller(url=scene.url(send_timeout=pick(1, 10))) as caller:
        assert caller.send("first", "note", 0.0)
        scene.server.freeze()
        sending = threading.Thread(target=caller.send_all, args=(ids, "note", 0.0), kwargs={"threads": len(ids)})
        sending.start()
        sending.join(pick(2, 12))
        scene.server.thaw()
        sending.join(20)
        scene.figures.update(unknown=len(caller.unknown), refused=len(caller.refused))
        assert not sending.is_alive()
        assert caller.slowest < pick(3, 14)
        stored = scene.state().waiting
    scene.worker()
    account = scene.check(duplicates=0)
    assert len(account.completed) == stored, "no task was stored twice"


@redis_only
@pytest.mark.parametrize("how", ["replies are lost", "connections are reset"])
def test_F03_sending_again_what_may_be_stored_stores_it_once(scene: Scene, how: str) -> None:
    ids = numbered(pick(200, 2000))
    with Proxy(scene.server.port) as proxy, scene.caller(url=through(proxy, scene, pick(0.5, 2))) as caller:
        assert caller.send("first", "note", 0.0)
        if how == "connections are reset":
            proxy.reset_every(0.05)
        else:
            proxy.weather.drop_replies = True
            threading.Timer(pick(1.0, 2.5), proxy.calm).start()
        caller.send_all(ids, "note", 0.0, threads=8, stubborn=True)
        proxy.calm()
        again = sorted(caller.unknown)
        scene.figures["unknown"] = len(again)
        caller.send_all(again, "note", 0.0, stubborn=True)
        assert not caller.unknown
        assert scene.state().waiting == len(ids) + 1
    scene.worker()
    account = scene.check(duplicates=0)
    assert account.completed == {*ids, "first"}


@amqp_only
def test_F04_a_queue_that_is_gone_takes_nothing_silently(scene: Scene) -> None:
    with scene.caller() as caller:
        assert caller.send("before", "note", 0.0)
        assert scene.state().waiting == 1
        deleted = scene.remove_queue("note")
        assert deleted >= 1
        began = time.monotonic()
        stored = caller.send("after", "note", 0.0)
        assert time.monotonic() - began < pick(3.0, 1.0)
        if not stored:
            assert isinstance(caller.refused["after"], SendError)
            assert caller.send("after", "note", 0.0), "what was unroutable once is declared again"
        assert scene.state().waiting == 1
        scene.figures["the second send"] = "stored" if stored else "Unroutable"


@amqp_only
def test_F05_a_confirmation_that_is_lost_is_no_lost_task(scene: Scene) -> None:
    times = pick(8, 200)
    scene.worker()
    with Proxy(scene.server.port) as proxy, scene.caller(url=through(proxy, scene, 5)) as caller:
        for number in range(times):
            id = f"t{number:06}"
            assert caller.send(f"{id}-before", "note", 0.0) or caller.unknown
            proxy.weather.drop_replies = True
            sending = threading.Thread(target=caller.send, args=(id, "note", 0.0))
            sending.start()
            sending.join(0.05)
            proxy.reset_all()
            proxy.calm()
            sending.join(15)
            assert not sending.is_alive()
        doubtful = sorted({**caller.unknown, **caller.refused})
        scene.figures["in doubt"] = f"{len(doubtful)} of {2 * times}"
        for id in doubtful:
            eventually(lambda id=id: caller.send(id, "note", 0.0), "it is sent again")  # type: ignore[misc]  # a default
        scene.check(duplicates=len(doubtful))


def test_F35_large_values_travel_and_too_large_ones_are_refused_before_they_are_sent(scene: Scene) -> None:
    scene.worker(tasks=("echo",), slots=1)
    data = bytes(range(256)) * (10 * 4096)
    with scene.caller() as caller:
        assert caller.send("warm", "echo", b"")
        assert caller.results["warm"].get(20) == b""
        began = time.monotonic()
        assert caller.send("large", "echo", data)
        assert caller.results["large"].get(20) == data
        scene.figures["there and back"] = f"{time.monotonic() - began:.2f} s"
        for megabytes in (17, pick(20, 140)):
            assert not caller.send(f"too large {megabytes}".replace(" ", "-"), "echo", bytes(megabytes * 1024 * 1024))
        assert all(isinstance(error, PayloadTooLarge) for error in caller.refused.values())
        assert len(caller.refused) == 2
        assert caller.send("after", "echo", b"x")
        assert caller.results["after"].get(20) == b"x"
        scene.check(empty=("echo",))


def test_F39_many_threads_share_one_app(scene: Scene) -> None:
    seconds, count = pick(2.0, 30.0), 32
    for _ in range(2):
        scene.worker()
    with scene.caller() as caller:
        ids = [numbered(100_000, f"{thread}-") for thread in range(count)]
        end = time.monotonic() + seconds

        def send(mine: list[str]) -> None:
            for id in mine:
                if time.monotonic() > end:
                    return
                assert caller.send(id, "note", 0.0)

        threads = [threading.Thread(target=send, args=(mine,)) for mine in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 20)
        assert not caller.unknown
        assert not caller.refused
        took = sorted(caller.seconds)
        scene.figures["p99 of a call"] = f"{took[len(took) * 99 // 100] * 1000:.1f} ms"
        scene.figures["calls a second"] = round(len(took) / seconds)
        scene.check(duplicates=0)
        assert all(result.get(10) == id for id, result in caller.results.items())
