"""How often one object may connect to its server. Asked by ``RedisServer`` before every try."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from typeddingo._io.backoff import Backoff

__all__ = ["Pace"]

BURST = 8
"""Connections that may be made at once, when there were none lately: one each for the workers of a starting process."""
SPACING = 0.2
"""Seconds between any others: a broker and a backend together make no more than ten a second, whatever happens."""


class Pace:
    """Thread-safe; all threads share one back-off, so that many of them wait no less than one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._backoff = Backoff()
        self._not_before = 0.0
        self._free_at = 0.0

    def pause(self) -> float:
        """Seconds to wait before the next try; 0.0: go, and it counts."""
        with self._lock:
            now = self._clock()
            wait = max(self._not_before, self._free_at - BURST * SPACING) - now
            if wait > 0:
                return wait
            self._free_at = max(self._free_at, now) + SPACING
            return 0.0

    def failed(self) -> None:
        """A try has failed."""
        with self._lock:
            self._not_before = self._clock() + self._backoff.next_pause()

    def worked(self) -> None:
        """The server has answered."""
        with self._lock:
            self._backoff.reset()
            self._not_before = 0.0
