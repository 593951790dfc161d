"""``App("local")``: from the caller's thread to a pool in this process and back into the ``Result``.

By reference after the contract's check, or through the task's marshaller with ``Config(marshal_locally=True)``.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from typeddingo._io.threads import Deadline, Threads
from typeddingo._io.timer import Timer
from typeddingo.bridge import Bridge, closed_error, need_counts
from typeddingo.bridges.local_life import LocalLife
from typeddingo.broker import Adapter
from typeddingo.cancelled import TaskKey
from typeddingo.context import Context, Slot
from typeddingo.errors import ConfigError, QueueFull
from typeddingo.events import EventCode, EventLevel
from typeddingo.execute import Course, Local, by_reference, by_reference_async, through_wire, through_wire_async
from typeddingo.firsts import Firsts
from typeddingo.limiter_memory import MemoryLimiter
from typeddingo.message import TaskMessage
from typeddingo.option import Option
from typeddingo.outcome import Outcome, cancelled_report, shutdown_report
from typeddingo.pool import Pool, ThreadPool
from typeddingo.registry import Entry, Registry, Send
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.terms import AT_ONCE, Terms
from typeddingo.time_limit import meet_limit, overdue

if TYPE_CHECKING:
    from typeddingo.bridges.local_gate import LocalGate

__all__ = ["LocalBridge"]


class LocalBridge(Bridge):
    """Thread-safe. A pool a task, started by ``allocate`` or by the first call."""

    def __init__(self, runtime: Runtime, registry: Registry) -> None:
        self._runtime = runtime
        self._registry = registry
        self._lock = threading.Lock()
        self._pools: dict[str, Pool[Local]] = {}
        self._firsts: Firsts[Outcome] = Firsts(time.monotonic)
        self._limiter = MemoryLimiter(time.monotonic)
        self._later: Timer[Local] = Timer("later", Threads(runtime.owner), self._due)
        runtime.cancelled.watch(self._cancel)

    def join(self, entry: Entry) -> None:
        with self._lock:
            if (pool := self._pools.get(entry.name)) is None:
                pool = self._pools[entry.name] = self._new_pool(entry)
        bind, send = entry.contract.bind, self._compile(entry, pool)

        async def send_async(
            args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None
        ) -> object:
            return send(args, kwargs, option)

        def send_many(rows: Sequence[tuple[object, ...]], option: Option | None = None) -> list[object]:
            for row in rows:
                bind(row, {})
            return [send(row, {}, option) for row in rows]

        entry.send, entry.send_async, entry.send_many = send, send_async, send_many

    def allocate(self, entry: Entry, count: int, share: int) -> int:
        need_counts(entry.name, count, share)  # share means nothing here: reports go straight into the result
        with self._lock:
            if self._runtime.closing:
                raise ConfigError(f"allocate({entry.name!r}): the app is closed")
            return self._pools[entry.name].grow(count)

    def use(self, adapter: object, roles: Role) -> Role:
        raise ConfigError(
            "this app is local: it has its own producer, consumer, reporter and store; App('remote') takes adapters"
        )

    def reattach(self, entry: Entry, id: str) -> object:
        raise ConfigError("app.result(): a local app keeps no results but those its own calls have returned")

    def attached(self) -> Sequence[Adapter]:
        return ()

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self, deadline: Deadline) -> None:
        with self._lock:
            pools = list(self._pools.values())
        for call in self._later.close():
            self._shut(call)
        for pool in pools:
            self._sweep(pool)
        for pool in pools:
            pool.join(deadline)
        for pool in pools:
            self._abandon(pool)
        self._later.join(deadline)

    def background(self, callback: Callable[[], None]) -> None:
        """See ``Home``."""
        self._runtime.handlers.run(callback)

    def cancel(self, name: str, id: str) -> None:
        self._runtime.cancelled.add(name, id)

    def _compile(self, entry: Entry, pool: Pool[Local]) -> Send:
        """The hot path of a local call: what does not change between calls is bound beforehand."""
        name, default, max_length = entry.name, entry.option, self._runtime.config.max_length
        fits, bind, put = entry.contract.quick_bind(), entry.contract.bind, pool.put
        make, new_id = self._runtime.make, self._registry.id_maker_of(entry).new_id
        runtime = self._runtime
        wire = self._registry.wire_of(entry) if runtime.config.marshal_locally else None
        at_once = AT_ONCE if entry.unique_for is None else None
        write, usual = wire.plain.write_call if wire else None, entry.option if entry.option == Option() else Option()

        def send(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None) -> Outcome:
            if overdue:
                meet_limit()
            if runtime.closing:
                raise closed_error(name)
            if kwargs or not fits(args):
                args, kwargs = bind(args, kwargs)
            if max_length is not None and pool.waiting() >= max_length:
                raise QueueFull(
                    f"task {name!r}: {max_length} calls are waiting already; call again when some have ended"
                )
            option = option or default
            outcome = make(name, new_id(name), option)
            outcome._home = self
            if wire is None or write is None:
                call: Local = (outcome, args, kwargs, option, None)
            elif option is usual and not kwargs and (frame := write(outcome.id, args)) is not None:
                call = (outcome, wire, frame, option, None)
            else:
                frame = wire.encode_task(TaskMessage(name, outcome.id, args, kwargs, option))
                call = (outcome, wire, frame, option, None)
            if option.terms is at_once:
                put(call)
            elif (first := self._first(entry, outcome, args, kwargs)) is not outcome:
                return first
            else:
                self._put_on(option.terms, call)
            if not pool.size:
                self._start_default(entry, pool)
            if pool.closed:  # closed since we looked: whoever sees it last ends the call
                self._sweep(pool)
            return outcome

        return send

    def _first(self, entry: Entry, outcome: Outcome, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """The call that stands for this one: itself, unless an equal one was made lately."""
        if (seconds := entry.unique_for) is None:
            return outcome
        key = entry.unique_key(args, kwargs)
        first = self._firsts.claim(entry.name, key, outcome, seconds)
        if first.nok and not first.option.ignore_report:  # of those nobody knows
            self._firsts.free(entry.name, key, first)
            first = self._firsts.claim(entry.name, key, outcome, seconds)
        return first

    def _put_on(self, terms: Terms, call: Local) -> None:
        """A call that waits, expires or is urgent."""
        now = time.time()
        lifetime = terms.lifetime or (terms.expires - now if terms.expires else math.inf)
        if lifetime < math.inf:
            call = (*call[:4], Course(time.monotonic() + lifetime))
        wait = terms.delay or max(0.0, terms.eta - now)
        if not wait:
            self._due(call)
        elif not self._later.put(call, wait):
            self._shut(call)

    def _due(self, call: Local) -> None:
        pool, priority = self._pools[call[0].name], call[3].priority
        if priority:
            pool.put_urgent(call, priority)
        else:
            pool.put(call)
        if pool.closed:  # closed since we looked: whoever sees it last ends the call
            self._sweep(pool)

    def _cancel(self, key: TaskKey) -> None:
        """Told once of every cancelled task: end it where that can be done at once."""

        def wanted(call: Local) -> bool:
            return (call[0].name, call[0].id) == key

        for call in self._later.take_out(wanted):
            self._end_cancelled(call)
        if (pool := self._pools.get(key[0])) is not None:
            pool.cancel(wanted)

    def _end_cancelled(self, call: Local) -> None:
        outcome = call[0]
        self._runtime.cancelled.forget(outcome.name, outcome.id)
        outcome._deliver(cancelled_report(outcome.name, outcome.id, call[3]))

    def _start_default(self, entry: Entry, pool: Pool[Local]) -> None:
        with self._lock:
            if not pool.size and not pool.closed:
                pool.grow(self._runtime.workers_of(entry))

    def _new_pool(self, entry: Entry) -> Pool[Local]:
        runtime = self._runtime
        marshal, life = runtime.config.marshal_locally, LocalLife(runtime, entry, self._later)
        gate = self._gate(entry, life)
        if entry.contract.is_async:
            from typeddingo.loop_pool import LoopPool  # brings asyncio, which many apps do without

            work = through_wire_async if marshal else by_reference_async

            def new_work(slot: Slot[Local]) -> Callable[[Local], Coroutine[object, None, None]]:
                run = work(entry, slot, runtime.timekeeper, life)
                return run if gate is None else gate.around_async(run)

            return LoopPool(runtime.loop, self._new_slot, new_work, self._shut)
        kind = through_wire if marshal else by_reference

        def new_run(slot: Slot[Local]) -> Callable[[Local], None]:
            run = kind(entry, slot, runtime.timekeeper, life)
            return run if gate is None else gate.around(run)

        return ThreadPool(
            entry.name,
            runtime.threads,
            self._new_slot,
            new_run,
            self._shut,
        )

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

        attempt = 1 if (course := call[4]) is None else course.retries + 1
        return Context(name, id, option, attempt=attempt, emit=outcome._deliver, cancelled=cancelled)

    def _sweep(self, pool: Pool[Local]) -> None:
        """Close a pool, and end the calls it will not run."""
        for call in pool.close():
            self._shut(call)

    def _abandon(self, pool: Pool[Local]) -> None:
        """The deadline has passed: end what still runs for its callers. The task itself cannot be stopped."""
        for call in pool.running():
            outcome = call[0]
            outcome._deliver(shutdown_report(outcome.name, outcome.id, call[3]))
            self._tell(outcome, "was still running when its app was closed")

    def _shut(self, call: Local) -> None:
        """This call will not run. Its caller is told; where nobody wants to hear of it, the listeners are."""
        outcome, option = call[0], call[3]
        outcome._deliver(shutdown_report(outcome.name, outcome.id, option))
        if option.ignore_report:
            self._tell(outcome, "was dropped: its app was closed before it started")

    def _tell(self, outcome: Outcome, what: str) -> None:
        message = f"task {outcome.name!r} {what}"
        self._runtime.publish(
            Role.WORKER, EventLevel.WARNING, EventCode.SHUTDOWN, message, task=outcome.name, id=outcome.id
        )
