"""Which tasks were cancelled and may still come or run here. Comes from brokers and results, asked by workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Cancelled", "TaskKey"]

TaskKey: TypeAlias = "tuple[str, str]"
"""Name and id."""

SECONDS = 90 * 24 * 3600.0
"""For so long a cancelled task that has not shown up is remembered: longer than one that a worker is told of can be
waiting to be due."""
ROOM = 100_000
"""So many are; the oldest go."""


class Cancelled:
    """Thread-safe; one an app."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys: dict[TaskKey, float] = {}
        """Looked into without the lock, once a task: that it is empty is all that most apps ever ask."""
        self._clock = clock
        self._lock = threading.Lock()
        self._watchers: tuple[Callable[[TaskKey], object], ...] = ()

    def watch(self, watcher: Callable[[TaskKey], object]) -> None:
        """Call it for every task that is cancelled from now on, in the thread that brings it; must not block."""
        with self._lock:
            self._watchers = (*self._watchers, watcher)

    def add(self, name: str, id: str) -> None:
        """From now on this task does not start here; one that runs is told. Idempotent."""
        key, now = (name, id), self._clock()
        with self._lock:
            if key in self.keys:
                return
            self.keys[key] = now
            for old, since in list(self.keys.items()) if len(self.keys) > ROOM else _first(self.keys):
                if now - since < SECONDS and len(self.keys) <= ROOM:
                    break
                del self.keys[old]
            watchers = self._watchers
        for watcher in watchers:
            watcher(key)

    def forget(self, name: str, id: str) -> None:
        """It has ended. Idempotent."""
        with self._lock:
            self.keys.pop((name, id), None)


def _first(keys: dict[TaskKey, float]) -> list[tuple[TaskKey, float]]:
    return [next(iter(keys.items()))]
