"""``python -m benchmarks [local|redis|amqp|all]``: measures, prints tables, says whether each target holds."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import local
from benchmarks.measure import ALL, NOTES, SMOKE, Effort
from benchmarks.ratio import Ratio
from benchmarks.report import figure_lines, fill_page, target_lines
from benchmarks.suite import Outcome, run
from benchmarks.systems import chosen

LOCAL_ROUNDS, SERVER_ROUNDS = 9, 5


def main() -> int:
    """0 when every target that was measured holds and nothing failed, else 1."""
    given = _parser().parse_args()
    draw = _drawing(given.plot)
    suites = ("local", "redis", "amqp") if given.suite == "all" else (given.suite,)
    effort = SMOKE if given.smoke else Effort(seconds=given.seconds, depths=given.depths, soak=given.soak)
    ratios: list[Ratio] = []
    outcomes: list[Outcome] = []
    for suite in suites:
        rounds = 1 if given.smoke else given.rounds or (LOCAL_ROUNDS if suite == "local" else SERVER_ROUNDS)
        if suite == "local":
            ratios = local.measure(rounds, calls=local.SMOKE if given.smoke else local.CALLS)
            print(*target_lines(ratios), sep="\n")
            continue
        outcome = run(suite, chosen(suite, given.peers), given.workloads, rounds, effort, _say)
        outcomes.append(outcome)
        print(*figure_lines(outcome), *target_lines(outcome.targets()), *outcome.failures, sep="\n")
    document: dict[str, object] = {"machine": _machine(), "local": [ratio.as_json() for ratio in ratios]}
    document["servers"] = [outcome.as_json() for outcome in outcomes]
    if given.json is not None:
        given.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    draw(document)
    if given.page is not None:
        fill_page(given.page, outcomes, ratios)
    failed = any(outcome.failures for outcome in outcomes)
    judged = [*ratios, *(ratio for outcome in outcomes for ratio in outcome.targets())]
    return 1 if failed or not (given.smoke or all(ratio.holds for ratio in judged)) else 0


def _drawing(directory: Path | None) -> Callable[[dict[str, object]], object]:
    if directory is None:
        return lambda document: None
    from benchmarks.plots import plot  # matplotlib is an extra, and better missed before than after an hour

    return lambda document: plot(document, directory)


def _parser() -> argparse.ArgumentParser:
    workloads = "; ".join(f"{name} {what}" for name, what in NOTES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=f"Workloads: {workloads}."
    )
    parser.add_argument("suite", choices=["local", "redis", "amqp", "all"], nargs="?", default="local")
    parser.add_argument("--peers", type=_names, metavar="A,B", help="beside raw and typeddingo; 'none' (default: all)")
    parser.add_argument("--workloads", type=_workloads, default=ALL[:7], metavar="W1,W3", help="(default: W1 to W7)")
    parser.add_argument("--rounds", type=int, metavar="N", help="the median counts (default: 9 local, 5 on servers)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (default: 1)")
    parser.add_argument("--depths", type=_depths, default=Effort.depths, metavar="N,N", help="of W8's queue")
    parser.add_argument("--soak", type=int, default=Effort.soak, metavar="N", help="tasks of W9 (default: 100,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="also draw them; needs the extra 'benchmarks'")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also fill the tables of docs/performance.md")
    parser.add_argument("--smoke", action="store_true", help="does all of it work? One short round, no judgement")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(text.split(","))


def _workloads(text: str) -> tuple[str, ...]:
    names = tuple(text.upper().split(","))
    if unknown := set(names) - set(ALL):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(ALL)}")
    return names


def _depths(text: str) -> tuple[int, ...]:
    return tuple(int(depth) for depth in text.split(","))


def _machine() -> dict[str, object]:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {"cpu": model.partition(":")[2].strip(), "cores": os.cpu_count(), "python": platform.python_version()}


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
