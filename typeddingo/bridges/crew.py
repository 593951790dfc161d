"""The worker's half of a remote app: who listens, runs and reports. Comes from ``allocate``, ended by ``close``."""

from __future__ import annotations

import contextlib
import threading

from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Reporter
from typeddingo.bridge import need_child
from typeddingo.bridges.adapters import Adapters
from typeddingo.broker import Consumer, Feature, Listener, NamedConsumer, Producer
from typeddingo.cancelled import TaskKey
from typeddingo.config import Ack, Config
from typeddingo.desk import Desk
from typeddingo.errors import ConfigError
from typeddingo.events import EventCode, EventLevel
from typeddingo.limits import Want
from typeddingo.mapper import PREFETCH, Mapper
from typeddingo.message import TaskMessage
from typeddingo.outbox import Flusher
from typeddingo.registry import Entry, Registry
from typeddingo.role import Role
from typeddingo.runtime import Runtime, with_grace
from typeddingo.window import Key
from typeddingo.worker import MAX_BATCH, AsyncWorkers, IsolatedWorker, Source, Worker

__all__ = ["Crew", "group_sizes"]


class Crew:
    """Thread-safe."""

    def __init__(self, runtime: Runtime, registry: Registry, adapters: Adapters) -> None:
        self._runtime = runtime
        self._registry = registry
        self._adapters = adapters
        self._started: dict[Key, Want] = {}
        """Runs of limited tasks."""
        self._lock = threading.Lock()
        self._flusher = Flusher(Threads(runtime.owner))
        self._mapper: Mapper | None = None
        self._listeners: list[Listener] = []
        self._workers: list[Worker] = []
        self._async_workers: list[AsyncWorkers] = []
        self._watching = False

    def allocate(self, entry: Entry, count: int, share: int) -> int:
        """Start ``count`` workers, ``share`` of them on one outbox. Returns how many could not be started.

        Coroutines are all on one: another would cost a thread that feeds it, and the flusher sends for all anyway."""
        with self._lock:
            if self._runtime.closing:
                raise ConfigError(f"allocate({entry.name!r}): the app is closed")
            reporter = self._reporter(entry)
            self._watch_cancelled()
            need_child(entry)
            source = self._source(entry, count)
            left = count
            for size in [count] if entry.on_loop else group_sizes(count, share):
                desk = self._desk(entry, reporter)
                left -= self._start(desk, source, size)
            return left

    def need_adapters(self, entry: Entry) -> None:
        """Raises ``ConfigError`` where something is not attached that its workers need."""
        self._reporter(entry)
        if self._adapters.consumer is None and self._adapters.named_consumer is None:
            raise _no_consumer(entry)

    def close(self, deadline: Deadline) -> None:
        """Take nothing more, let the running tasks finish and report until the deadline, give back the rest."""
        with self._lock:
            if self._mapper is not None:
                self._mapper.close()
            for listener in self._listeners:
                listener.close()
            for group in self._async_workers:
                group.close()
        self._runtime.cancel_children()
        for group in self._async_workers:
            group.join(deadline)
        self._runtime.threads.join(deadline)
        self._abandon()
        self._runtime.end_children(deadline)
        self._flusher.stop()
        self._flusher.join(with_grace(deadline))

    def _watch_cancelled(self) -> None:
        """Once, before the first task comes."""
        consumer = self._adapters.named_consumer or self._adapters.consumer
        if consumer is not None and not self._watching and consumer.features & Feature.CANCEL:
            self._watching = True
            self._runtime.cancelled.watch(self._cancel)
            consumer.watch_cancelled(self._runtime.cancelled.add)

    def _cancel(self, key: TaskKey) -> None:
        for group in self._async_workers:
            group.cancel(key)

    def _reporter(self, entry: Entry) -> Reporter | None:
        if self._adapters.reporter is None and not entry.option.ignore_report:
            raise ConfigError(
                f"allocate({entry.name!r}): no reporter is attached: call app.use(backend) first, or give the task "
                "option=Option(ignore_report=True)"
            )
        return self._adapters.reporter

    def _desk(self, entry: Entry, reporter: Reporter | None) -> Desk:
        consumer = self._adapters.consumer or self._adapters.named_consumer
        if entry.bounds is None or consumer is None or (limiter := consumer.limiter()) is None:
            return Desk(self._runtime, self._registry, entry, reporter, self._flusher, self._producer)
        from typeddingo.limited_desk import LimitedDesk  # few apps limit anything

        bounds = entry.bounds
        return LimitedDesk(
            self._runtime,
            self._registry,
            entry,
            reporter,
            self._flusher,
            self._producer,
            bounds=bounds,
            limiter=limiter,
            started=self._started,
        )

    def _producer(self) -> Producer | None:
        """Looked up when it is needed: it may be attached later."""
        return self._adapters.producer

    def _source(self, entry: Entry, count: int) -> Source:
        """A lane of the mapper, or a listener of its own."""
        if (plain := self._adapters.consumer) is not None:
            self._set_up(entry, plain)
            if self._mapper is None:
                self._mapper = self._map(plain, entry)
            return self._mapper.lane(entry.name)
        if (named := self._adapters.named_consumer) is None:
            raise _no_consumer(entry)
        self._set_up(entry, named)
        listener = named.add_listener(entry.name, count if entry.on_loop else count * MAX_BATCH)
        self._listeners.append(listener)
        return listener

    def _set_up(self, entry: Entry, consumer: Consumer | NamedConsumer) -> None:
        _need(entry, consumer, self._runtime.config)
        if self._runtime.config.ack is Ack.EARLY:
            consumer.run_at_most_once()

    def _map(self, consumer: Consumer, first: Entry) -> Mapper:
        """Start the mappers of an un-named consumer. Only now that there is a worker: an app that just calls takes
        nothing, and nothing is refused for want of workers that are about to be allocated (the seed maps at once)."""
        listeners: list[Listener] = []
        try:
            for _ in range(self._runtime.config.mappers):
                listeners.append(consumer.add_listener(PREFETCH))
        except BaseException:
            for listener in listeners:
                listener.close()
            raise
        mapper = Mapper(self._runtime, self._registry, listeners, lambda: self._adapters.reporter)
        mapper.lane(first.name)
        mapper.start()
        return mapper

    def _start(self, desk: Desk, source: Source, count: int) -> int:
        """Start one group; returns how many of it run."""
        name, started = f"worker-{desk.entry.name}", 0
        make = Worker if desk.entry.isolation is None else IsolatedWorker
        with contextlib.suppress(RuntimeError):  # the system has no more threads
            if desk.entry.on_loop:
                group = AsyncWorkers(self._runtime, desk, source, count)
                self._runtime.threads.start(name, group.feed)
                self._async_workers.append(group)
                return count
            while started < count:
                worker = make(self._runtime, desk, source, self._flusher)
                self._runtime.threads.start(name, worker.run)
                self._workers.append(worker)
                started += 1
        return started

    def _abandon(self) -> None:
        """The deadline has passed: say which tasks still run. Threads cannot be stopped, coroutines will be."""
        running = [job[0] for worker in self._workers if (job := worker.slot.job) is not None]
        for group in self._async_workers:
            running += [arrival[0] for arrival in group.abandon()]
        for task in running:
            self._tell(task)

    def _tell(self, task: TaskMessage) -> None:
        message = f"task {task.name!r} was still running when its app was closed"
        self._runtime.publish(Role.WORKER, EventLevel.WARNING, EventCode.SHUTDOWN, message, task=task.name, id=task.id)


