"""In this process: typed calls against ``ThreadPoolExecutor.submit``, two workers each; and what importing costs.

Comes from ``__main__``; alone, ``python -m benchmarks.local --smoke`` tells whether it works.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

from benchmarks.ratio import Ratio, interleaved
from typeddingo import App, Config

__all__ = ["CALLS", "SMOKE", "measure"]

CALLS = 20_000
SMOKE = 500
"""Calls that show that all works; their figures mean nothing."""
ALONE = 0.15
"""Part of the calls that are made one at a time."""
WINDOW = 100
F = TypeVar("F")


def add(a: int, b: int) -> int:
    """The task: next to nothing, so that what is measured is the way there and back."""
    return a + b


def measure(rounds: int, calls: int = CALLS) -> list[Ratio]:
    """The three targets of a local app, and the one of the import."""
    alone = int(calls * ALONE)
    with (
        ThreadPoolExecutor(2) as pool,
        App(config=Config(workers=2)) as by_reference,
        App(config=Config(workers=2, marshal_locally=True)) as through_codec,
    ):
        reference, codec = by_reference.register("add", add), through_codec.register("add", add)

        def submit(a: int, b: int) -> Waits:
            return pool.submit(add, a, b)

        found = interleaved(
            rounds,
            {
                "executor": lambda: rate(submit, lambda future: future.result(), calls, WINDOW),
                "reference": lambda: rate(reference.call, lambda result: result.get(), calls, WINDOW),
                "codec": lambda: rate(codec.call, lambda result: result.get(), calls, WINDOW),
                "executor alone": lambda: rate(submit, lambda future: future.result(), alone, 1),
                "reference alone": lambda: rate(reference.call, lambda result: result.get(), alone, 1),
            },
        )
    imports = interleaved(rounds, {module: partial(import_seconds, module) for module in MODULES})
    return [
        Ratio("by reference, 100 in flight", found["reference"], found["executor"], "1/s", 2.5),
        Ratio("through the wire codec, 100 in flight", found["codec"], found["executor"], "1/s", 1.5),
        Ratio("by reference, 1 in flight", found["reference alone"], found["executor alone"], "1/s", 0.9),
        Ratio(
            "import typeddingo / import pydantic", imports["typeddingo"], imports["pydantic"], "s", 1.5, at_most=True
        ),
    ]


MODULES = ("pydantic", "typeddingo")


class Waits(Protocol):
    """A future."""

    def result(self) -> int: ...


def rate(send: Callable[[int, int], F], wait: Callable[[F], int], calls: int, window: int) -> float:
    """Round trips a second, ``window`` of them in flight."""
    started = perf_counter()
    for _ in range(calls // window):
        for handle in [send(1, 2) for _ in range(window)]:
            wait(handle)
    return calls / (perf_counter() - started)


def import_seconds(module: str) -> float:
    """Wall time of one import in a fresh interpreter, without the interpreter's own start."""
    program = f"from time import perf_counter as t; s = t(); import {module}; print(t() - s)"
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    from benchmarks.report import target_lines

    smoke = sys.argv[1:] == ["--smoke"]
    print(*target_lines(measure(1 if smoke else 9, SMOKE if smoke else CALLS)), sep="\n")
