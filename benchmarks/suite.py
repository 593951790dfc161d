"""Rounds of all systems on one server, A B C A B C. Comes from ``__main__``, goes to ``report``, ``plots`` and JSON.

A noisy minute so hits all of them alike, and only ratios of figures of one run are ever judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.measure import ALL, Configuration, Effort, measure, unit
from benchmarks.ratio import Ratio
from benchmarks.servers import Servers
from benchmarks.spread import Spread
from benchmarks.systems import System
from benchmarks.targets import Figures, judged

__all__ = ["Outcome", "run"]


@dataclass(slots=True)
class Outcome:
    """What one server's systems did."""

    technology: str
    server: str = ""
    rounds: int = 0
    figures: Figures = field(default_factory=dict[str, dict[str, Spread]])
    """Of each system, by the figure's name."""
    configurations: dict[str, Configuration] = field(default_factory=dict[str, Configuration])
    failures: list[str] = field(default_factory=list[str])

    @property
    def workloads(self) -> frozenset[str]:
        """Those that gave figures."""
        return frozenset(name.partition(" ")[0] for found in self.figures.values() for name in found) & frozenset(ALL)

    def targets(self) -> list[Ratio]:
        """Those of which both sides were measured."""
        return judged(self.technology, self.figures)

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "technology": self.technology,
            "server": self.server,
            "rounds": self.rounds,
            "configurations": {name: asdict(one) for name, one in self.configurations.items()},
            "figures": [
                {
                    "system": system,
                    "figure": name,
                    "unit": unit(name),
                    "median": spread.median,
                    "least": spread.least,
                    "most": spread.most,
                    "taken": spread.taken,
                }
                for system, found in self.figures.items()
                for name, spread in found.items()
            ],
            "targets": [ratio.as_json() for ratio in self.targets()],
            "failures": self.failures,
        }


def run(
    technology: str,
    systems: Sequence[System],
    workloads: Sequence[str],
    rounds: int,
    effort: Effort,
    say: Callable[[str], object],
) -> Outcome:
    """Measure; ``say`` is told what is being done."""
    outcome = Outcome(technology, rounds=rounds)
    taken: dict[str, dict[str, list[float]]] = {system.name: {} for system in systems}
    with Servers() as servers:
        outcome.server = servers.version(technology)
        for number in range(rounds):
            for system in systems:
                say(f"{technology}, round {number + 1} of {rounds}: {system.name}")
                one = measure(system, servers, workloads, effort)
                outcome.failures += one.failures
                outcome.configurations.setdefault(system.name, one.configuration)
                for name, value in one.figures.items():
                    taken[system.name].setdefault(name, []).append(value)
    outcome.figures = {
        system: {name: Spread(tuple(values)) for name, values in found.items()} for system, found in taken.items()
    }
    return outcome
