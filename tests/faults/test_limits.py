"""Limits hold over all worker processes, and a slot comes back whoever dies; nobody waits for an equal who died."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from bisect import bisect_right
from pathlib import Path

from tests.faults.caller import numbered
from tests.faults.scale import pick
from tests.faults.scene import ROOT, Scene
from tests.faults.tasks import MOST
from typeddingo.brokers._amqp_unique import TURN
from typeddingo.testing import eventually

RATE, MARGIN = 20, 0.1
"""Starts a second; seconds that lie between a start that is allowed and one that is noted."""
TASKS = pick(80, 400)
SECONDS = 0.1
"""Of one task."""


def runs(scene: Scene) -> list[tuple[float, float]]:
    """When each began and ended, by the clock that both processes have."""
    lines = Path(f"{scene.ledger}.times").read_text().splitlines()
    return sorted((float(began), float(ended)) for began, ended in map(str.split, lines))


def most_at_a_time(runs: list[tuple[float, float]]) -> int:
    return max(sum(began <= at < ended for began, ended in runs) for at, _ in runs)


def most_in_a_window(runs: list[tuple[float, float]], seconds: float) -> int:
    starts = [began for began, _ in runs]
    return max(at + 1 - bisect_right(starts, start - seconds) for at, start in enumerate(starts))


def test_F58_two_processes_keep_the_limits_together_and_nearly_reach_them(scene: Scene) -> None:
    with scene.caller() as caller:
        caller.send_all(numbered(TASKS), "rationed", SECONDS)
        for _ in range(2):
            scene.worker(tasks=("rationed",), slots=MOST)
        scene.check(empty=("rationed",))
    found = runs(scene)
    took = found[-1][0] - found[0][0]
    ideal = (TASKS / RATE - 1) + (RATE / MOST - 1) * SECONDS  # each window's tasks, of which few run at a time
    scene.figures.update(took=f"{took:.1f} s", ideal=f"{ideal:.1f} s", at_a_time=most_at_a_time(found))
    assert len(found) == TASKS
    assert most_at_a_time(found) <= MOST
    assert most_in_a_window(found, 1.0 - MARGIN) <= RATE
    assert took <= ideal / pick(0.6, 0.8)  # small, a machine that does something else for a second is a fifth of it


def test_F59_the_slots_of_a_killed_worker_come_back(scene: Scene) -> None:
    with scene.caller() as caller:
        for id in numbered(MOST, "hold"):
            assert caller.send(id, "rationed", 0.0)
        worker = scene.worker(tasks=("rationed",), slots=MOST)
        eventually(lambda: scene.begun() == MOST, "all slots are taken", 20)
        assert caller.send("waits", "rationed", 0.0)
        time.sleep(0.5)  # there is nothing to wait for: it must not start
        assert scene.begun() == MOST
        worker.process.kill()
        killed = time.monotonic()
        scene.worker(tasks=("rationed",), slots=2 * MOST)
        account = scene.check(duplicates=MOST, empty=("rationed",))
        assert account.duplicates == MOST
        scene.figures["after"] = f"{time.monotonic() - killed:.1f} s"


def test_F60_a_caller_killed_right_after_sending_leaves_a_task_that_counts(scene: Scene) -> None:
    code = (
        "import os, sys\n"
        "from tests.faults.plan import Plan\n"
        "from tests.faults.tasks import build\n"
        "from typeddingo.testing import Ledger\n"
        "plan = Plan.from_environment()\n"
        "result = build(plan).call('only', 'key', 0.0)\n"
        "Ledger(plan.ledger).sent(result.id)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **scene.plan.environment()}
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False, timeout=60)
    assert killed.returncode == -9
    with scene.caller() as caller:
        equal = caller.app.call("only", "key", 0.0)
        other = caller.app.call("only", "other", 0.0)
        scene.note_sent(other.id)
        scene.worker(tasks=("only",))
        account = scene.check(empty=("only",))
        assert account.begun == {equal.id: 1, other.id: 1}


def test_F61_callers_killed_while_they_send_keep_their_equals_waiting_for_seconds_only(scene: Scene) -> None:
    code = (
        "import os, threading, time\n"
        "from tests.faults.plan import Plan\n"
        "from tests.faults.tasks import build\n"
        "plan = Plan.from_environment()\n"
        "app = build(plan)\n"
        "app.call('note', 0.0)\n"
        "def die():\n"
        "    time.sleep(float(os.environ['DIES']))\n"
        "    os.kill(os.getpid(), 9)\n"
        "threading.Thread(target=die, daemon=True).start()\n"
        "app.call('only', os.environ['DIES'], 0.0)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **scene.plan.environment()}
    moments = [f"{number * 0.002:.3f}" for number in range(pick(6, 20))]
    for moment in moments:
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**environment, "DIES": moment}, check=False, timeout=60
        )
    scene.worker(tasks=("only",))
    with scene.caller() as caller:
        began = time.monotonic()
        ids = [caller.app.call("only", moment, 0.0).id for moment in moments]
        took = time.monotonic() - began
        scene.figures["slowest"] = f"{took:.1f} s"
        assert took < TURN + 5
        eventually(lambda: set(ids) <= set(scene.audit().completed), "each of them has run", 20)
