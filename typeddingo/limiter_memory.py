"""Limits of the tasks of one process. Comes from the local bridge and the brokers in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from typeddingo.limits import Limiter, Want
from typeddingo.turnstile import Turnstile

__all__ = ["MemoryLimiter"]

MANY = 1000
"""Keys, after as many of which those that are idle are forgotten."""


class MemoryLimiter(Limiter):
    """``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Re-entrant: a finalizer may run inside any of these methods.
        self._lock = threading.RLock()
        self._turnstiles: dict[tuple[str, str], Turnstile] = {}
        self._many = MANY

    def acquire(self, wants: Sequence[Want]) -> Sequence[float]:
        """See ``Limiter.acquire``. Does not block."""
        with self._lock:
            return [self._acquire(want) for want in wants]

    def release(self, wants: Sequence[Want]) -> None:
        """See ``Limiter.release``."""
        with self._lock:
            for name, key, id, _ in wants:
                if (turnstile := self._turnstiles.get((name, key))) is not None:
                    turnstile.release(id, self._clock())

    def _acquire(self, want: Want) -> float:
        name, key, id, bounds = want
        if (turnstile := self._turnstiles.get((name, key))) is None:
            if len(self._turnstiles) >= self._many:
                self._forget_idle(want)
            turnstile = self._turnstiles[name, key] = Turnstile()
        return turnstile.ask(id, bounds, self._clock())

    def _forget_idle(self, want: Want) -> None:
        seconds = 2 * (want.bounds.rate.seconds if want.bounds.rate else 0.0)
        now = self._clock()
        self._turnstiles = {
            at: turnstile
            for at, turnstile in self._turnstiles.items()
            if at[0] != want.name or not turnstile.is_idle(seconds, now)
        }
        self._many = max(MANY, 2 * len(self._turnstiles))
