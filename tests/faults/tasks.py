"""The tasks of the fault tests: they say in the ledger when they begin and end. Comes from workers and callers."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from decimal import Decimal
from weakref import WeakKeyDictionary

from tests.faults.plan import Plan
from typeddingo import App, Middleware, Outgoing, Pipeline, Retry, current_context, each
from typeddingo.config import Ack, Config
from typeddingo.testing import Ledger

__all__ = ["PIPELINES", "Process", "Tenants", "build"]


class Process:
    """What the lifespan gives: who runs a task."""

    def __init__(self) -> None:
        self.pid = os.getpid()


class Tenants(Middleware):
    """Each call is somebody's."""

    def before_send(self, call: Outgoing) -> None:
        call.headers["tenant"] = f"the owner of {call.id}"


@contextlib.contextmanager
def process() -> Generator[Process]:
    """The lifespan."""
    yield Process()


def build(plan: Plan, *, where: str | None = None) -> App:
    """The app of a worker or caller; ``where="remote"`` is attached by hand."""
    config = Config(ack=Ack.EARLY if plan.early else Ack.LATE)
    middleware, lifespan = ([Tenants()], process) if plan.around else ([], None)
    app = App(
        where or plan.url,
        backend=None if where else plan.backend,
        config=config,
        middleware=middleware,
        lifespan=lifespan,
    )
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
        id = noted(seconds)
        if not plan.around:
            return id
        context = current_context()
        return f"{context.headers['tenant']}, run by {context.state(Process).pid}"

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

    app.register("apart", apart, isolation="process")

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

    @app.task(name="spread")
    def spread(count: int) -> list[int]:
        """The first step of a pipeline."""
        noted(0.0)
        return list(range(count))

    @app.task(name="grow")
    def grow(number: int) -> int:
        """A step for each value."""
        noted(0.0)
        return number + 1

    @app.task(name="sum_up")
    def sum_up(numbers: list[int]) -> int:
        """And the last one."""
        noted(0.0)
        return sum(numbers)

    PIPELINES[app] = spread | each(grow) | sum_up

    if plan.every:

        @app.every(seconds=plan.every, catch_up=plan.catch_up)
        @app.task(name="tick")
        def tick() -> str:  # pyright: ignore[reportUnusedFunction]  # called by its schedule
            """When it is due is in its id."""
            return noted(0.0)

    return app


PIPELINES: WeakKeyDictionary[App, Pipeline[[int], int]] = WeakKeyDictionary()
"""The pipeline of each app: what it spreads grows by one, and is summed up."""


def apart(seconds: float) -> str:
    """As ``note``, in a child process, which imports this module."""
    id, ledger = current_context().id, Ledger(Plan.from_environment().ledger)
    ledger.begun(id)
    time.sleep(seconds)
    ledger.ended(id)
    return id


def _deeper(depth: int) -> int:
    return _deeper(depth + 1) + 1
