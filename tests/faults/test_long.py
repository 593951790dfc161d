"""What takes minutes, and runs by ``scripts/faults --all`` alone."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.faults.caller import numbered
from tests.faults.marks import long
from tests.faults.scale import LEASE, SLOTS
from tests.faults.scene import ROOT, Footprint, Scene, WorkerProcess
from tests.faults.technology import OnRabbit, OnRedis, Technology
from tests.servers import Proxy, RabbitServer, RedisServer
from typeddingo.errors import BrokerBlocked, QueueFull
from typeddingo.testing import audit, eventually

pytestmark = [long, pytest.mark.timeout(900)]

MANY = int(os.environ.get("TYPEDDINGO_FAULTS_MANY", "1000000"))
SOAK = float(os.environ.get("TYPEDDINGO_FAULTS_SOAK", "300"))
FUZZ = os.environ.get("TYPEDDINGO_FAULTS_FUZZ", "600")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 64 megabytes."""
    place = Path(tempfile.mkdtemp(prefix="tdg-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        shutil.rmtree(place)
        pytest.skip("no right to mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
    shutil.rmtree(place, ignore_errors=True)


def test_F19_a_full_disk_takes_no_more_and_loses_nothing_redis(small_disk: Path, tmp_path: Path) -> None:
    with RedisServer(aof=True, directory=small_disk / "redis") as server:
        scene = Scene(OnRedis(server), tmp_path)
        with scene.caller(url=scene.url(send_timeout=3)) as caller:
            for id in numbered(5000, "flood"):
                if not caller.send(id, "echo", os.urandom(50_000)):
                    break
            assert caller.refused or caller.unknown
            stored = len(caller.results)
        server.kill()
        with (small_disk / "redis" / "log").open("wb"):
            pass
        server.start()
        assert scene.state("echo").waiting >= stored
        scene.close()


def test_F19_a_full_disk_takes_no_more_and_loses_nothing_amqp(breakable_rabbit: RabbitServer, tmp_path: Path) -> None:
    scene = Scene(OnRabbit(breakable_rabbit), tmp_path)
    with scene.caller(url=scene.url(send_timeout=3)) as caller:
        caller.send_all(numbered(100), "note", 0.0)
        breakable_rabbit.ctl("set_disk_free_limit", "100000GB")
        try:
            eventually(lambda: not caller.send("full", "note", 0.0), "it takes no more", timeout=30)
            assert all(isinstance(error, (BrokerBlocked, QueueFull)) for error in caller.refused.values())
        finally:
            breakable_rabbit.ctl("set_disk_free_limit", "10MB")
        breakable_rabbit.restart()
        assert scene.sends_again(caller, "after")
        scene.worker()
        scene.check(duplicates=0)
    scene.close()


def test_F33_damaged_frames_are_refused_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.wire.fuzz_longer", FUZZ, "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.timeout(1500)
def test_F37_a_million_tasks_wait_and_are_done(scene: Scene) -> None:
    with scene.caller() as caller:
        app = caller.app
        piece, rss = 1000, 0.0
        began = time.monotonic()
        for start in range(0, MANY, piece):
            ids = numbered_from(start, piece)
            with app.batch():
                for id in ids:
                    caller.hand_over(id, "note", 0.0)
            scene.note_all_sent(ids)
            if start == MANY // 5:
                rss = Footprint.here().megabytes
        scene.figures["sent a second"] = round(MANY / (time.monotonic() - began))
        grown = Footprint.here().megabytes - rss
        scene.figures["caller's memory"] = f"{rss:.0f} MB {grown:+.0f}"
        assert grown <= 0.1 * rss + 5
    if isinstance(scene.technology, OnRedis):
        used = scene.technology.redis.info("used_memory")
        scene.figures["bytes a waiting task"] = round(used / MANY)
    began = time.monotonic()
    for _ in range(4):
        scene.worker()
    eventually(lambda: scene.state().waiting == 0, "all were taken", timeout=900)
    scene.wait_empty(timeout=120)
    eventually(lambda: not audit(scene.ledger).lost, "what workers held has ended", timeout=120)
    scene.figures["run a second"] = round(MANY / (time.monotonic() - began))
    account = audit(scene.ledger)
    scene.figures["account"] = str(account)
    account.check(duplicates=0)


def numbered_from(start: int, count: int) -> list[str]:
    return [f"t{number:08}" for number in range(start, start + count)]


@pytest.mark.parametrize("shift", [-3600.0, 3600.0])
def test_F38_a_worker_whose_clock_is_wrong_is_as_good_as_another(scene: Scene, shift: float) -> None:
    wrong = scene.worker(slots=1, clock=shift)
    with scene.caller() as caller:
        assert caller.send("long", "note", 3 * LEASE)
        eventually(lambda: scene.begun() == 1, "it has begun")
        scene.worker(slots=1)
        assert caller.results["long"].get(30) == "long"
        scene.check(duplicates=0)
        wrong.process.kill()


class AnyFault(RuleBasedStateMachine):
    """Sends, kills, freezes, resets and restarts in any order; the laws hold when it is over."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.ids = itertools.count(len(audit(scene.ledger).sent))
        self.caller = scene.caller()
        self.workers: list[WorkerProcess] = [scene.worker(), scene.worker()]
        self.kills = 0

    @rule(count=st.integers(1, 30))
    def send(self, count: int) -> None:
        ids = [f"t{next(self.ids):06}" for _ in range(count)]
        self.caller.send_all(ids, "note", 0.01, stubborn=True)

    @rule(which=st.integers(0, 1))
    def kill_a_worker(self, which: int) -> None:
        self.workers[which].process.kill()
        self.workers[which] = self.scene.worker()
        self.kills += 1

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([0.1, 2 * LEASE]))
    def freeze_a_worker(self, which: int, seconds: float) -> None:
        self.workers[which].process.freeze()
        time.sleep(seconds)
        self.workers[which].process.thaw()
        self.kills += 1

    @rule()
    def restart_the_server(self) -> None:
        self.scene.server.restart()
        self.kills += 2

    @rule()
    def kill_the_server(self) -> None:
        self.scene.server.kill()
        self.scene.server.start()
        self.kills += 2

    def teardown(self) -> None:
        self.scene.check(duplicates=self.kills * SLOTS)
        for worker in self.workers:
            worker.process.kill()
        self.caller.close()


def test_F40_faults_in_any_order_break_no_law(technology: Technology, tmp_path: Path) -> None:
    numbers = itertools.count(1)
    scenes: list[Scene] = []

    class Here(AnyFault):
        def __init__(self) -> None:
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            scenes.append(Scene(technology, directory))
            super().__init__(scenes[-1])

    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=8,
                stateful_step_count=12,
                deadline=None,
                derandomize=True,
                suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
            ),
        )
    finally:
        for scene in scenes:
            scene.close()


def test_F45_a_caller_with_another_encoding_is_refused(scene: Scene) -> None:
    worker = scene.worker(slots=1)
    with scene.caller() as caller:
        caller.app.set_marshaller("note", 2, 2)
        assert caller.send("other-encoding", "note", 0.0)
        eventually(lambda: scene.state().dead == 1, "it is put aside")
        assert worker.told("UNDECODABLE")
        assert scene.begun() == 0
        caller.app.set_marshaller("note", 0, 0)
        assert caller.send("same-encoding", "note", 0.0)
        assert caller.results["same-encoding"].get(20) == "same-encoding"


@pytest.mark.timeout(1200)
def test_F46_a_soak_of_random_faults_loses_nothing(scene: Scene) -> None:
    chance = random.Random(46)
    with Proxy(scene.server.port) as work:
        workers = [scene.worker(url=work.url(scene.plan.url), tasks=("note", "echo")) for _ in range(2)]
        with scene.caller(url=scene.url(send_timeout=10)) as caller:
            faults: dict[str, Callable[[], None]] = {
                "kill a worker": lambda: _replace(scene, workers, chance.randrange(2), work),
                "restart the server": scene.server.restart,
                "kill the server": lambda: _kill(scene),
                "freeze the server": lambda: _freeze(scene, 2.0),
                "reset the workers": work.reset_all,
            }
            end, next_fault, done = time.monotonic() + SOAK, time.monotonic() + 10, 0
            first: Footprint | None = None
            carried = 0
            for id in numbered(1_000_000):
                if time.monotonic() > end:
                    break
                if time.monotonic() > next_fault:
                    faults[chance.choice(sorted(faults))]()
                    done, next_fault = done + 1, time.monotonic() + 10
                if first is None and time.monotonic() > end - SOAK * 0.8:
                    first, carried = Footprint.here(), work.open
                size = chance.choice([0, 100, 10_000])
                task, argument = ("echo", bytes(size)) if size else ("note", 0.0)
                while not caller.send(id, task, argument) and id in caller.refused:
                    time.sleep(0.05)
                caller.results.pop(id, None)
                time.sleep(1 / 300)
            assert first is not None
            last = Footprint.here()
            scene.figures.update(faults=done, memory=f"{last.megabytes - first.megabytes:+.0f} MB")
            scene.check(duplicates=done * 2 * 2 * SLOTS, empty=("note", "echo"))
            assert last.files - first.files <= 3 + 2 * max(0, work.open - carried), "but for the proxy's own"
            assert last.threads <= first.threads + 3
            assert last.megabytes <= first.megabytes + SOAK / 60


def _replace(scene: Scene, workers: list[WorkerProcess], which: int, work: Proxy) -> None:
    workers[which].process.kill()
    workers[which] = scene.worker(url=work.url(scene.plan.url), tasks=("note", "echo"))


def _kill(scene: Scene) -> None:
    scene.server.kill()
    scene.server.start()


def _freeze(scene: Scene, seconds: float) -> None:
    scene.server.freeze()
    time.sleep(seconds)
    scene.server.thaw()
