"""When a task that its worker left behind may run here: alone, so that only it is blamed if it kills again.

One a broker, for all its listeners: a process dies as a whole. Comes from a listener, goes to the gate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from typeddingo._io.gate import Gate
from typeddingo.brokers._redis_queue import Taken

__all__ = ["Suspects"]

WAIT = 1.0
"""Seconds for which nothing new is taken, in the hope that what runs ends."""
PAUSE = 2.0
"""Seconds of work as usual between two such waits."""
FORGOTTEN = 10.0
"""Seconds without a try after which a suspect is another one."""
LONGEST = 60.0
"""Seconds after which a suspect runs beside others: they never end, and it must not wait for ever."""


class Suspects:
    """Thread-safe."""

    def __init__(self, gate: Gate, make_way: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        """``make_way``: those who hold the gate open while they wait for new tasks are to let go of it."""
        self._gate = gate
        self._make_way = make_way
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._since: float | None = None
        self._not_before = 0.0

    @property
    def wait(self) -> bool:
        """One of them wants in."""
        return self._waiting > 0

    def claim(self, claim_one: Callable[[], list[Taken]]) -> list[Taken]:
        """What ``claim_one`` takes, once it may; it has passed the gate then."""
        if self._clock() < self._not_before or not self._enter():
            return []
        taken: list[Taken] = []
        try:
            taken = claim_one()
        finally:
            if not taken:
                self._gate.leave()
        return taken

    def _enter(self) -> bool:
        with self._lock:
            self._waiting += 1
        try:
            self._make_way()
            alone = self._gate.enter_alone(WAIT)
        finally:
            with self._lock:
                self._waiting -= 1
        with self._lock:
            if alone:
                self._since = None
                return True
            now = self._clock()
            if self._since is None or now > self._not_before + FORGOTTEN:
                self._since = now  # another one: that of before has run elsewhere
            since, self._not_before = self._since, now + PAUSE
        return now - since > LONGEST and self._gate.enter(1, 0)
