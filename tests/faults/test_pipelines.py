"""Workers that are killed between the steps of a pipeline: every step runs, and the caller hears once."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from tests.faults.scale import LEASE, SLOTS, pick
from tests.faults.scene import Scene

TASKS = ("spread", "grow", "sum_up")
COUNT = 5
TOTAL = sum(range(COUNT)) + COUNT


def test_F62_a_worker_killed_when_the_next_step_is_stored_loses_nothing(scene: Scene, tmp_path: Path) -> None:
    """Its own step is not settled yet, and runs again."""
    with scene.caller() as caller:
        dying = scene.worker(tasks=TASKS, slots=1, die_before_receipt=str(tmp_path / "died"))
        result, values = caller.send_pipeline("p", COUNT), list[int]()
        result.on_ok(values.append)
        assert dying.process.wait(20) == -9
        began = time.monotonic()
        scene.worker(tasks=TASKS, slots=1)
        assert result.get(20) == TOTAL
        scene.figures["seconds"] = f"{time.monotonic() - began:.1f}"
        scene.check(duplicates=2 * (COUNT + 2), empty=TASKS)
        assert values == [TOTAL]


def test_F63_a_worker_killed_when_the_list_is_complete_loses_nothing(scene: Scene, tmp_path: Path) -> None:
    """The next step is not sent yet: whoever runs the last value again sends it."""
    with scene.caller() as caller:
        dying = scene.worker(tasks=TASKS, slots=1, die_after_join=str(tmp_path / "died"))
        result, values = caller.send_pipeline("p", COUNT), list[int]()
        result.on_ok(values.append)
        assert dying.process.wait(20) == -9
        scene.worker(tasks=TASKS, slots=1)
        assert result.get(30) == TOTAL
        scene.check(duplicates=2 * (COUNT + 2), empty=TASKS)
        assert values == [TOTAL]


def test_F64_workers_killed_again_and_again_lose_no_pipeline(scene: Scene) -> None:
    kills, pipelines = pick(3, 12), pick(30, 200)
    with scene.caller() as caller:
        results = [caller.send_pipeline(f"p{number:04}", COUNT) for number in range(pipelines)]
        workers = [scene.worker(tasks=TASKS), scene.worker(tasks=TASKS)]
        for number in range(kills):
            time.sleep(pick(0.3, 1.0))
            workers[number % 2].process.kill()
            workers[number % 2] = scene.worker(tasks=TASKS)
        assert [result.get(LEASE + 40) for result in results] == [TOTAL] * pipelines
        steps = len(TASKS) * SLOTS * 2
        scene.check(duplicates=kills * steps * 20, empty=TASKS)
    ids = list(itertools.chain.from_iterable(line.split()[1:2] for line in scene.ledger.read_text().splitlines()))
    assert {id.partition(".")[0] for id in ids} == {f"p{number:04}" for number in range(pipelines)}
