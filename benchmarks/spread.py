"""Few figures that are to be trusted. Comes from ``measure`` and ``suite``; arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Spread", "percentile"]


@dataclass(frozen=True, slots=True)
class Spread:
    """What was taken in several rounds: the median counts, least and most tell how far to trust it."""

    taken: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.taken)

    @property
    def least(self) -> float:
        return min(self.taken)

    @property
    def most(self) -> float:
        return max(self.taken)


def percentile(values: Sequence[float], rank: float) -> float:
    """The smallest of the values that at least ``rank`` per cent of them do not exceed: one that was measured, and
    never one in between. Raises ``ValueError`` without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(len(values) * rank / 100) - 1)]
