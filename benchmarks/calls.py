"""How many Python functions a task goes through: a count, so that every machine, however busy, finds about the same.

Comes from tests/benchmarks, which hold it to ``BOUNDS``. ``python -m benchmarks.calls local`` (or ``redis``, ``amqp``)
shows which functions they are: the first place to look when a bound is broken, or when something is to be made faster.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from types import CodeType, FrameType

from benchmarks.servers import Servers
from benchmarks.systems import SYSTEMS
from typeddingo import App, Config

__all__ = ["BOUNDS", "Calls", "calls_of", "count", "own"]

BOUNDS = {
    "local, by reference": (9, 11),
    "local, through the codec": (13, 15),
    "redis, one call": (76, 110),
    "redis, in a batch": (68, 100),
    "amqp, one call": (57, 90),
    "amqp, in a batch": (82, 120),
}
"""At most so many of our own, and of all. Newer Pythons than 3.11 make fewer. On a server the second number moves with
the size of the batches that happen to travel together, and has room for that; the first hardly does. Lower them when
the path has become shorter."""

TASKS = 1_000
WARM = 200
"""Tasks before: what is compiled at the first call, and what is imported, is no part of the path."""
OURS = "typeddingo/"

Calls = Mapping[str, int]
"""How often a task goes through each function. One that runs once for many tasks, a hundred at a time, counts 0."""
Begin = Callable[[], object]
"""Tells that the count begins."""


def count(path: str, servers: Servers) -> Calls:
    """Of one of ``BOUNDS``."""
    technology, _, how = path.partition(", ")
    if technology == "local":
        return calls_of(lambda begin: _local(how == "through the codec", begin))
    system = next(system for system in SYSTEMS if system.technology == technology and system.is_ours)
    url = servers.empty(system)["BENCHMARK_URL"]
    return calls_of(lambda begin: _one_by_one(url, begin) if how == "one call" else _batch(url, begin))


def calls_of(work: Callable[[Begin], object], tasks: int = TASKS) -> Calls:
    """What runs in this thread and in all that are started inside ``work``, a task of the ``tasks`` it does after it
    has called ``begin``."""
    seen: Counter[CodeType] = Counter()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            seen[frame.f_code] += 1

    before = sys.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        work(seen.clear)
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    return Counter({_name(code): times for code, number in seen.items() if (times := round(number / tasks))})


def own(calls: Calls) -> int:
    """How many of them are the package's."""
    return sum(times for name, times in calls.items() if name.startswith(OURS))


def add(a: int, b: int) -> int:
    """The task."""
    return a + b


def _local(codec: bool, begin: Begin) -> None:
    with App(config=Config(workers=2, marshal_locally=codec)) as app:
        task = app.register("add", add)
        for tasks in (WARM, TASKS):
            begin()
            for _ in range(tasks // 100):
                for result in [task.call(1, 2) for _ in range(100)]:
                    result.get()


def _one_by_one(url: str, begin: Begin) -> None:
    """The caller's side alone."""
    with App(url) as app:
        task = app.register("add", add)
        for tasks in (WARM, TASKS):
            begin()
            for _ in range(tasks):
                task.call(1, 2)


def _batch(url: str, begin: Begin) -> None:
    """There and back, with a worker in this process that comes to a full queue: what a task costs must not depend on
    who of the two was faster."""
    with App(url) as app:
        task = app.register("add", add)
        for tasks in (WARM, TASKS):
            begin()
            with app.batch():
                results = [task.call(1, 2) for _ in range(tasks)]
            with App(url) as works:
                works.register("add", add)
                works.allocate("add", 1)
                for result in results:
                    result.get()


def _name(code: CodeType) -> str:
    path = code.co_filename.replace("\\", "/")
    for root in ("/site-packages/", f"/{OURS}", "/lib/"):
        if root in path:
            path = path.rpartition(root)[2]
            return f"{OURS if root.endswith(OURS) else ''}{path}:{code.co_qualname}"
    return f"{path}:{code.co_qualname}"


if __name__ == "__main__":
    with Servers() as servers:
        for path in BOUNDS:
            if path.startswith(sys.argv[1] if sys.argv[1:] else "local"):
                calls = count(path, servers)
                print(f"{path}: {own(calls)} and {sum(calls.values())}, at most {BOUNDS[path]}")
                print(*(f"    {times:3} {name}" for name, times in sorted(calls.items())), sep="\n")
