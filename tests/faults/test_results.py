"""Results: delivered once, kept for a while, never somebody else's, and nothing of them is left."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.caller import numbered
from tests.faults.marks import amqp_only, redis_only
from tests.faults.scale import pick
from tests.faults.scene import Footprint, Scene
from tests.unit.test_result_machine import AnyOrder
from typeddingo.errors import ResultClosed, ResultExpired
from typeddingo.testing import eventually


def test_F23_a_task_that_is_delivered_again_when_it_is_done_does_not_run_again(scene: Scene) -> None:
    with scene.caller() as caller:
        assert caller.send("twice", "note", 0.0)
        values: list[str] = []
        caller.results["twice"].on_ok(values.append)
        store_again = scene.double("note")
        first = scene.worker(slots=1)
        assert caller.results["twice"].get(20) == "twice"
        scene.wait_empty()
        store_again()
        scene.wait_empty()
        assert scene.begun() == 1
        first.process.kill()
        scene.worker(slots=1)
        store_again()
        eventually(lambda: scene.completed() == 2, "another process knows nothing of it")
        scene.check(duplicates=1)
    assert values == ["twice"]


@redis_only
def test_F24_the_result_of_a_caller_that_was_killed_is_had_by_another(scene: Scene) -> None:
    scene.worker(slots=1, url=scene.url(result_ttl=6))
    id = scene.program("tests.faults.one_call", "killed", exits=-9).strip()
    with scene.caller(url=scene.url(result_ttl=6)) as caller:
        began = time.monotonic()
        assert caller.app.result("note", id, str).get(20) == id
        scene.figures["re-attached in"] = f"{time.monotonic() - began:.2f} s"
        assert time.monotonic() - began <= 1

        def is_expired() -> bool:
            try:
                caller.app.result("note", id, str).get(10)
            except ResultExpired:
                return True
            return False

        eventually(is_expired, "it expires", timeout=30)
        scene.check()


@amqp_only
def test_F24_the_result_of_a_caller_that_was_killed_is_gone_and_says_so(scene: Scene) -> None:
    scene.worker(slots=1)
    id = scene.program("tests.faults.one_call", "killed", exits=-9).strip()
    with scene.caller() as caller:
        with pytest.raises(ResultClosed, match=r"\w+ \w+ \w+"):
            caller.app.result("note", id, str).get(5)
        scene.check()


def test_F26_reports_that_come_twice_or_in_any_order_end_a_result_once() -> None:
    run_state_machine_as_test(
        AnyOrder, settings=settings(max_examples=pick(25, 500), stateful_step_count=30, deadline=None, derandomize=True)
    )


def test_F27_results_that_nobody_reads_cost_no_connections_and_threads(scene: Scene) -> None:
    count = pick(1000, 10_000)
    empty = scene.leftovers()
    with scene.caller(url=scene.url(result_ttl=2)) as caller:
        assert caller.send("first", "note", 0.0)
        before, connections = Footprint.here(), scene.technology.connections()
        caller.send_all(numbered(count), "note", 0.0)
        after = Footprint.here()
        scene.figures["outstanding"] = count
        scene.figures["megabytes"] = f"{after.megabytes - before.megabytes:.0f}"
        assert scene.technology.connections() <= connections + 2
        assert after.threads <= before.threads + 2
        assert scene.state().waiting == count + 1
    scene.worker(url=scene.url(result_ttl=2))
    scene.check()
    with suppress(AssertionError):
        eventually(lambda: scene.leftovers() <= empty | scene.queues(), timeout=10)
    assert scene.leftovers() - empty - scene.queues() == set()
