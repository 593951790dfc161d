"""The app of these tests, imported by the caller (a test) and by the worker, ``typeddingo worker``.

The servers come from the environment, so that both sides say the same.
"""

from __future__ import annotations

import asyncio
import collections
import os
from collections.abc import Callable
from typing import Any

from tests.support.carried import CARRIED
from typeddingo import App, Context, MarshallerID, Option, Tasks, current_context

__all__ = ["CHUNKS", "MARSHALLERS", "Program", "make_app"]

AT_ONCE = 40
"""Types in one task: as many queues as types would be slow to declare, not to use."""
CHUNKS: list[list[tuple[Any, object]]] = [CARRIED[at : at + AT_ONCE] for at in range(0, len(CARRIED), AT_ONCE)]
MARSHALLERS = [MarshallerID.JSON, MarshallerID.MSGPACK, MarshallerID.JSONSAFE]


def echo_of(types: list[Any]) -> Callable[..., Any]:
    """A function that returns its arguments, one of each type, as so many return values."""
    names = [f"v{number}" for number in range(len(types))]
    made: dict[str, Any] = {}
    exec(f"def echo({', '.join(names)}): return ({', '.join(names)},)", made)
    echo: Callable[..., Any] = made["echo"]
    echo.__annotations__ = {**dict(zip(names, types, strict=True)), "return": tuple[tuple(types)]}  # type: ignore[misc]  # made of data
    return echo


class Program:
    """The tasks, bound to an app."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.echoes = {
            (marshaller, number): app.register(
                f"echo.{marshaller.name}.{number}",
                echo_of([annotation for annotation, _ in chunk]),
                marshaller=marshaller,
                report_marshaller=marshaller,
                workers=1,
            )
            for marshaller in MARSHALLERS
            for number, chunk in enumerate(CHUNKS)
        }
        tasks = Tasks()

        @tasks.task(name="add", workers=2)
        def add(a: int, b: int = 10, *, negative: bool = False) -> int:
            return -(a + b) if negative else a + b

        @tasks.task(name="fail", workers=1)
        def fail(message: str) -> int:
            raise ValueError(message)

        @tasks.task(name="count up", context=True, option=Option(monitor_progress=True), workers=1)
        def count_up(context: Context, to: int) -> str:
            for done in range(1, to + 1):
                context.progress(done, to)
            return context.id

        @tasks.task(name="double", workers=4)
        async def double(number: int) -> int:
            await asyncio.sleep(0)
            return number * 2

        @tasks.task(name="whoami", workers=1)
        def whoami() -> tuple[int, str, int]:
            context = current_context()
            return os.getpid(), context.name, context.attempt

        @tasks.task(name="letters", workers=1)
        def letters(text: str) -> collections.Counter[str]:
            return collections.Counter(text)

        self.add, self.fail, self.count_up = add, fail, count_up
        self.double, self.whoami, self.letters = double, whoami, letters
        app.include(tasks)


def make_app() -> App:
    """For the worker."""
    return Program(App(os.environ["TDG_BROKER"], backend=os.environ["TDG_BACKEND"])).app
