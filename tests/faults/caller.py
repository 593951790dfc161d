"""A caller that keeps the account: an app in the test's own process. Comes from ``Scene.caller``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Self

from tests.faults.plan import Plan
from tests.faults.tasks import PIPELINES, build
from typeddingo import Option, Result
from typeddingo.bridges.urls import open_backend, open_broker
from typeddingo.config import Config
from typeddingo.errors import SendError, SendUnknown
from typeddingo.events import Event, EventCode
from typeddingo.testing import Ledger

OWN_IDS = 9
"""The id of the id maker below."""
PAUSE = 0.02
"""Seconds before a refused task is sent again."""


class ChosenIDs:
    """Names the next call of this thread, so that one which may have been stored can be sent again as the same."""

    def __init__(self) -> None:
        self._next: ContextVar[str] = ContextVar("next id")

    def choose(self, id: str) -> None:
        self._next.set(id)

    def new_id(self, name: str = "", /) -> str:
        return self._next.get()


class Caller:
    """Thread-safe. ``results``, ``refused`` and ``unknown`` are by id: what each call came to, the last time."""

    def __init__(self, plan: Plan) -> None:
        self.app = build(plan, where="remote")
        self.broker = open_broker(plan.url, Config())
        self.backend = open_backend(plan.backend or plan.url, Config())
        self.app.use(self.broker)
        self.app.use(self.backend)
        self._ids = ChosenIDs()
        self.app.add_id_maker(OWN_IDS, self._ids)
        for task in ("note", "other", "poison", "moody", "echo", "apart", "sum_up", "flaky"):
            self.app.set_id_maker(task, OWN_IDS)
        self._ledger = Ledger(plan.ledger)
        self.results: dict[str, Result[Any]] = {}
        self.refused: dict[str, SendError] = {}
        self.unknown: dict[str, SendUnknown] = {}
        self.slowest = 0.0
        """Seconds of the call that took longest."""
        self.seconds: list[float] = []
        self.events: list[Event] = []
        # Not a subscription, which drops what it has no room for.
        self.app._runtime.events.subscribe(self.events.append)  # pyright: ignore[reportPrivateUsage]  # for every one

    def send(self, id: str, task: str = "note", *args: object, option: Option | None = None) -> bool:
        """One call, in the account before this returns. False: it was not stored, or nobody knows."""
        self._ids.choose(id)
        began = time.monotonic()
        try:
            result = self.app.call(task, *args, option=option)
        except SendUnknown as error:
            self._ledger.unknown(id)
            self.unknown[id] = error
            return False
        except SendError as error:
            self.refused[id] = error
            return False
        finally:
            self.seconds.append(time.monotonic() - began)
            self.slowest = max(self.slowest, self.seconds[-1])
        self._ledger.sent(id)
        self.results[id] = result
        self.unknown.pop(id, None)
        self.refused.pop(id, None)
        return True

    def send_pipeline(self, id: str, count: int) -> Result[int]:
        """One call of a pipeline; all of its steps are in the account before this returns."""
        self._ids.choose(id)
        result = PIPELINES[self.app].call(count)
        for step in (id, *(f"{id}.1.{index}" for index in range(count)), f"{id}.2"):
            self._ledger.sent(step)
        return result

    def hand_over(self, id: str, task: str, *args: object) -> None:
        """One call of a batch, whose result nobody wants. The account is the test's business."""
        self._ids.choose(id)
        self.app.call(task, *args, option=Option(ignore_report=True))

    def send_all(
        self, ids: Iterable[str], task: str = "note", *args: object, threads: int = 4, stubborn: bool = False
    ) -> None:
        """Many calls, from several threads; ``stubborn``: what was certainly not stored is sent until it is."""

        def send(id: str) -> None:
            while not self.send(id, task, *args) and stubborn and id in self.refused:
                time.sleep(PAUSE)

        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(send, ids):
                pass

    def story(self, id: str) -> str:
        """What became of the calls with this id, and what was told meanwhile."""
        lines = [
            f"{event.time:.2f} {event.level.name} {event.code.name} {event.message}" for event in self.events[-30:]
        ]
        ends = {
            kind: errors[id] for kind, errors in (("refused", self.refused), ("unknown", self.unknown)) if id in errors
        }
        return "\n".join([f"{time.time():.2f} now, {ends!r}", *lines])

    def count(self, code: EventCode, text: str = "") -> int:
        """The events of this kind that hold ``text``, so far."""
        return sum(event.code is code and text in event.message for event in self.events)

    @property
    def reply_to(self) -> str:
        """Where reports to this caller go."""
        return self.backend.reply_to

    def close(self) -> None:
        self.app.close(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def numbered(count: int, kind: str = "t") -> list[str]:
    return [f"{kind}{number:06}" for number in range(count)]
