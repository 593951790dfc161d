"""A figure that travels between machines: ours over theirs, both from the same run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

__all__ = ["Ratio", "interleaved"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """``ours`` and ``theirs`` are medians in ``unit``; ``at_most`` turns the target around."""

    what: str
    ours: float
    theirs: float
    unit: str
    target: float
    at_most: bool = False

    @property
    def value(self) -> float:
        return self.ours / self.theirs

    @property
    def holds(self) -> bool:
        return self.value <= self.target if self.at_most else self.value >= self.target

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "what": self.what,
            "ours": self.ours,
            "theirs": self.theirs,
            "unit": self.unit,
            "ratio": self.value,
            "target": self.target,
            "holds": self.holds,
        }


def interleaved(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each measure. One of each a round, so that a noisy minute hits all of them alike; the first round
    warms up and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for round in range(rounds + 1):
        for name, measure in measures.items():
            figure = measure()
            if round:
                taken[name].append(figure)
    return {name: median(figures) for name, figures in taken.items()}
