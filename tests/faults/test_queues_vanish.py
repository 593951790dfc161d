"""Queues that are deleted, or are not what they should be, behind the back of who uses them."""

from __future__ import annotations

import time

import pytest

from tests.faults.marks import amqp_only, redis_only
from tests.faults.scale import pick
from tests.faults.scene import Scene
from tests.faults.technology import OnRedis
from typeddingo.bridges.urls import open_broker
from typeddingo.broker import Parcel
from typeddingo.config import Config
from typeddingo.errors import ConfigError
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing import eventually


@redis_only
@pytest.mark.parametrize("how", ["FLUSHALL", "XGROUP DESTROY", "DEL"])
def test_F42_a_stream_that_vanishes_is_made_again(scene: Scene, how: str) -> None:
    assert isinstance(scene.technology, OnRedis)
    worker = scene.worker(slots=1)
    with scene.caller() as caller:
        assert caller.send("first", "note", 0.0)
        assert caller.results["first"].get(20) == "first"
        scene.check()
        scene.technology.remove(how)
        eventually(lambda: worker.told("CONNECTION", "was gone"), "it is told")
        began = time.monotonic()
        for number in range(3):
            assert caller.send(f"t{number}", "note", 0.0)
            assert caller.results[f"t{number}"].get(20) == f"t{number}"
        scene.figures["resumed after"] = f"{time.monotonic() - began:.2f} s"
        assert worker.process.running
        scene.check()


@amqp_only
def test_F43_a_queue_that_is_deleted_is_declared_and_consumed_again(scene: Scene) -> None:
    worker = scene.worker(slots=1)
    with scene.caller() as caller:
        assert caller.send("first", "note", 0.0)
        assert caller.results["first"].get(20) == "first"
        scene.check()
        assert scene.remove_queue("note")
        began = time.monotonic()
        eventually(lambda: scene.state().workers == 1, "it is consumed again", timeout=10)
        scene.figures["consumed again after"] = f"{time.monotonic() - began:.1f} s"
        assert time.monotonic() - began <= pick(5.0, 2.0)
        assert scene.sends_again(caller, "after")
        assert caller.results["after"].get(20) == "after"
        assert worker.process.running
        scene.check()


@amqp_only
def test_F43_a_queue_of_another_kind_is_refused_by_name(scene: Scene) -> None:
    for kind in ("classic", "quorum"):
        broker = open_broker(scene.url(queue_type=kind), Config())
        try:
            broker.expect(Role.PRODUCER)
            broker.declare_task("note")
            send = broker.send([Parcel(Meta("note", kind), b"")])
            if kind == "classic":
                send.wait(20)
            else:
                with pytest.raises(ConfigError, match="inequivalent arg 'x-"):
                    send.wait(20)
        finally:
            broker.close()
