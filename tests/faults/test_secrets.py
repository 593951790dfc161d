"""A canary in every place where a secret may be: whatever happens, it is in no log, event, repr or reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.frames import frame, injector
from tests.faults.scene import Scene
from tests.faults.technology import OnRabbit, OnRedis
from tests.servers import RabbitServer, RedisServer
from tests.servers.fixtures import started
from typeddingo.errors import TaskFailed
from typeddingo.header import frame_bytes
from typeddingo.testing import eventually

CANARY = "canary0s3cret"


@pytest.fixture
def guarded_redis(tmp_path: Path) -> Iterator[Scene]:
    with started(lambda: RedisServer(aof=True, password=CANARY)) as server:
        scene = Scene(OnRedis(server), tmp_path)
        yield scene
        scene.close()


@pytest.fixture
def guarded_rabbit(breakable_rabbit: RabbitServer, tmp_path: Path) -> Iterator[Scene]:
    breakable_rabbit.add_user("guarded", CANARY)
    scene = Scene(OnRabbit(breakable_rabbit, user="guarded", password=CANARY), tmp_path)
    yield scene
    scene.close()


@pytest.mark.parametrize("place", ["guarded_redis", "guarded_rabbit"])
def test_F41_secrets_are_told_nowhere(
    place: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    scene: Scene = request.getfixturevalue(place)
    caplog.set_level("DEBUG")
    assert CANARY in scene.plan.url
    seen: list[str] = []
    worker = scene.worker(tasks=("moody", "note", "echo"), slots=1)
    with scene.caller(url=scene.url(send_timeout=4)) as caller, injector(scene) as inject:
        seen += [repr(caller.app), repr(caller.broker), repr(caller.backend), str(caller.broker)]
        # F22: tasks that fail with a secret among their arguments
        for how in ("raises", "recurses", "returns the wrong type"):
            assert caller.send(how.replace(" ", "-"), "moody", f"{how}")
            with pytest.raises(TaskFailed) as failed:
                caller.results[how.replace(" ", "-")].get(20)
            seen += [str(failed.value), repr(failed.value), failed.value.traceback]
        assert caller.send("secret", "echo", CANARY.encode())
        assert caller.results["secret"].get(20) == CANARY.encode()
        seen.append(repr(caller.results["secret"]))
        # F31: bytes that hold one and are refused
        wrong = b'{"O":{"IR":true,"MP":false},"A":["' + CANARY.encode() + b'"]}'
        for number, body in enumerate(
            [frame_bytes("w", "note", wrong), frame("x", "note", 0.0)[:30] + CANARY.encode()]
        ):
            inject("note", f"bad{number}", body)
        eventually(lambda: scene.state().dead == 2, "they are put aside")
        with scene.inspector() as inspector:
            seen += [f"{dead.reason} {dead.key} {dead.id}" for dead in inspector.dead("note")]
        # F10: the server goes away and comes back
        scene.server.stop()
        assert not caller.send("away", "note", 0.0)
        error: BaseException | None = caller.refused.get("away") or caller.unknown.get("away")
        while error is not None:
            seen += [str(error), repr(error)]
            error = error.__cause__
        scene.server.start()
        assert scene.sends_again(caller, "back")
        assert caller.results["back"].get(20) == "back"
        seen += [repr(event) for event in caller.events]
    seen += [worker.output(), caplog.text]
    assert worker.told("CONNECTION"), "something was told at all"
    for text in seen:
        assert CANARY not in text, text[max(0, text.find(CANARY) - 200) :][:400]
