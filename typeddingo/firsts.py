"""Who came first under a key, and until when that counts. Comes from what sends in this process, and is asked by it."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Firsts"]

T = TypeVar("T")


class Firsts(Generic[T]):
    """Thread-safe. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Re-entrant: a finalizer that sends may run inside any of these methods.
        self._lock = threading.RLock()
        self._held: dict[tuple[str, str], tuple[float, T]] = {}
        self._ends: list[tuple[float, int, tuple[str, str]]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._held)

    def claim(self, name: str, key: str, who: T, seconds: float) -> T:
        """Let it be ``who``'s for so long, unless it is somebody's. Returns whose it is."""
        with self._lock:
            self._sweep()
            if (held := self._held.get((name, key))) is not None:
                return held[1]
            until = self._clock() + seconds
            self._held[name, key] = (until, who)
            heapq.heappush(self._ends, (until, next(self._numbers), (name, key)))
        return who

    def free(self, name: str, key: str, who: T) -> None:
        """It is nobody's any more, if it was ``who``'s."""
        with self._lock:
            held = self._held.get((name, key))
            if held is not None and held[1] == who:
                del self._held[name, key]

    def _sweep(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            until, _, key = heapq.heappop(self._ends)
            held = self._held.get(key)
            if held is not None and held[0] <= until:
                del self._held[key]
