"""Figures for people: lines of a terminal, and the tables of a page. Comes from ``__main__``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.measure import unit
from benchmarks.ratio import Ratio
from benchmarks.suite import Outcome

__all__ = ["figure_lines", "fill_page", "target_lines"]


def target_lines(ratios: Sequence[Ratio]) -> list[str]:
    """One line a ratio: holds or MISSED."""
    width = max((len(ratio.what) for ratio in ratios), default=0)
    return [
        f"{ratio.what:{width}}  {ratio.ours:>12,.3f} / {ratio.theirs:>12,.3f} {ratio.unit:4}"
        f" = {ratio.value:6.2f}  target {_bound(ratio)}  {_verdict(ratio)}"
        for ratio in ratios
    ]


def figure_lines(outcome: Outcome) -> list[str]:
    """A block a figure, the best system first; each system's configuration at the end."""
    lines: list[str] = []
    for figure in _figures(outcome):
        lines.append(f"{outcome.technology}: {figure} ({unit(figure)})")
        for name, median, between, ratio in _ranking(outcome, figure):
            lines.append(f"    {name:20}{median:>12}  [{between}]  {ratio}")
    lines.append(f"{outcome.server}; medians [least – most] of {outcome.rounds} interleaved rounds")
    return [*lines, *(f"    {name}: {how}" for name, how in _configurations(outcome))]


def fill_page(page: Path, outcomes: Iterable[Outcome], local: Sequence[Ratio]) -> None:
    """Write tables between the page's ``<!-- figures NAME -->`` and ``<!-- end -->``; what was not measured is left."""
    text = page.read_text(encoding="utf-8")
    tables = {
        _section(outcome): [*_page_figures(outcome), "", *_page_targets(outcome.targets())] for outcome in outcomes
    }
    if local:
        tables["local"] = _page_targets(local)
    for name, lines in tables.items():
        begin, end = f"<!-- figures {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        if not found or end not in rest:
            raise LookupError(f"{page}: expected a line {begin.strip()} and after it {end}")
        text = before + begin + "\n".join(lines) + "\n" + rest[rest.index(end) :]
    page.write_text(text, encoding="utf-8")


def _section(outcome: Outcome) -> str:
    """W8 and W9 take long, and are measured by themselves."""
    return outcome.technology if outcome.workloads - {"W8", "W9"} else f"{outcome.technology} at length"


def _page_figures(outcome: Outcome) -> list[str]:
    names = list(outcome.figures)
    lines = [
        f"{outcome.server}, medians of {outcome.rounds} interleaved rounds.",
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'---:|' * len(names)}",
    ]
    for figure in _figures(outcome):
        cells = (outcome.figures[name].get(figure) for name in names)
        shown = " | ".join(_short(cell.median) if cell else "" for cell in cells)
        lines.append(f"| {figure} ({unit(figure)}) | {shown} |")
    return [*lines, "", *(f"- {name}: {how}" for name, how in _configurations(outcome))]


def _page_targets(ratios: Sequence[Ratio]) -> list[str]:
    rows = (f"| {ratio.what} | {_bound(ratio)} | {ratio.value:.2f} | {_verdict(ratio)} |" for ratio in ratios)
    return ["| ratio | target | measured | |", "|---|---:|---:|---|", *rows]


def _ranking(outcome: Outcome, figure: str) -> list[tuple[str, str, str, str]]:
    found = {name: figures[figure] for name, figures in outcome.figures.items() if figure in figures}
    raw = found.get("raw")
    rows = sorted(found.items(), key=lambda row: row[1].median, reverse=unit(figure) == "1/s")
    return [
        (
            name,
            _short(spread.median),
            f"{_short(spread.least)} – {_short(spread.most)}",
            f"{spread.median / raw.median:.2f} × raw" if raw and raw.median and name != "raw" else "",
        )
        for name, spread in rows
    ]


def _figures(outcome: Outcome) -> list[str]:
    """All names, workloads in their order, and then the rest."""
    names = {name for found in outcome.figures.values() for name in found}
    return sorted(names, key=lambda name: (not name.startswith("W"), _by_number(name)))


def _by_number(name: str) -> list[tuple[int, str]]:
    """100 comes before 1,000."""
    parts = re.split(r"(\d+)", name.replace(",", ""))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _configurations(outcome: Outcome) -> list[tuple[str, str]]:
    return [
        (name, f"{one.settings} ({', '.join(f'{package} {version}' for package, version in one.versions.items())})")
        for name, one in outcome.configurations.items()
    ]


def _bound(ratio: Ratio) -> str:
    return f"{'≤' if ratio.at_most else '≥'} {ratio.target:.2f}"


def _verdict(ratio: Ratio) -> str:
    return "holds" if ratio.holds else "MISSED"


def _short(value: float) -> str:
    """Three figures are all that can be trusted."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
