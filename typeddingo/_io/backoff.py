"""How long to wait before the next try: longer each time, never in step with others. Used by every link."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Exponential with full jitter: the mean pause doubles, and many clients of one server do not return together.

    Not thread-safe: one a connection.
    """

    def __init__(
        self, *, first: float = 0.05, longest: float = 2.0, chance: Callable[[], float] = random.random
    ) -> None:
        """``first`` and ``longest``: bounds of a pause in seconds; ``chance`` gives numbers from 0 to 1."""
        self._first = first
        self._longest = longest
        self._chance = chance
        self._failures = 0

    @property
    def failures(self) -> int:
        """Tries in a row that have failed."""
        return self._failures

    def next_pause(self) -> float:
        """One more try has failed: seconds until the next. Never below ``first``: a server that answers and hangs up
        at once is not hammered."""
        bound = min(self._longest, self._first * (1 << min(self._failures, 30)))
        self._failures += 1
        return max(self._first, bound * self._chance())

    def reset(self) -> None:
        """A try has worked."""
        self._failures = 0
