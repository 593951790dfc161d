"""``App("local")``: from the caller's thread to a pool in this process and back into the ``Result``.

By reference after the contract's check, or through the task's marshaller with ``Config(marshal_locally=True)``.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakValueDictionary

from typeddingo._io.threads import Deadline, Threads
from typeddingo._io.timer import Timer
from typeddingo.bridge import Bridge, closed_error, need_child, need_counts
from typeddingo.bridges.local_announcing import Put, PutOn, announced
from typeddingo.bridges.local_crew import LocalCrew
from typeddingo.bridges.local_pipeline import LocalPipeline
from typeddingo.bridges.local_unique import LocalUnique
from typeddingo.broker import Adapter, Parcel
from typeddingo.brokers._local_timetable import LocalTimetable
from typeddingo.cancelled import TaskKey
from typeddingo.entries import list_of
from typeddingo.errors import ConfigError, QueueFull
from typeddingo.events import EventCode, EventLevel
from typeddingo.execute import Course, Local
from typeddingo.journey import Journey, Step
from typeddingo.message import Meta, TaskMessage
from typeddingo.option import Option
from typeddingo.outcome import CallOutcome, Outcome, cancelled_report, shutdown_report
from typeddingo.pool import Pool
from typeddingo.registry import Entry, Registry, Send
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.terms import AT_ONCE, Terms
from typeddingo.time_limit import meet_limit, overdue
from typeddingo.timetable import Timetable

__all__ = ["LocalBridge"]


class LocalBridge(Bridge):
    """Thread-safe. A pool a task, started by ``allocate`` or by the first call."""

    def __init__(self, runtime: Runtime, registry: Registry) -> None:
        self._runtime = runtime
        self._registry = registry
        self._lock = threading.Lock()
        self._pools: dict[str, Pool[Local]] = {}
        self._unique = LocalUnique()
        self._later: Timer[Local] = Timer("later", Threads(runtime.owner), self._due)
        self._crew = LocalCrew(runtime, self._later, self._shut)
        self._timetable = LocalTimetable(self._send_due)
        self._pipelines: WeakValueDictionary[TaskKey, LocalPipeline] = WeakValueDictionary()
        """Those that run, and some that somebody still has the result of."""
        runtime.cancelled.watch(self._cancel)

    def join(self, entry: Entry) -> None:
        with self._lock:
            if (pool := self._pools.get(entry.name)) is None:
                pool = self._pools[entry.name] = self._crew.new_pool(entry)
        bind, send = entry.contract.bind, self._compile(entry, pool)
        if entry.isolation is not None:
            send = _found_first(entry, pool, send)

        async def send_async(
            args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None
        ) -> object:
            return send(args, kwargs, option)

        def send_many(rows: Sequence[tuple[object, ...]], option: Option | None = None) -> list[object]:
            for row in rows:
                bind(row, {})
            return [send(row, {}, option) for row in rows]

        entry.send, entry.send_async, entry.send_many = send, send_async, send_many
        entry.launcher = self

    def launch(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        """See ``Launcher``."""
        args, kwargs = self._bind_first(steps, args, kwargs)
        return self._start_pipeline(steps, args, kwargs, option)

    async def launch_async(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        """See ``Launcher``."""
        return self.launch(steps, args, kwargs, option)

    def launch_many(self, steps: tuple[Step, ...], rows: Sequence[tuple[object, ...]], option: Option) -> list[object]:
        """See ``Launcher``."""
        bound = [self._bind_first(steps, row, {}) for row in rows]
        return [self._start_pipeline(steps, args, kwargs, option) for args, kwargs in bound]

    def _bind_first(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        entry = self._registry.get(steps[0].name)
        return (list_of(entry) if steps[0].each else entry).contract.bind(args, kwargs)

    def _start_pipeline(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> Outcome:
        name, max_length = steps[-1].name, self._runtime.config.max_length
        if self._runtime.closing:
            raise closed_error(name)
        if max_length is not None and self._pools[steps[0].name].waiting() >= max_length:
            raise QueueFull(f"task {steps[0].name!r}: {max_length} calls are waiting already; call again later")
        for entry in (self._registry.get(step.name) for step in steps):
            if not self._pools[entry.name].size:
                need_child(entry)
        id = self._registry.id_maker_of(self._registry.get(name)).new_id(name)
        outcome = self._runtime.make(name, id, option)
        journey = Journey(id, steps)
        pipeline = LocalPipeline(self._runtime, self._registry, journey, outcome, option, self._put_step)
        outcome._home = self._pipelines[name, id] = pipeline
        if (hooks := self._registry.get(name).hooks).sends:
            told = hooks.announce(name, id, option)
            pipeline.headers = {**told.headers}
            with hooks.telling(told):
                pipeline.begin(journey, args, kwargs)
        else:
            pipeline.begin(journey, args, kwargs)
        return outcome

    def _put_step(
        self,
        entry: Entry,
        step: Outcome,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        option: Option,
        headers: Mapping[str, str],
    ) -> None:
        """A step of a pipeline on its way to a worker. There is always room for one that is not the first: where would
        it go?"""
        pool = self._pools[entry.name]
        course = Course(headers=headers) if headers else None
        call: Local = (step, args, kwargs, option, course)
        if self._runtime.lifespan is not None and not pool.size:
            self._runtime.begin_work()
        if self._runtime.config.marshal_locally or entry.isolation:
            wire = self._registry.wire_of(entry)
            frame = wire.encode_task(TaskMessage(entry.name, step.id, args, kwargs, option, headers=headers))
            call = (step, wire, frame, option, course)
        if option.terms is AT_ONCE:
            pool.put(call)
        else:
            self._put_on(option.terms, call)
        if not pool.size:
            self._start_default(entry, pool)
        if pool.closed:  # closed since we looked: whoever sees it last ends the call
            self._sweep(pool)

    def allocate(self, entry: Entry, count: int, share: int) -> int:
        need_counts(entry.name, count, share)  # share means nothing here: reports go straight into the result
        self._runtime.begin_work()
        with self._lock:
            if self._runtime.closing:
                raise ConfigError(f"allocate({entry.name!r}): the app is closed")
            need_child(entry)
            return self._pools[entry.name].grow(count)

    def use(self, adapter: object, roles: Role) -> Role:
        raise ConfigError(
            "this app is local: it has its own producer, consumer, reporter and store; App('remote') takes adapters"
        )

    def reattach(self, entry: Entry, id: str) -> object:
        raise ConfigError("app.result(): a local app keeps no results but those its own calls have returned")

    def timetable(self) -> Timetable:
        return self._timetable

    def parcel(self, entry: Entry, id: str, option: Option) -> Parcel:
        frame = b""
        if self._runtime.config.marshal_locally or entry.isolation:
            frame = self._registry.wire_of(entry).encode_task(TaskMessage(entry.name, id, option=option))
        return Parcel(Meta(entry.name, id), frame, option.terms)

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
        self._runtime.cancel_children()
        for pool in pools:
            pool.join(deadline)
        for pool in pools:
            self._abandon(pool)
        self._runtime.end_children(deadline)
        self._later.join(deadline)

    def background(self, callback: Callable[[], None]) -> None:
        """See ``Home``."""
        self._runtime.handlers.run(callback)

    def forget(self, name: str, id: str) -> None:
        """Nothing is kept but what the caller holds."""

    def cancel(self, name: str, id: str) -> None:
        if (pipeline := self._pipelines.get((name, id))) is not None:
            pipeline.cancel(name, id)
        else:
            self._runtime.cancelled.add(name, id)

    def _compile(self, entry: Entry, pool: Pool[Local]) -> Send:
        """The hot path of a local call: what does not change between calls is bound beforehand."""
        name, default, max_length = entry.name, entry.option, self._runtime.config.max_length
        fits, bind = entry.contract.quick_bind(), entry.contract.bind
        put, put_on = self._ways_in(entry, pool)
        make, new_id = self._runtime.make, self._registry.id_maker_of(entry).new_id
        runtime = self._runtime
        wire = self._registry.wire_of(entry) if runtime.config.marshal_locally or entry.isolation else None
        at_once = AT_ONCE if entry.unique_for is None else None
        first_of, not_sent = self._unique.first_of, self._unique.not_sent
        write, usual = wire.plain.write_call if wire else None, entry.option if entry.option == Option() else Option()

        def send(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None) -> CallOutcome:
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
            elif (first := first_of(entry, outcome, args, kwargs)) is not outcome:
                return first
            else:
                try:
                    put_on(option.terms, call)
                except BaseException:
                    not_sent(entry, outcome, args, kwargs)
                    raise
            if not pool.size:
                self._start_default(entry, pool)
            if pool.closed:  # closed since we looked: whoever sees it last ends the call
                self._sweep(pool)
            return outcome

        return send

    def _ways_in(self, entry: Entry, pool: Pool[Local]) -> tuple[Put, PutOn]:
        """How a call gets into its pool, now or later: straight, where there is nothing that comes before."""
        put: Put = pool.put
        put_on: PutOn = self._put_on
        if entry.hooks.sends:
            put, put_on = announced(entry.hooks, put, put_on, travels=entry.isolation is not None)
        if self._runtime.lifespan is not None:
            put, put_on = self._in_life(pool, put, put_on)
        return put, put_on

    def _in_life(self, pool: Pool[Local], put: Put, put_on: PutOn) -> tuple[Put, PutOn]:
        """What entering the lifespan raises is the caller's, and the call is in no queue."""
        begin = self._runtime.begin_work

        def put_now(call: Local) -> None:
            if not pool.size:
                begin()
            put(call)

        def put_later(terms: Terms, call: Local) -> None:
            if not pool.size:
                begin()
            put_on(terms, call)

        return put_now, put_later

    def _send_due(self, parcels: Sequence[Parcel]) -> None:
        """What a schedule has fired: a call without arguments that nobody waits for."""
        for parcel in parcels:
            entry, option = (
                self._registry.get(parcel.meta.name),
                Option(ignore_report=True, priority=parcel.terms.priority),
            )
            outcome = self._runtime.make(entry.name, parcel.meta.id, option)
            outcome._home = self
            if parcel.body:
                call: Local = (outcome, self._registry.wire_of(entry), parcel.body, option, None)
            else:
                call = (outcome, (), {}, option, None)
            if not (pool := self._pools[entry.name]).size:
                need_child(entry)
                self._runtime.begin_work()
                self._start_default(entry, pool)
            self._put_on(parcel.terms, call)

    def _put_on(self, terms: Terms, call: Local) -> None:
        """A call that waits, expires or is urgent."""
        now = time.time()
        lifetime = terms.lifetime or (terms.expires - now if terms.expires else math.inf)
        if lifetime < math.inf:
            call = (*call[:4], (call[4] or Course())._replace(expires=time.monotonic() + lifetime))
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
                self._runtime.working = True
                pool.grow(self._runtime.workers_of(entry))

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


def _found_first(entry: Entry, pool: Pool[Local], send: Send) -> Send:
    """``send``, which starts no workers whose children would not find the task."""

    def checked(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None) -> object:
        if not pool.size:
            need_child(entry)
        return send(args, kwargs, option)

    return checked
