"""Workers that are killed, frozen or slow: what they held runs again, and what they did counts once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.caller import numbered
from tests.faults.scale import HEARTBEAT, LEASE, SLOTS, pick
from tests.faults.scene import Scene
from typeddingo.testing import audit, eventually

SECONDS = pick(0.05, 0.1)
"""Of one task."""
TASKS = pick(400, 2000)
"""Enough that there is work left when the last worker is killed."""


def kill_again_and_again(scene: Scene, **changes: bool) -> tuple[int, float]:
    """Two workers under a storm of SIGKILL; each victim is replaced. Returns the kills and when the last was."""
    kills, pause, last = pick(4, 15), pick(0.3, 2.0), 0.0
    workers = [scene.worker(**changes), scene.worker(**changes)]
    for number in range(kills):
        time.sleep(pause)
        workers[number % 2].process.kill()
        last = time.monotonic()
        workers[number % 2] = scene.worker(**changes)
    return kills, last


def test_F06_a_worker_killed_every_two_seconds_loses_nothing(scene: Scene) -> None:
    with scene.caller() as caller:
        caller.send_all(numbered(TASKS), "note", SECONDS)
        kills, last = kill_again_and_again(scene)
        scene.check(duplicates=kills * SLOTS)
        scene.figures["kills"] = kills
        scene.figures["done after the last kill"] = f"{time.monotonic() - last:.1f} s"
        assert time.monotonic() - last <= LEASE + pick(20, 10)


def test_F07_acknowledged_early_a_task_runs_at_most_once(scene: Scene) -> None:
    with scene.caller(early=True) as caller:
        caller.send_all(numbered(TASKS), "note", SECONDS)
        kills, _ = kill_again_and_again(scene, early=True)

        def settled() -> bool:
            state = scene.state()
            account = audit(scene.ledger)
            return not state.waiting and not state.running and len(account.lost) <= kills * SLOTS

        eventually(settled, "what is left has run", timeout=pick(30, 120))
        account = audit(scene.ledger)
        scene.figures.update(account=str(account), kills=kills, lost=len(account.lost))
        assert account.duplicates == 0
        assert not account.invented


def test_F08_a_task_longer_than_the_lease_runs_once(scene: Scene) -> None:
    long = 3 * (LEASE if scene.technology.name == "redis" else HEARTBEAT)
    for _ in range(2):
        scene.worker(slots=1)
    with scene.caller() as caller:
        assert caller.send("long", "note", long)
        assert caller.results["long"].get(long + 20) == "long"
        account = scene.check(duplicates=0)
        assert account.begun == {"long": 1}


def test_F25_a_worker_killed_between_report_and_receipt_reports_once(scene: Scene, tmp_path: Path) -> None:
    with scene.caller() as caller:
        dying = scene.worker(slots=1, die_before_receipt=str(tmp_path / "died"))
        assert caller.send("task", "note", 0.0)
        values: list[str] = []
        caller.results["task"].on_ok(values.append)
        assert dying.process.wait(20) == -9
        began = time.monotonic()
        assert caller.results["task"].get(20) == "task"
        scene.worker(slots=1)
        eventually(lambda: scene.completed() == 2, "it runs again")
        scene.figures["run again after"] = f"{time.monotonic() - began:.1f} s"
        scene.check(duplicates=1)
        caller.close()
        assert values == ["task"]


def test_F44_a_worker_that_was_frozen_settles_nothing_that_is_no_longer_its_own(scene: Scene) -> None:
    frozen = scene.worker(slots=1)
    with scene.caller() as caller:
        assert caller.send("task", "note", 0.5)
        eventually(lambda: scene.begun() == 1, "it has begun")
        frozen.process.freeze()
        scene.worker(slots=1)
        assert caller.results["task"].get(30) == "task"
        frozen.process.thaw()
        eventually(lambda: scene.ledger.read_text().count("E task") == 2, "the frozen one ends it too")
        account = scene.check(duplicates=1)
        assert account.duplicates == 1
        assert not account.dead
        assert caller.send("after", "note", 0.0)
        scene.check(duplicates=1)


def test_F65_a_task_that_runs_again_elsewhere_has_the_same_headers_and_the_state_of_there(scene: Scene) -> None:
    dying = scene.worker(slots=1, around=True)
    with scene.caller(around=True) as caller:
        assert caller.send("task", "note", 1.0)
        eventually(lambda: scene.begun() == 1, "it has begun")
        dying.process.kill()
        heir = scene.worker(slots=1, around=True)
        assert caller.results["task"].get(30) == f"the owner of task, run by {heir.pid}"
        account = scene.check(duplicates=1)
        assert account.begun == {"task": 2}


def test_F66_a_worker_killed_while_its_child_works_leaves_no_orphan_and_the_task_runs_once_more(scene: Scene) -> None:
    with scene.caller() as caller:
        killed = scene.worker(slots=1, tasks=("apart",))
        assert caller.send("task", "apart", 3.0)
        eventually(lambda: scene.begun() == 1, "its child has begun")
        assert len(scene.children_of_workers()) == 1
        killed.process.kill()
        began = time.monotonic()
        eventually(lambda: not scene.children_of_workers(), "no orphan is left", timeout=1.5)
        scene.figures["the child ended after"] = f"{time.monotonic() - began:.2f} s"
        scene.worker(slots=1, tasks=("apart",))
        assert caller.results["task"].get(60) == "task"
        account = scene.check(duplicates=1, empty=("apart",))
        assert account.begun == {"task": 2}
        assert scene.completed() == 1


@pytest.mark.parametrize("idle", [pick(5.0, 600.0)])
@pytest.mark.timeout(pick(60, 900))
def test_an_idle_worker_picks_up_a_task_at_once(scene: Scene, idle: float) -> None:
    """Through many signs of life, and many reads that brought nothing."""
    url = scene.url(heartbeat=1) if scene.technology.name == "amqp" else scene.url()
    scene.worker(slots=1, url=url)
    with scene.caller(url=url) as caller:
        assert caller.send("first", "note", 0.0)
        assert caller.results["first"].get(20) == "first"
        time.sleep(idle)
        took: list[float] = []
        for number in range(5):
            began = time.monotonic()
            assert caller.send(f"t{number}", "note", 0.0)
            assert caller.results[f"t{number}"].get(20) == f"t{number}"
            took.append(time.monotonic() - began)
        scene.figures["after idling"] = f"{took[0] * 1000:.0f} ms"
        assert took[0] < pick(0.5, 0.1)
        assert min(took) < 0.1
