"""Who owns a background thread, what it is called and when it ends. Used by everything that starts one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Deadline", "Threads", "running"]

PREFIX = "typeddingo-"
"""Every thread of ours is called ``typeddingo-<owner>-<name>``."""


class Deadline:
    """A moment that several waits share. Monotonic: changes of the wall clock do not move it."""

    __slots__ = ("_at", "_clock")

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """``seconds`` from now; None never passes."""
        self._clock = clock
        self._at = None if seconds is None else clock() + seconds

    @property
    def left(self) -> float | None:
        """Seconds that are left, never negative; None when there is no end. Fits every ``timeout`` parameter."""
        return None if self._at is None else max(0.0, min(self._at - self._clock(), threading.TIMEOUT_MAX))

    @property
    def passed(self) -> bool:
        return self._at is not None and self._clock() >= self._at


class Threads:
    """The background threads of one owner; thread-safe.

    They are daemons, so that a program which forgets to close still exits; the owner's ``close`` ends their work
    by its own means (a flag, a closed listener) and then joins them here.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, target: Callable[[], object]) -> threading.Thread:
        """Run ``target`` in a new thread. What it raises is the owner's bug and goes to ``threading.excepthook``."""
        thread = threading.Thread(target=target, name=f"{PREFIX}{self._owner}-{name}", daemon=True)
        with self._lock:
            self._threads = [t for t in self._threads if t.is_alive()]
            thread.start()
            self._threads.append(thread)
        return thread

    def alive(self) -> list[str]:
        """The names of those that run."""
        with self._lock:
            return [t.name for t in self._threads if t.is_alive()]

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for all of them until the deadline. Returns the names of those that still run, never the calling
        thread's own: called from one of them, it waits for the others."""
        me = threading.current_thread()
        with self._lock:
            others = [t for t in self._threads if t is not me]
        for thread in others:
            thread.join(deadline.left)
        return [t.name for t in others if t.is_alive()]


def running() -> list[str]:
    """The names of all live threads of this package, whoever owns them: a test's proof that none is left."""
    return sorted(t.name for t in threading.enumerate() if t.name.startswith(PREFIX))
