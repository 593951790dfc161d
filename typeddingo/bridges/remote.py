"""``App("remote")``: joins tasks to attached adapters. Its caller's half is ``courier``, its worker's ``crew``.

The two halves need not meet: one process calls, another works, and what is attached decides which it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from typeddingo._io.threads import Deadline
from typeddingo.bridge import Bridge, need_counts
from typeddingo.bridges.adapters import Adapters, hold, let_go, playable
from typeddingo.bridges.asked import need_features
from typeddingo.bridges.courier import Courier
from typeddingo.bridges.crew import Crew
from typeddingo.bridges.last_report import LastReport
from typeddingo.bridges.pipeline_courier import PipelineCourier
from typeddingo.broker import Adapter, Parcel
from typeddingo.errors import ConfigError
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Meta, TaskMessage
from typeddingo.option import Option
from typeddingo.registry import Entry, Registry
from typeddingo.role import Role
from typeddingo.runtime import Runtime, with_grace
from typeddingo.terms import AT_ONCE
from typeddingo.timetable import Timetable

__all__ = ["RemoteBridge"]


class RemoteBridge(Bridge):
    """Thread-safe."""

    def __init__(self, runtime: Runtime, registry: Registry) -> None:
        self._runtime = runtime
        self._registry = registry
        self._adapters = Adapters()
        self._courier = Courier(runtime, registry, self._adapters)
        self._pipelines = PipelineCourier(self._courier, runtime, registry, self._adapters)
        self._crew = Crew(runtime, registry, self._adapters)
        self._last_report = LastReport(runtime.owner)
        self._lock = threading.RLock()

    def join(self, entry: Entry) -> None:
        with self._lock:
            self._courier.join(entry)
            entry.launcher = self._pipelines
            if self._adapters.producer is not None:
                self._adapters.producer.declare_task(entry.name)

    def allocate(self, entry: Entry, count: int, share: int) -> int:
        need_counts(entry.name, count, share)
        self._crew.need_adapters(entry)
        self._runtime.begin_work()
        return self._crew.allocate(entry, count, share)

    def use(self, adapter: object, roles: Role) -> Role:
        """All or nothing: an object that cannot do what it is attached for is not kept."""
        adapter, roles = playable(adapter, roles)
        with self._lock:
            if self._runtime.closing:
                raise ConfigError("use: the app is closed")
            self._adapters.need_free(roles)
            adapter.expect(roles)
            tried = Adapters()
            tried.attach(adapter, roles)
            if tried.producer is not None:
                for entry in self._registry:  # registered before: the seed never declared these
                    tried.producer.declare_task(entry.name)
            if not any(adapter is other for other in self._adapters.held):
                hold(adapter)
                self._runtime.events.attach(adapter.events())
            self._adapters.attach(adapter, roles)
        return roles

    def reattach(self, entry: Entry, id: str) -> object:
        return self._courier.reattach(entry, id)

    def forget(self, name: str, id: str) -> None:
        self._courier.forget(name, id)

    def background(self, callback: Callable[[], None]) -> None:
        self._courier.background(callback)

    def cancel(self, name: str, id: str) -> None:
        self._courier.cancel(name, id)

    def timetable(self) -> Timetable:
        producer: object = self._adapters.producer
        if isinstance(producer, Timetable):
            return producer
        what = "no broker is attached" if producer is None else f"{type(producer).__name__} does not"
        raise ConfigError(f"schedules need a broker that remembers what has fired, and {what}; Redis and RabbitMQ do")

    def parcel(self, entry: Entry, id: str, option: Option) -> Parcel:
        if option.terms is not AT_ONCE and self._adapters.producer is not None:
            need_features(self._adapters.producer, option.terms)
        message = TaskMessage(entry.name, id, option=option)
        return Parcel(Meta(entry.name, id), self._registry.wire_of(entry).encode_task(message), option.terms)

    def attached(self) -> Sequence[Adapter]:
        with self._lock:
            return tuple(self._adapters.held)

    def batch(self) -> AbstractContextManager[None]:
        return self._courier.batch()

    def close(self, deadline: Deadline) -> None:
        self._crew.close(deadline)
        deadline = with_grace(deadline)
        self._hear_the_last(deadline)
        self._courier.close()
        with self._lock:
            held, self._adapters.held = self._adapters.held, []
        for adapter in held:
            try:
                let_go(adapter)
            except Exception as error:
                what = f"closing {type(adapter).__name__} failed: {type(error).__name__}"
                self._runtime.publish(Role.BRIDGE, EventLevel.ERROR, EventCode.GENERIC, what)
        self._last_report.join(deadline)

    def _hear_the_last(self, deadline: Deadline) -> None:
        """The results of what has run here arrive."""
        reporter, store = self._adapters.reporter, self._adapters.store
        if self._runtime.working and self._courier.pending and reporter is not None and store is not None:
            self._last_report.wait(reporter, store, deadline)
