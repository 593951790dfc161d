"""What is put off, retried or urgent is not lost, and runs no more often than it must, whoever dies."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.caller import numbered
from tests.faults.scale import LEASE, SLOTS, pick
from tests.faults.scene import Scene
from typeddingo import ErrorCode, Option, TaskFailed
from typeddingo.testing import eventually

TASKS = pick(40, 400)


def test_F53_a_worker_killed_between_its_failure_and_its_receipt_loses_no_retry(scene: Scene, tmp_path: Path) -> None:
    with scene.caller() as caller:
        dying = scene.worker(tasks=("flaky",), slots=1, die_before_receipt=str(tmp_path / "died"))
        assert caller.send("flaky", "flaky", 2, 0.1)
        assert dying.process.wait(20) == -9
        scene.worker(tasks=("flaky",), slots=1)
        assert caller.results["flaky"].get(30) == "flaky"
        account = scene.check(duplicates=3, empty=("flaky",))
        assert 3 <= account.begun["flaky"] <= 4


def test_F54_workers_killed_again_and_again_neither_lose_nor_multiply_retries(scene: Scene) -> None:
    kills, fails = pick(3, 10), 3
    with scene.caller() as caller:
        caller.send_all(numbered(TASKS), "flaky", fails, 0.2)
        worker = scene.worker(tasks=("flaky",))
        for _ in range(kills):
            begun = scene.begun()
            eventually(lambda begun=begun: scene.begun() > begun + SLOTS, "tasks run")  # type: ignore[misc]  # a default is no type
            worker.process.kill()
            worker = scene.worker(tasks=("flaky",))
        # RabbitMQ: what was put off and not settled when its worker was killed comes back beside its copy, which has
        # retries of its own. While it is put off it holds no worker: there may be several times as many as workers.
        account = scene.check(duplicates=TASKS * fails + kills * 4 * SLOTS * (fails + 1), empty=("flaky",))
        assert sum(account.begun.values()) >= TASKS * (fails + 1)


def test_F55_a_server_that_was_killed_keeps_what_is_delayed_and_what_is_retried(scene: Scene) -> None:
    """The server is killed. The worker was there before, and goes on by itself."""
    scene.worker(tasks=("note", "flaky"))
    with scene.caller(url=scene.url(send_timeout=20)) as caller:
        delay = pick(4.0, 10.0)
        assert caller.send("first", "flaky", 1, 1.5)
        assert caller.results["first"].get(20) == "first"
        for id in numbered(TASKS, "delayed"):
            assert caller.send(id, "note", 0.0, option=Option(delay=delay))
        for id in numbered(TASKS, "flaky"):
            assert caller.send(id, "flaky", 1, delay)
        eventually(lambda: scene.begun() == TASKS + 2, "each has failed once")
        eventually(lambda: not scene.state("flaky").running, "and waits")
        assert scene.completed() == 1
        scene.server.kill()
        scene.server.start()
        scene.check(duplicates=TASKS + SLOTS + 1, empty=("note", "flaky"))
        for result in caller.results.values():
            assert result.get(20) == result.id


def test_F56_workers_killed_with_urgent_tasks_in_hand_lose_none(scene: Scene) -> None:
    kills = pick(3, 10)
    with scene.caller() as caller:
        worker = scene.worker()
        for number, id in enumerate(numbered(3 * TASKS)):
            assert caller.send(id, "note", 0.05, option=Option(priority=number % 3 * 4))
        for _ in range(kills):
            done = scene.completed()
            eventually(lambda done=done: scene.completed() > done + SLOTS, "tasks run")  # type: ignore[misc]  # a default is no type
            worker.process.kill()
            worker = scene.worker()
        scene.check(duplicates=kills * SLOTS)


# As users of other queues have reported it, by the numbers of the survey of the field.


@pytest.mark.timeout(120)
def test_F57_a_cancelled_task_does_not_start_again_when_its_worker_is_killed(scene: Scene) -> None:
    """One that runs, in a thread that does not hear of it, and one that waits behind it."""
    worker = scene.worker(slots=1)
    with scene.caller() as caller:
        assert caller.send("runs", "note", 600.0)
        eventually(lambda: scene.begun() == 1, "it has begun")
        assert caller.send("waits", "note", 0.0)
        for id in ("waits", "runs"):
            caller.results[id].cancel()
        worker.process.kill()
        scene.worker(slots=1)
        for id in ("waits", "runs"):
            with pytest.raises(TaskFailed) as failed:
                caller.results[id].get(30)
            assert failed.value.code == ErrorCode.CANCELLED
        assert caller.send("next", "note", 0.0)
        assert caller.results["next"].get(20) == "next"
        scene.wait_empty()
        assert scene.audit().begun == {"runs": 1, "next": 1}


def test_1_a_task_whose_eta_is_far_beyond_the_lease_runs_once(scene: Scene) -> None:
    """celery, with Redis: the worker that holds it is believed dead, again and again."""
    seconds = pick(5.0, 30.0)
    assert seconds > 4 * LEASE
    for _ in range(2):
        scene.worker(slots=1)
    with scene.caller() as caller:
        sent = time.monotonic()
        assert caller.send("eta", "note", 0.0, option=Option(delay=seconds))
        assert caller.results["eta"].get(seconds + 20) == "eta"
        assert seconds <= time.monotonic() - sent < seconds + 1.5
        assert scene.check(duplicates=0).begun == {"eta": 1}
