"""How many deliveries may be out, and when a suspect runs alone. Used by the listeners of a broker that counts them.

A process that dies takes down everything it holds, and the server blames all of it. So a task that comes back from a
dead worker is a *suspect*: it is handed out only when nothing else is held here, and while it runs nothing joins it.
Only the task that kills its worker collects the blame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Gate"]

ALONE_SECONDS = 5.0
"""A suspect that still lives after this long is most likely innocent: others may run beside it again."""


class Gate:
    """One a broker; thread-safe. Whoever is let in leaves again, with ``leave``."""

    def __init__(self, alone: float = ALONE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._alone = alone
        self._clock = clock
        self._changed = threading.Condition()
        self._held = 0
        self._waiting = 0
        self._until: float | None = None
        self._closed = False

    @property
    def held(self) -> int:
        """Deliveries that were let in and have not left."""
        return self._held

    def enter(self, count: int, timeout: float | None = None) -> bool:
        """Let ``count`` usual deliveries in, waiting while a suspect is in or wants in. False: not within ``timeout``
        seconds, or closed."""
        with self._changed:
            end = None if timeout is None else self._clock() + timeout
            while not self._closed:
                if not self._is_shut():
                    self._held += count
                    return True
                left = None if end is None else end - self._clock()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(self._until_open(left))
            return False

    def enter_alone(self, timeout: float) -> bool:
        """Let one suspect in, once nothing is held; meanwhile nothing else is let in. False: not within ``timeout``
        seconds, or closed."""
        with self._changed:
            end = self._clock() + timeout
            self._waiting += 1
            try:
                while not self._closed:
                    if self._held == 0:
                        self._held = 1
                        self._until = self._clock() + self._alone
                        return True
                    if (left := end - self._clock()) <= 0:
                        return False
                    self._changed.wait(left)
                return False
            finally:
                self._waiting -= 1
                self._changed.notify_all()

    def leave(self, count: int = 1) -> None:
        """So many deliveries are settled."""
        with self._changed:
            self._held = max(0, self._held - count)
            if self._held == 0:
                self._until = None
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody is let in any more; who waits is sent away. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_shut(self) -> bool:
        if self._until is not None and self._clock() >= self._until:
            self._until = None
        return self._until is not None or self._waiting > 0

    def _until_open(self, left: float | None) -> float | None:
        """When to look again: at the latest when a suspect has been alone for long enough."""
        alone = None if self._until is None else max(0.0, self._until - self._clock())
        return alone if left is None else left if alone is None else min(left, alone)
