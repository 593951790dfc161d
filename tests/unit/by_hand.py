"""A result without an engine, ended by the test. Comes from the tests of results."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from typeddingo.message import Failure, Report, Status
from typeddingo.option import Option
from typeddingo.result import Result

R = TypeVar("R")

SECONDS = 10.0
"""The deadline of everything that must happen."""


class _Home:
    """Where nothing can be cancelled."""

    def __init__(self, background: Callable[[Callable[[], None]], None]) -> None:
        self.background = background

    def cancel(self, name: str, id: str) -> None:
        raise AssertionError("nobody cancels here")

    def forget(self, name: str, id: str) -> None:
        raise AssertionError("nobody forgets here")


class ByHand(Result[R]):
    """A ``Result`` whose engine is the test."""

    def __init__(self, option: Option = Option(), *, name: str = "add", id: str = "7") -> None:  # noqa: B008  # frozen
        super().__init__(name, id, option)

    def succeed(self, value: R) -> None:
        self._succeed(value)

    def deliver(self, status: Status, value: R | None = None, failure: Failure | None = None) -> Report[object]:
        values = (value,) if status is Status.SUCCESS else ()
        report: Report[object] = Report(self.name, self.id, status, self.option, failure, values, value)
        self._deliver(report)
        return report

    def fail(self, message: str = "broken", *, exception_type: str = "ValueError") -> None:
        self.deliver(Status.FAIL, failure=Failure(message=message, exception_type=exception_type))

    def close(self, error: Exception) -> None:
        self._close(error)

    def fire_with(self, background: Callable[[Callable[[], None]], None]) -> None:
        self._home = _Home(background)

    @property
    def waiting(self) -> int:
        """Threads and coroutines that wait for the end."""
        annex = self._annex
        return self._waiting + (len(annex.sleepers) if annex is not None else 0)

    @property
    def watchers(self) -> int:
        annex = self._annex
        return 0 if annex is None else len(annex.watchers) + len(annex.ends)


class HandlerThread:
    """What an app gives its results: one thread that fires handlers; used in ``with``."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="handlers", daemon=True)

    def __enter__(self) -> HandlerThread:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.put(None)
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()

    def __call__(self, call: Callable[[], None]) -> None:
        self.calls.put(call)

    def _run(self) -> None:
        while (call := self.calls.get()) is not None:
            call()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    tick = threading.Event()
    for _ in range(int(SECONDS * 1000)):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("it did not happen in time")


def in_turn(*steps: Callable[[], object]) -> Callable[[], None]:
    """The steps one after the other, as one callable."""

    def run() -> None:
        for step in steps:
            step()

    return run
