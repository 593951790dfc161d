"""Frames as a caller makes them, without sending them: to be damaged, or stored twice. Used by fault tests."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.caller import OWN_IDS, ChosenIDs
from tests.faults.plan import Plan
from tests.faults.scene import Scene
from tests.faults.tasks import build
from typeddingo import Option
from typeddingo.bridges.urls import open_broker
from typeddingo.broker import Confirmation, Parcel, Producer
from typeddingo.config import Config
from typeddingo.message import Meta
from typeddingo.role import Role


class _Accepted(Confirmation):
    def wait(self, timeout: float | None = None) -> None:
        return None

    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        callback(None)


class _Recorder(Producer):
    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def expect(self, roles: Role) -> None: ...

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        self.parcels.extend(parcels)
        return _Accepted()

    def close(self) -> None: ...


def frame(id: str, task: str, *args: object) -> bytes:
    """One call, whose report nobody wants."""
    recorder, ids = _Recorder(), ChosenIDs()
    ids.choose(id)
    with build(Plan(url="", ledger=str(Path("/dev/null"))), where="remote") as app:
        app.add_id_maker(OWN_IDS, ids)
        app.set_id_maker(task, OWN_IDS)
        app.use(recorder)
        app.call(task, *args, option=Option(ignore_report=True))
    return recorder.parcels[0].body


@contextmanager
def injector(scene: Scene) -> Generator[Callable[[str, str, bytes], None], None, None]:
    """A function that stores bytes in the queue of a task: its name, an id, the bytes."""
    broker = open_broker(scene.plan.url, Config())
    try:
        broker.expect(Role.PRODUCER)

        def inject(name: str, id: str, body: bytes) -> None:
            broker.declare_task(name)
            broker.send([Parcel(Meta(name, id), body)]).wait(20)

        yield inject
    finally:
        broker.close()
