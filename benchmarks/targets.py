"""What has to hold: a table. Comes from ``suite``; every row is a ratio of two figures of the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.measure import unit
from benchmarks.ratio import Ratio
from benchmarks.spread import Spread

__all__ = ["TARGETS", "Figures", "Target", "judged"]

Figures = Mapping[str, Mapping[str, Spread]]
"""System, figure: what was taken."""

BEST = "the best peer"
"""Of all systems that are neither raw nor ours."""
CLASSIC = "typeddingo classic"
ROUND_TRIPS, ORDERS, DRAIN = "W3 100 in flight", "W5 100 in flight", "W2 drain"
MANY, IDLE, START, MEMORY = "W1 enqueue many", "W4 idle p50", "start to first task", "memory of the worker, idle"


@dataclass(frozen=True, slots=True)
class Target:
    """``figure`` of ``ours`` over ``against`` (``figure`` itself when empty) of ``theirs``."""

    technology: str
    figure: str
    theirs: str
    limit: float
    at_most: bool = False
    ours: str = "typeddingo"
    against: str = ""

    @property
    def what(self) -> str:
        ours = f"{self.ours}: " if self.ours != "typeddingo" else ""
        return f"{ours}{self.figure} / {self.against or self.theirs}"


def _within(technology: str) -> tuple[Target, ...]:
    """What is compared with nobody but itself."""
    deep = [
        Target(
            technology,
            f"W8 cost at {{deepest}} to {what}",
            "typeddingo",
            1.2,
            True,
            against=f"W8 cost at 1,000 to {what}",
        )
        for what in ("send", "run")
    ]
    flat = [
        Target(
            technology,
            f"W9 memory of the {who}, after",
            "typeddingo",
            1.05,
            True,
            against=f"W9 memory of the {who}, before",
        )
        for who in ("caller", "worker")
    ]
    fast = Target(technology, "W7 fast p95 between slow ones", "typeddingo", 2.0, True, against="W7 fast p95 alone")
    return (*deep, *flat, fast)


TARGETS = (
    Target("redis", ROUND_TRIPS, "raw", 0.45),
    Target("redis", MANY, "raw", 0.30),
    Target("redis", IDLE, "raw", 2.5, at_most=True),
    Target("redis", MANY, "streaq", 4.0),
    Target("redis", ROUND_TRIPS, BEST, 15.0),
    Target("redis", ORDERS, BEST, 5.0),
    Target("redis", DRAIN, BEST, 5.0),
    Target("redis", IDLE, "huey", 0.8, at_most=True),
    Target("redis", START, "huey", 1.0, at_most=True),
    Target("redis", MEMORY, "huey", 1.3, at_most=True),
    *_within("redis"),
    Target("amqp", ROUND_TRIPS, "raw", 3.5, ours=CLASSIC),
    Target("amqp", ROUND_TRIPS, "raw", 2.5),
    Target("amqp", IDLE, "raw", 1.3, at_most=True, ours=CLASSIC),
    Target("amqp", IDLE, "raw", 2.2, at_most=True),
    Target("amqp", ROUND_TRIPS, BEST, 5.0),
    Target("amqp", ORDERS, BEST, 3.0),
    Target("amqp", DRAIN, BEST, 3.0),
    Target("amqp", IDLE, "dramatiq", 1.1, at_most=True, ours=CLASSIC),
    *_within("amqp"),
)


def judged(technology: str, figures: Figures) -> list[Ratio]:
    """The rows of which both sides were measured."""
    ratios: list[Ratio] = []
    for target in TARGETS:
        if target.technology == technology:
            figure = _deepest(target.figure, figures.get(target.ours, {}))
            ours = figures.get(target.ours, {}).get(figure)
            theirs, who = _theirs(target, target.against or figure, figures)
            if ours is not None and theirs is not None and figure != target.against:
                what = target.what.replace(target.figure, figure).replace(BEST, f"{BEST}, {who}")
                ratios.append(Ratio(what, ours.median, theirs, unit(figure), target.limit, target.at_most))
    return ratios


def _theirs(target: Target, figure: str, figures: Figures) -> tuple[float | None, str]:
    if target.theirs != BEST:
        found = figures.get(target.theirs, {}).get(figure)
        return (found.median if found else None), target.theirs
    peers = {
        name: found[figure].median
        for name, found in figures.items()
        if figure in found and name != "raw" and not name.startswith("typeddingo")
    }
    if not peers:
        return None, ""
    best = (min if target.at_most else max)(peers, key=peers.__getitem__)
    return peers[best], best


def _deepest(figure: str, found: Mapping[str, Spread]) -> str:
    """The figure at the greatest depth that was measured, where the target is about that."""
    if "{deepest}" not in figure:
        return figure
    before, after = figure.split("{deepest}")
    depths = [name[len(before) : -len(after)] for name in found if name.startswith(before) and name.endswith(after)]
    return figure.format(deepest=max(depths, key=lambda depth: int(depth.replace(",", "")), default="?"))
