"""All figures of one system in one round. Comes from ``suite``; each workload is a few questions to a ``Stage``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean

from benchmarks.servers import Servers
from benchmarks.spread import percentile
from benchmarks.stage import Failed, Stage
from benchmarks.systems import System

__all__ = ["ALL", "NOTES", "SMOKE", "Configuration", "Effort", "Round", "measure", "unit"]

ALL = tuple(f"W{number}" for number in range(1, 10))
NOTES = {
    "W1": "enqueue: one call after the other, and many at once",
    "W2": "drain a full queue, results kept",
    "W3": "round trips with 1, 100 and 1,000 in flight",
    "W4": "latency on an idle system",
    "W5": "W1 to W3 with an order of 1 KB",
    "W6": "8 threads, and 100 coroutines, each with one round trip at a time",
    "W7": "fast tasks between tasks that sleep 100 ms",
    "W8": "cost of a task as the queue grows",
    "W9": "memory over many tasks",
}


@dataclass(frozen=True)
class Effort:
    """How long each workload is measured."""

    seconds: float = 1.0
    idle: int = 100
    mixed: int = 20
    depths: tuple[int, ...] = (1_000, 10_000, 100_000)
    sample: int = 1_000
    soak: int = 100_000


SMOKE = Effort(seconds=0.05, idle=10, mixed=3, depths=(200, 400), sample=50, soak=2_000)
"""Does everything work? Its figures mean nothing."""


def unit(figure: str) -> str:
    """Of a figure, by its name."""
    for part, found in (("p50", "ms"), ("p95", "ms"), ("p99", "ms"), ("CPU", "µs"), ("cost", "µs"), ("start", "s")):
        if part in figure:
            return found
    return "MB" if "memory" in figure else "1/s"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a figure is worth nothing without."""

    settings: str = ""
    versions: dict[str, str] = field(default_factory=dict[str, str])


class Round:
    """What one system did in one round."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.failures: list[str] = []
        self.configuration = Configuration()


def measure(system: System, servers: Servers, workloads: Iterable[str], effort: Effort) -> Round:
    """One round. A system that fails at one workload goes on with the next."""
    return _Measuring(system, servers, frozenset(workloads), effort).run()


class _Measuring:
    def __init__(self, system: System, servers: Servers, workloads: frozenset[str], effort: Effort) -> None:
        self._system = system
        self._servers = servers
        self._workloads = workloads
        self._effort = effort
        self._round = Round()
        self._found = self._round.figures

    def run(self) -> Round:
        parts: tuple[tuple[str, Callable[[], None]], ...] = (
            ("W1 W2 W3 W4 W6", self._main),
            ("W1", self._many),
            ("W5", self._orders),
            ("W7", self._mixed),
            ("W8", self._deep),
            ("W9", self._soak),
        )
        for of, part in parts:
            if self._workloads & set(of.split()):
                try:
                    part()
                except Failed as failure:
                    self._round.failures.append(str(failure))
        return self._round

    @contextmanager
    def _stage(self, concurrency: int = 0) -> Generator[Stage]:
        with Stage(self._system, self._servers, concurrency) as stage:
            settings = "; ".join(filter(None, (stage.hello["settings"], self._system.query)))
            self._round.configuration = Configuration(settings, stage.hello["versions"])
            yield stage

    def _main(self) -> None:
        wanted, effort, found = self._workloads, self._effort, self._found
        with self._stage() as stage:
            stage.ask("mark")
            if fills := bool(wanted & {"W1", "W2"}):
                found["W1 enqueue"] = stage.ask("fill", task="add", seconds=effort.seconds)["rate"]
            found["start to first task"] = stage.start_worker()
            if fills:
                found["W2 drain"] = stage.ask("drain")["rate"]
            if "W4" in wanted:
                self._idle(stage)
            if "W3" in wanted:
                self._in_flight(stage)
            if "W6" in wanted:
                for who, count, name in (("threads", 8, "W6 8 threads"), ("coroutines", 100, "W6 100 coroutines")):
                    if measured := stage.ask(who, count=count, seconds=effort.seconds):
                        found[name] = measured["rate"]

    def _idle(self, stage: Stage) -> None:
        latencies = stage.ask("idle", count=self._effort.idle, pause=0.01)["latencies"]
        for rank in (50, 95, 99):
            self._found[f"W4 idle p{rank}"] = percentile(latencies, rank) * 1e3
        for who, size in stage.memory().items():
            self._found[f"memory of the {who}, idle"] = size

    def _in_flight(self, stage: Stage) -> None:
        for window in (1, 100, 1_000):
            before = stage.cpu()
            measured = stage.ask("round_trips", task="add", window=window, seconds=self._effort.seconds)
            self._found[f"W3 {window:,} in flight"] = measured["rate"]
            if window == 100:
                spent = {who: seconds - before[who] for who, seconds in stage.cpu().items()}
                for who, seconds in (*spent.items(), ("whole", sum(spent.values()))):
                    self._found[f"CPU of the {who}"] = seconds / (measured["count"] + window) * 1e6

    def _many(self) -> None:
        with self._stage() as stage:
            measured = stage.ask("bulk", task="add", seconds=self._effort.seconds)
            self._found["W1 enqueue many"] = measured["rate"]

    def _orders(self) -> None:
        seconds, found = self._effort.seconds, self._found
        with self._stage() as stage:
            found["W5 enqueue"] = stage.ask("fill", task="price", seconds=seconds)["rate"]
            stage.start_worker()
            found["W5 drain"] = stage.ask("drain")["rate"]
            found["W5 100 in flight"] = stage.ask("round_trips", task="price", window=100, seconds=seconds)["rate"]

    def _mixed(self) -> None:
        if self._system.is_raw:
            return  # it runs no tasks
        with self._stage(concurrency=8) as stage:
            stage.ask("mark")
            stage.start_worker()
            for name, slow in (("alone", 0), ("between slow ones", 2)):
                latencies = stage.ask("mixed", slow=slow, fast=2, count=self._effort.mixed)["latencies"]
                self._found[f"W7 fast p95 {name}"] = percentile(latencies, 95) * 1e3

    def _deep(self) -> None:
        for depth in self._effort.depths:
            sample = min(self._effort.sample, depth)
            with self._stage() as stage:
                enqueue = stage.ask("deepen", depth=depth, sample=sample)["enqueue"]
                stage.start_worker()
                drain = stage.ask("shallow", sample=sample)["drain"]
            self._found[f"W8 cost at {depth:,} to send"] = enqueue * 1e6
            self._found[f"W8 cost at {depth:,} to run"] = drain * 1e6

    def _soak(self) -> None:
        with self._stage() as stage:
            stage.ask("mark")
            stage.start_worker()
            stage.ask("soak", count=max(1_000, self._effort.soak // 2))  # what remembers recent tasks fills
            before = stage.memory()
            halves = [stage.ask("soak", count=self._effort.soak // 2)["seconds"] for _ in range(2)]
            for who, size in stage.memory().items():
                self._found[f"W9 memory of the {who}, before"] = before[who]
                self._found[f"W9 memory of the {who}, after"] = size
            self._found["W9 1,000 in flight, all along"] = self._effort.soak / 2 / fmean(halves)
