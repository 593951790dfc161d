"""The tasks of the fault tests: they say in the ledger when they begin and end. Comes from workers and callers."""

from __future__ import annotations

import os
import time
from decimal import Decimal

from tests.faults.plan import Plan
from typeddingo import App, Retry, current_context
from typeddingo.config import Ack, Config
from typeddingo.testing import Ledger

__all__ = ["build"]


def build(plan: Plan, *, where: str | None = None) -> App:
    """The app of a worker or caller; ``where="remote"`` is attached by hand."""
    config = Config(ack=Ack.EARLY if plan.early else Ack.LATE)
    app = App(where, config=config) if where else App(plan.url, backend=plan.backend, config=config)
    ledger = Ledger(plan.ledger)

    def noted(seconds: float) -> str:
        id = current_context().id
        ledger.begun(id)
        time.sleep(seconds)
        ledger.ended(id)
        return id

    @app.task(name="note")
    def note(seconds: float) -> str:
        """What most tests send."""
        return noted(seconds)

    @app.task(name="other")
    def other(seconds: float) -> str:
        """The same in another queue."""
        return noted(seconds)

    @app.task(name="poison")
    def poison(kills: bool) -> str:
        """Ends its process, as the out-of-memory killer does."""
        id = current_context().id
        ledger.begun(id)
        if kills:
            os._exit(9)
        ledger.ended(id)
        return id

    @app.task(name="moody")
    def moody(how: str) -> int:
        """Fails in every way there is."""
        id = current_context().id
        ledger.begun(id)
        ledger.ended(id)
        if how == "raises":
            raise ValueError("on purpose")
        if how == "raises a BaseException":
            raise KeyboardInterrupt("on purpose")
        if how == "recurses":
            return _deeper(0)
        if how == "returns the wrong type":
            return Decimal("1.5")  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # on purpose
        return 1

    @app.task(name="flaky", retries=20)
    def flaky(fails: int, after: float) -> str:
        """Fails so often first; each run begins, the last one ends."""
        id = current_context().id
        ledger.begun(id)
        if current_context().attempt <= fails:
            raise Retry(after=after)
        ledger.ended(id)
        return id

    @app.task(name="echo")
    def echo(data: bytes) -> bytes:
        id = current_context().id
        ledger.begun(id)
        ledger.ended(id)
        return data

    return app


def _deeper(depth: int) -> int:
    return _deeper(depth + 1) + 1
