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


def plot(document: dict[str, Any], directory: Path) -> list[Path]:
    """Draw what was measured; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "typeddingo", "axes.spines.top": False, "axes.spines.right": False})
    files: list[Path] = []
    for server in document["servers"]:
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for row in server["figures"]:
            found.setdefault(row["figure"], {})[row["system"]] = row
        title = f"{server['server']}, median of {server['rounds']} rounds"
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
    names = [name for name in ("W1 enqueue", "W2 drain", "W3 100 in flight", "W5 100 in flight") if name in found]
    if not names:
        return None
    figure, axes = pyplot.subplots(1, len(names), figsize=(4.2 * len(names), 3.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        rows = sorted(found[name].values(), key=lambda row: row["median"])
        medians = [row["median"] for row in rows]
        errors = [[row["median"] - row["least"] for row in rows], [row["most"] - row["median"] for row in rows]]
        systems = [row["system"] for row in rows]
        axis.barh(systems, medians, xerr=errors, color=[_colour(system) for system in systems], ecolor="#475569")
        axis.set_xscale("log")
        axis.set_xlabel("tasks a second")
        axis.set_title(name)
    figure.suptitle(title)
    figure.tight_layout()
    return figure


def _latency(found: dict[str, Any], title: str) -> Any:
    ranks = [rank for rank in ("p50", "p95", "p99") if f"W4 idle {rank}" in found]
    if not ranks:
        return None
    figure, axis = pyplot.subplots(figsize=(7, 3.8))
    first = found[f"W4 idle {ranks[0]}"]
    for system in sorted(first, key=lambda system: first[system]["median"]):
        values = [found[f"W4 idle {rank}"][system]["median"] for rank in ranks]
        axis.plot(ranks, values, marker="o", color=_colour(system))
        axis.annotate(f" {system}", (ranks[-1], values[-1]), fontsize=8, va="center")
    axis.set_yscale("log")
    axis.set_ylabel("ms, one task at a time")
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
    figure, axis = pyplot.subplots(figsize=(7, 3.8))
    for (system, what), points in lines.items():
        points.sort()
        xs, ys = zip(*points, strict=True)
        axis.plot(xs, ys, marker="o", color=_colour(system), linestyle="-" if what == "run" else ":")
        axis.annotate(f" {system}, {what}", (xs[-1], ys[-1]), fontsize=7, va="center")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("tasks in the queue")
    axis.set_ylabel("µs a task")
    axis.set_title(title)
    return figure
