# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found"
"""Pictures of a run: throughput, latency, and cost against the length of the queue. Comes from ``__main__`` with what
``--json`` writes, and makes SVG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot  # after the choice of a backend that needs no screen

__all__ = ["plot"]

OURS, RAW, PEER = "#c2410c", "#94a3b8", "#3b6ea5"
LABEL: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8}


def plot(document: dict[str, Any], directory: Path) -> list[Path]:
    """Draw what was measured; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "typeddingo", "axes.spines.top": False, "axes.spines.right": False})
    files: list[Path] = []
    for server in document["servers"]:
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for row in server["figures"]:
            found.setdefault(row["figure"], {})[row["system"]] = row
        title = f"{server['server']}, medians of {server['rounds']} rounds"
        for draw, name in ((_throughput, "throughput"), (_latency, "latency"), (_depth, "depth")):
            figure = draw(found, title)
            if figure is not None:
                files.append(directory / f"{server['technology']}-{name}.svg")
                figure.savefig(files[-1], bbox_inches="tight", metadata={"Date": None})
                pyplot.close(figure)
    return files


def _colour(system: str) -> str:
    return RAW if system == "raw" else OURS if system.startswith("typeddingo") else PEER


def _throughput(found: dict[str, Any], title: str) -> Any:
    """Dots, for a bar on a logarithmic scale has no length that means anything; the line goes from least to most."""
    names = [name for name in ("W1 enqueue", "W2 drain", "W3 100 in flight", "W5 100 in flight") if name in found]
    if not names:
        return None
    figure, axes = pyplot.subplots(1, len(names), figsize=(4.2 * len(names), 3.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        rows = sorted(found[name].values(), key=lambda row: row["median"])
        for place, row in enumerate(rows):
            axis.hlines(place, row["least"], row["most"], color=_colour(row["system"]), linewidth=2)
            axis.plot(row["median"], place, marker="o", color=_colour(row["system"]))
            axis.annotate(f"{row['median']:,.0f}", (row["median"], place), (0, 5), **LABEL, ha="center")
        axis.set_yticks(range(len(rows)), [row["system"] for row in rows])
        axis.set_ylim(-0.5, len(rows) - 0.3)
        _logarithmic(axis, "x", [row["median"] for row in rows])
        axis.set_xlabel("tasks a second")
        axis.set_title(name)
    figure.suptitle(title)
    figure.tight_layout()
    return figure


def _latency(found: dict[str, Any], title: str) -> Any:
    ranks = {rank: f"W4 idle {rank}" for rank in ("p50", "p95", "p99") if f"W4 idle {rank}" in found}
    if not ranks:
        return None
    medians = found[ranks["p50"]]
    systems = sorted(medians, key=lambda system: -medians[system]["median"])
    figure, axis = pyplot.subplots(figsize=(7, 1.2 + 0.4 * len(systems)))
    for place, system in enumerate(systems):
        values = [found[name][system]["median"] for name in ranks.values()]
        axis.hlines(place, values[0], values[-1], color=_colour(system), linewidth=1)
        for value, marker, size in zip(values, "o|d", (7, 9, 5), strict=False):
            axis.plot(value, place, marker=marker, markersize=size, color=_colour(system))
        axis.annotate(f"{values[0]:.3g}", (values[0], place), (0, 5), **LABEL, ha="center")
    axis.set_yticks(range(len(systems)), systems)
    axis.set_ylim(-0.5, len(systems) - 0.3)
    _logarithmic(axis, "x", [found[name][system]["median"] for name in ranks.values() for system in systems])
    axis.set_xlabel("ms, one task at a time: p50 (dot), p95 (bar), p99 (diamond)")
    axis.set_title(title)
    return figure


def _depth(found: dict[str, Any], title: str) -> Any:
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for name, rows in found.items():
        if name.startswith("W8 cost at "):
            depth, _, what = name.removeprefix("W8 cost at ").partition(" to ")
            for system, row in rows.items():
                lines.setdefault((system, what), []).append((int(depth.replace(",", "")), row["median"]))
    if not lines:
        return None
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    for axis, what in zip(axes, ("send", "run"), strict=True):
        for (system, kind), points in lines.items():
            if kind == what:
                xs, ys = zip(*sorted(points), strict=True)
                peers = "o" if _colour(system) != PEER else f"${system[0]}$"
                axis.plot(xs, ys, marker=peers, markersize=7, color=_colour(system), label=system)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("tasks in the queue")
        axis.set_title(f"to {what} one")
    axes[0].set_ylabel("µs a task")
    axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    return figure


def _logarithmic(axis: Any, which: str, values: list[float]) -> None:
    """With room for the labels at both ends."""
    getattr(axis, f"set_{which}scale")("log")
    getattr(axis, f"set_{which}lim")(min(values) / 2, max(values) * 2)