def _no_consumer(entry: Entry) -> ConfigError:
    return ConfigError(f"allocate({entry.name!r}): no consumer is attached: call app.use(broker) first")


def _need(entry: Entry, consumer: Consumer | NamedConsumer, config: Config) -> None:
    """What a task is set to and the broker cannot do is said before it is relied upon."""
    if entry.retry is not None and Feature.LATER not in consumer.features:
        raise ConfigError(
            f"allocate({entry.name!r}): it has retries, and {type(consumer).__name__} as it is set up cannot put "
            "a task off: take retries= away, or use another broker or layout"
        )
    if entry.bounds is not None and (consumer.limiter() is None or Feature.LATER not in consumer.features):
        raise ConfigError(
            f"allocate({entry.name!r}): it is limited, and {type(consumer).__name__} as it is set up cannot count the "
            "tasks of all workers: take limit= and max_running= away, or use another broker or layout"
        )
    if entry.retry is not None and config.ack is Ack.EARLY:
        raise ConfigError(
            f"allocate({entry.name!r}): it has retries, and Config(ack=Ack.EARLY) forgets a task before it runs: take "
            "one of the two away"
        )
    # A task that the broker hands out again while it still runs would run twice, and again and again.
    longest = consumer.longest_run
    for what, seconds in (("timeout", entry.timeout), ("hard_timeout", entry.hard_timeout)):
        if longest is not None and seconds is not None and seconds >= longest:
            raise ConfigError(
                f"allocate({entry.name!r}): its {what} of {seconds:g} s is no shorter than the {longest:g} s after "
                f"which the broker hands it to another worker: set a shorter {what}=, or let the broker wait for longer"
            )


def group_sizes(count: int, share: int) -> list[int]:
    """The sizes of the groups: the first takes what does not divide evenly, as in the seed (10 by 3: 1, 3, 3, 3)."""
    if share in (0, count):
        return [count]
    rest = count % share
    return ([rest] if rest else []) + [share] * (count // share)
