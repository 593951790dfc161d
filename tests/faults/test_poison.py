"""Tasks that kill, fail or are no tasks at all: each hurts itself alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.faults.caller import numbered
from tests.faults.frames import frame, injector
from tests.faults.scale import MAX_DELIVERIES, PATIENCE, SLOTS, pick
from tests.faults.scene import Footprint, Scene, WorkerProcess
from tests.wire.hostile import HEADERS
from typeddingo.broker import Parcel
from typeddingo.errors import ErrorCode, TaskFailed, WireError
from typeddingo.header import frame_bytes
from typeddingo.message import Meta
from typeddingo.testing import eventually

FAILURES = {
    "raises": ErrorCode.PANIC,
    "raises a BaseException": ErrorCode.PANIC,
    "recurses": ErrorCode.PANIC,
    "returns the wrong type": ErrorCode.RETURN,
}


@contextmanager
def supervised(scene: Scene, **changes: Any) -> Generator[list[WorkerProcess], None, None]:
    """One worker process, and another whenever it has died. Yields those there were."""
    workers: list[WorkerProcess] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            if not workers or not workers[-1].process.running:
                with suppress(AssertionError):  # it ran the killer before it could say that it was ready
                    workers.append(scene.worker(**changes))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield workers
    finally:
        stop.set()
        looking.join(PATIENCE)


def put_aside_alone(scene: Scene, **settings: object) -> None:
    good = numbered(pick(60, 200))
    with scene.caller() as caller:
        caller.send_all(good[: len(good) // 2], "poison", False, threads=1)
        assert caller.send("killer", "poison", True)
        caller.send_all(good[len(good) // 2 :], "poison", False, threads=1)
        with supervised(scene, url=scene.url(**settings), tasks=("poison",)) as workers:
            eventually(lambda: scene.dead_ids(), "the killer is put aside", timeout=2 * PATIENCE)
            account = scene.check(duplicates=len(good) * MAX_DELIVERIES, empty=("poison",))
            scene.figures.update({"worker processes": len(workers), "starts of the killer": account.begun["killer"]})
            assert account.dead == {"killer"}
            assert account.begun["killer"] == MAX_DELIVERIES
            assert account.completed == set(good)
            assert any(worker.told("DEAD_LETTER") for worker in workers)


def test_F20_a_task_that_kills_its_worker_is_put_aside_alone(scene: Scene) -> None:
    put_aside_alone(scene, **({"prefetch": SLOTS} if scene.technology.name == "amqp" else {}))


def test_F21_and_so_it_is_when_its_worker_holds_many_more(scene: Scene) -> None:
    put_aside_alone(scene, **({"prefetch": 100} if scene.technology.name == "amqp" else {}))


def test_F22_a_task_that_fails_in_any_way_reports_it_once_and_its_worker_lives(scene: Scene) -> None:
    worker = scene.worker(tasks=("moody",))
    with scene.caller() as caller:
        for how, code in FAILURES.items():
            id = how.replace(" ", "-")
            assert caller.send(id, "moody", how)
            with pytest.raises(TaskFailed) as failed:
                caller.results[id].get(20)
            assert failed.value.code == code
        assert caller.send("good", "moody", "")
        assert caller.results["good"].get(20) == 1
        scene.check(duplicates=0, empty=("moody",))
        assert worker.process.running


def hostile_frames() -> list[bytes]:
    """Headers that lie, good frames cut short, and payloads that do not fit. No two say that they are the same task."""
    good = len(frame("cut000", "note", 0.0))
    cut = [frame(f"cut{size:03}", "note", 0.0)[:size] for size in range(1, good, pick(9, 1))]
    values = [b'"0.0"', b"1e400", b"[" * 10_000, b"NaN", b"null", b"0.0,1", b"", b'{"$type":"os.system"}', b"\xff"]
    payloads = [b'{"O":{"IR":true,"MP":false},"A":[' + value + b"]}" for value in values]
    bodies = [frame_bytes(f"bad{number}", "note", payload) for number, payload in enumerate(payloads)]
    return list(dict.fromkeys([*(body for _, body, _ in HEADERS), *cut, *bodies]))


def test_F31_hostile_bytes_in_a_queue_are_put_aside_and_good_tasks_run(scene: Scene) -> None:
    worker = scene.worker(slots=1)
    with scene.caller() as caller, injector(scene) as inject:
        assert caller.send("first", "note", 0.0)
        assert caller.results["first"].get(20) == "first"
        before = Footprint.of(worker.pid)
        bad = hostile_frames()
        slowest = 0.0
        for number, body in enumerate(bad):
            inject("note", f"bad{number}", body)
            assert caller.send(f"good{number}", "note", 0.0)
            began = time.monotonic()
            assert caller.results[f"good{number}"].get(20) == f"good{number}"
            slowest = max(slowest, time.monotonic() - began)
        with scene.inspector() as inspector:
            eventually(lambda: inspector.queue("note").dead == len(bad), f"{len(bad)} are put aside", timeout=10)
        eventually(lambda: worker.told("a task was refused") == len(bad), "each is told")
        scene.wait_empty()
        scene.figures.update({"hostile": len(bad), "slowest good task": f"{slowest * 1000:.0f} ms"})
        assert slowest < 2
        assert worker.process.running
        assert Footprint.of(worker.pid).megabytes <= before.megabytes + 64
        assert scene.completed() == len(bad) + 1


def test_F32_a_hostile_report_ends_its_own_result_and_no_other(scene: Scene) -> None:
    with scene.caller() as caller:
        assert caller.send("victim", "note", 0.0)
        assert caller.send("other", "note", 0.0)
        address = caller.reply_to
        with scene.backend() as backend:
            for number, body in enumerate([b"", b"\x00" * 18, frame("victim", "note", 0.0), b"\xff" * 100]):
                id = f"victim{number}"
                assert caller.send(id, "note", 0.0)
                backend.report([Parcel(Meta("note", id, address), body)])
                with pytest.raises(WireError):
                    caller.results[id].get(20)
        scene.worker()
        assert caller.results["other"].get(20) == "other"
        assert caller.results["victim"].get(20) == "victim"
        scene.check(duplicates=0)
