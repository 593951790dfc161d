"""How many tasks a listener should hold. Comes from what its takers ask for, goes to its consumer.

Takers ask for many when tasks are short and for one when they are slow, so what they ask for is the measure: a listener
that holds more than that hoards what others could run, one that holds less makes its takers wait.
"""

from __future__ import annotations

__all__ = ["Demand"]

FIRST = 1
STEP = 4
"""Changing costs a round trip without deliveries, so it is done in large steps."""
SHORT_SECONDS = 0.02
"""What is settled so soon is short: the next batch should be here before this one is done. Who holds just one batch
waits for the way to the server and back after each, and since it never sees more than half of what it asks for, it
would never learn that there is more."""
PATIENT_ROUNDS = 2
"""Looks in a row that must find less demand before less is held."""


class Demand:
    """Not thread-safe: used under the listener's lock."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self.level = min(bound, FIRST)
        """What should be held at most, at the moment."""
        self._peak = 0
        self._quiet_rounds = 0
        self._short = False

    @property
    def is_least(self) -> bool:
        """Less cannot be held."""
        return self.level == min(self._bound, FIRST)

    def note(self, held: int, asked: int) -> bool:
        """Takers hold so many tasks and ask for so many more. True: the level has risen."""
        wanted = held + asked
        if self._short and asked > 1:
            wanted *= 2
        if wanted > self._peak:
            self._peak = wanted
            if wanted > self.level < self._bound:
                self.level = self._step(wanted)
                return True
        return False

    def ended(self, seconds: float) -> None:
        """Tasks are settled, so many seconds after they were taken."""
        self._short = seconds < SHORT_SECONDS

    def look(self, held: int, asked: int) -> bool:
        """Now and then: whether less would do. True: the level has fallen."""
        enough, self._peak = self._step(self._peak), held + asked
        if enough >= self.level:
            self._quiet_rounds = 0
            return False
        self._quiet_rounds += 1
        if self._quiet_rounds < PATIENT_ROUNDS:
            return False
        self._quiet_rounds = 0
        self.level = enough
        return True

    def _step(self, wanted: int) -> int:
        level = FIRST
        while level < wanted:
            level *= STEP
        return min(level, self._bound)
