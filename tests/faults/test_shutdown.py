"""The end of workers and callers: running tasks finish, the others go elsewhere, nothing hangs."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.faults.caller import numbered
from tests.faults.scale import SLOTS, pick
from tests.faults.scene import Scene
from typeddingo.testing import audit, eventually


def test_F09_what_a_worker_has_fetched_and_not_begun_goes_to_another_at_once(scene: Scene) -> None:
    full = scene.worker(slots=1)
    with scene.caller() as caller:
        caller.send_all(numbered(101), "note", 0.05, threads=1)
        eventually(lambda: scene.begun() >= 1, "the first has begun")
        other = scene.worker(slots=1)
        full.process.send(signal.SIGTERM)
        told = time.monotonic()
        eventually(lambda: f" {other.pid}\n" in scene.ledger.read_text(), "the other one runs some")
        scene.figures["elsewhere after"] = f"{time.monotonic() - told:.2f} s"
        assert time.monotonic() - told < 1
        assert full.process.wait(15) == 0
        scene.check(duplicates=0)


def test_F28_running_tasks_finish_before_the_deadline(scene: Scene) -> None:
    seconds = pick(1.0, 5.0)
    worker = scene.command("--deadline", str(2 * seconds))
    with scene.caller() as caller:
        caller.send_all(numbered(SLOTS), "note", seconds)
        eventually(lambda: scene.begun() == SLOTS, "all have begun")
        began = time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.process.wait(30) == 0
        scene.figures["exit after"] = f"{time.monotonic() - began:.1f} s of {2 * seconds:g}"
        assert time.monotonic() - began <= 2 * seconds + 1
        assert scene.completed() == SLOTS
        scene.check(duplicates=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_F29_tasks_that_do_not_finish_run_elsewhere(scene: Scene, number: signal.Signals) -> None:
    deadline = pick(0.5, 3.0)
    worker = scene.command("--deadline", str(deadline))
    with scene.caller() as caller:
        caller.send_all(numbered(SLOTS), "note", pick(1.5, 60.0))
        eventually(lambda: scene.begun() == SLOTS, "all have begun")
        began = time.monotonic()
        os.kill(worker.pid, number)
        assert worker.process.wait(30) != 0, "it says that it did not finish"
        scene.figures["exit after"] = f"{time.monotonic() - began:.1f} s of {deadline:g}"
        assert time.monotonic() - began <= deadline + pick(2, 1)
        scene.worker()
        eventually(lambda: scene.begun() == 2 * SLOTS, "they have begun elsewhere", timeout=40)  # maybe one by one
        if pick(1, 0):
            scene.check(duplicates=SLOTS)


def test_F29_a_second_signal_ends_it_at_once(scene: Scene) -> None:
    worker = scene.command("--deadline", "60")
    with scene.caller() as caller:
        assert caller.send("slow", "note", 3.0)
        eventually(lambda: scene.begun() == 1, "it has begun")
        os.kill(worker.pid, signal.SIGTERM)
        eventually(lambda: "takes no more tasks" in worker.output(), "it drains")
        began = time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.process.wait(30) != 0
        assert time.monotonic() - began < 1
        scene.worker(slots=1)
        scene.check(duplicates=1)


def test_F30_an_app_is_closed_from_anywhere_and_twice(scene: Scene) -> None:
    scene.worker()
    caller = scene.caller()
    assert caller.send("callback", "note", 0.1)
    closed = threading.Event()

    def close_it(value: object) -> None:
        caller.app.close()
        closed.set()

    caller.results["callback"].on_ok(close_it)
    assert closed.wait(10), "closed from a callback"
    threads = [threading.Thread(target=caller.app.close) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    caller.app.close()
    scene.check()


def test_F30_a_program_that_forgets_to_close_ends(scene: Scene) -> None:
    began = time.monotonic()
    scene.program("tests.faults.one_call", exits=0)
    assert time.monotonic() - began < 10
    scene.worker(slots=1)
    scene.check()


def test_F36_both_sides_of_a_fork_send(scene: Scene) -> None:
    scene.worker()
    scene.program("tests.faults.forking", exits=0)
    account = scene.check(duplicates=0)
    assert len(account.sent) == 101
    assert not audit(scene.ledger).unknown
