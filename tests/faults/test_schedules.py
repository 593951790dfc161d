"""Schedules with many workers: each moment fires once, whoever dies; no process is the one that must not.

The id of a task says when it was due, so the ledger is the whole truth.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import UTC, datetime

from tests.faults.marks import amqp_only, redis_only
from tests.faults.scale import HEARTBEAT, PATIENCE, pick
from tests.faults.scene import Scene, WorkerProcess
from typeddingo.testing import audit, eventually

PERIOD = 0.25
"""Seconds between two moments."""
LIFE = pick(10, 40)
"""Moments to see."""


def worker(scene: Scene, **changes: object) -> WorkerProcess:
    return scene.worker(**{"every": PERIOD, "tasks": ("tick",), "slots": 1, **changes})


def runs(scene: Scene) -> Counter[float]:
    """How often each moment was run."""
    begun = audit(scene.ledger).begun
    return Counter({_moment(id): times for id, times in begun.items()})


def _moment(id: str) -> float:
    name, _, text = id.partition("@")
    assert name == "tick"
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def wait_for(scene: Scene, moments: int) -> None:
    """So many more that have run."""
    enough = len(runs(scene)) + moments
    eventually(lambda: len(runs(scene)) >= enough, f"{moments} more moments", PATIENCE)


def gaps(scene: Scene) -> list[float]:
    """The moments that are missing between the first and the last."""
    seen = runs(scene)
    first, last = min(seen), max(seen)
    count = round((last - first) / PERIOD)
    return [moment for n in range(count) if (moment := first + n * PERIOD) not in seen]


def who_fires(workers: list[WorkerProcess]) -> WorkerProcess:
    """The one that has fired last."""
    before = {worker.pid: worker.told("has fired") for worker in workers}
    eventually(lambda: any(worker.told("has fired") > before[worker.pid] for worker in workers), "one fires", PATIENCE)
    return next(worker for worker in workers if worker.told("has fired") > before[worker.pid])


def test_F47_three_workers_fire_each_moment_once(scene: Scene) -> None:
    for _ in range(3):
        worker(scene)
    wait_for(scene, 2 * LIFE)
    assert gaps(scene) == []
    assert set(runs(scene).values()) == {1}
    scene.figures["moments"] = len(runs(scene))


def test_F48_when_the_process_that_fires_is_killed_another_goes_on(scene: Scene) -> None:
    workers = [worker(scene) for _ in range(3)]
    wait_for(scene, 3)
    latest = 0.0
    while len(workers) > 1:
        victim = who_fires(workers)
        victim.process.kill()
        workers.remove(victim)
        killed = time.monotonic()
        wait_for(scene, 2)
        latest = max(latest, time.monotonic() - killed)
    scene.figures["two more moments after a kill"] = f"{latest:.1f} s"
    wait_for(scene, LIFE)
    eventually(lambda: gaps(scene) == [], "nothing is missing", PATIENCE)
    # A killed worker's task runs again; on RabbitMQ what was stored just before may be fired once more.
    assert sum(runs(scene).values()) - len(runs(scene)) <= 2 * 2


def test_F49_a_restart_of_the_server_is_made_up_for(scene: Scene) -> None:
    for _ in range(2):
        worker(scene)
    wait_for(scene, 3)
    scene.server.kill()
    time.sleep(4 * PERIOD)  # moments that nobody can fire
    scene.server.start()
    wait_for(scene, LIFE)
    eventually(lambda: gaps(scene) == [], "nothing is missing", PATIENCE)
    assert sum(runs(scene).values()) - len(runs(scene)) <= 1


def test_F50_when_everything_was_down_the_last_missed_run_is_made_up_for(scene: Scene) -> None:
    first = worker(scene, catch_up="last")
    wait_for(scene, 2)
    first.process.send(signal.SIGTERM)
    assert first.process.wait(PATIENCE) == 0
    before = max(runs(scene))
    down = time.time()
    eventually(lambda: time.time() > down + 6 * PERIOD, "six moments have passed")
    back = time.time()
    worker(scene, catch_up="last")
    wait_for(scene, 3)
    between = [moment for moment in runs(scene) if before < moment < back]
    assert len(between) <= 1
    assert min(moment for moment in runs(scene) if moment > before) >= down + 5 * PERIOD
    assert set(runs(scene).values()) == {1}


@redis_only
def test_F51_a_process_whose_clock_is_wrong_fires_by_the_servers(scene: Scene) -> None:
    worker(scene, clock=3600.0)
    worker(scene, clock=-3600.0)
    wait_for(scene, LIFE)
    assert max(runs(scene)) <= time.time()
    assert min(runs(scene)) > time.time() - PATIENCE
    assert gaps(scene) == []
    assert set(runs(scene).values()) == {1}


@amqp_only
def test_F52_a_process_that_was_frozen_while_it_held_the_baton_fires_nothing_twice(scene: Scene) -> None:
    workers = [worker(scene) for _ in range(2)]
    wait_for(scene, 3)
    frozen = who_fires(workers)
    frozen.process.send(signal.SIGSTOP)
    fired = len(runs(scene))
    began = time.monotonic()
    eventually(lambda: len(runs(scene)) > fired + 2, "the other one goes on", PATIENCE)
    scene.figures["another goes on after"] = f"{time.monotonic() - began:.1f} s"
    assert time.monotonic() - began <= 3 * HEARTBEAT + 5
    frozen.process.send(signal.SIGCONT)
    wait_for(scene, LIFE)
    eventually(lambda: gaps(scene) == [], "nothing is missing", PATIENCE)
    assert sum(runs(scene).values()) - len(runs(scene)) <= 1
