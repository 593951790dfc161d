"""Who runs the calls of local tasks: a pool a task, and what its workers do with a call.

Comes from ``bridges/local``, which puts calls into the pools; goes to ``execute``.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from typeddingo._io.timer import Timer
from typeddingo.bridges.local_life import LocalLife
from typeddingo.context import Context, Slot
from typeddingo.execute import Course, Life, Local, by_reference, by_reference_async, through_wire, through_wire_async
from typeddingo.limiter_memory import MemoryLimiter
from typeddingo.pool import Pool, ThreadPool
from typeddingo.registry import Entry
from typeddingo.runtime import Runtime
from typeddingo.time_limit import Timekeeper

if TYPE_CHECKING:
    from typeddingo.bridges.local_gate import LocalGate

__all__ = ["LocalCrew"]


class LocalCrew:
    """Thread-safe."""

    def __init__(self, runtime: Runtime, later: Timer[Local], shut: Callable[[Local], None]) -> None:
        """``later``: brings a call back into its pool. ``shut``: ends one that will not run."""
        self._runtime = runtime
        self._later = later
        self._shut = shut
        self._limiter = MemoryLimiter(time.monotonic)

    def new_pool(self, entry: Entry) -> Pool[Local]:
        """Without workers yet: ``grow`` it."""
        runtime = self._runtime
        marshal, life = runtime.config.marshal_locally, LocalLife(runtime, entry, self._later)
        gate = self._gate(entry, life)
        if entry.contract.is_async and entry.isolation is None:
            from typeddingo.loop_pool import LoopPool  # brings asyncio, which many apps do without

            work = through_wire_async if marshal else by_reference_async

            def new_work(slot: Slot[Local]) -> Callable[[Local], Coroutine[object, None, None]]:
                run = work(entry, slot, runtime.timekeeper, life)
                return run if gate is None else gate.around_async(run)

            return LoopPool(runtime.loop, self._new_slot, new_work, self._shut)
        kind = self._in_child if entry.isolation else through_wire if marshal else by_reference

        def new_run(slot: Slot[Local]) -> Callable[[Local], None]:
            run = kind(entry, slot, runtime.timekeeper, life)
            return run if gate is None else gate.around(run)

        return ThreadPool(entry.name, runtime.threads, self._new_slot, new_run, self._shut)

    def _in_child(self, entry: Entry, slot: Slot[Local], timekeeper: Timekeeper, life: Life) -> Callable[[Local], None]:
        from typeddingo.execute_isolated import through_child  # few apps have any

        return through_child(entry, slot, self._runtime.children, life)

    def _gate(self, entry: Entry, life: LocalLife) -> LocalGate | None:
        """Of a task that is limited."""
        if entry.bounds is None:
            return None
        from typeddingo.bridges.local_gate import LocalGate  # few apps limit anything

        return LocalGate(entry, entry.bounds, self._limiter, life, self._put_off)

    def _put_off(self, call: Local, seconds: float) -> None:
        if not self._later.put(call, seconds):
            self._shut(call)

    def _new_slot(self) -> Slot[Local]:
        return Slot(self._describe)

    def _describe(self, call: Local) -> Context:
        outcome, option = call[0], call[3]
        name, id, runtime = outcome.name, outcome.id, self._runtime

        def cancelled() -> bool:
            return runtime.closing or (name, id) in runtime.cancelled.keys

        course = call[4] or Course()
        return Context(
            name,
            id,
            option,
            attempt=course.retries + 1,
            emit=outcome._deliver,
            cancelled=cancelled,
            headers=course.headers,
            state=runtime.state,
        )
