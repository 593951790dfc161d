"""How tests wait: on a condition, with a deadline, never for a guessed time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from typeddingo._io.threads import Deadline, running

__all__ = ["eventually", "no_thread_left"]


def eventually(condition: Callable[[], object], what: str = "the condition", timeout: float = 10.0) -> None:
    """Return once ``condition()`` is true. Raises ``AssertionError`` naming ``what`` after ``timeout`` seconds."""
    deadline = Deadline(timeout)
    pause = threading.Event()
    while not condition():
        if deadline.passed:
            raise AssertionError(f"after {timeout} s: {what} is still not true")
        pause.wait(0.002)


@contextmanager
def no_thread_left(timeout: float = 10.0) -> Generator[None, None, None]:
    """Every thread of this package that was started inside has ended within ``timeout`` seconds of the end.
    Raises ``AssertionError`` naming those that have not."""
    before = set(threading.enumerate())
    yield

    def left() -> list[str]:
        return [t.name for t in threading.enumerate() if t not in before and t.name in running()]

    try:
        eventually(lambda: not left(), timeout=timeout)
    except AssertionError:
        raise AssertionError(f"threads left running: {', '.join(left())}") from None
