"""``python -m benchmarks local [--rounds N] [--json FILE]``: measures, prints a table, says whether targets hold."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import local
from benchmarks.ratio import Ratio


def main() -> int:
    """0 when every target holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=["local"], help="local: in this process, against ThreadPoolExecutor")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds, of which the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    given = parser.parse_args()
    ratios = local.measure(max(1, given.rounds))
    show(ratios)
    if given.json is not None:
        given.json.write_text(json.dumps([ratio.as_json() for ratio in ratios], indent=2) + "\n", encoding="utf-8")
    return 0 if all(ratio.holds for ratio in ratios) else 1


def show(ratios: list[Ratio]) -> None:
    """One line a ratio."""
    width = max(len(ratio.what) for ratio in ratios)
    for ratio in ratios:
        sign = "≤" if ratio.at_most else "≥"
        verdict = "holds" if ratio.holds else "MISSED"
        print(
            f"{ratio.what:{width}}  {ratio.ours:>12,.3f} / {ratio.theirs:>12,.3f} {ratio.unit:4}"
            f" = {ratio.value:5.2f}  target {sign} {ratio.target:.1f}  {verdict}"
        )


if __name__ == "__main__":
    sys.exit(main())
