"""Sorts the tasks of an un-named consumer. Comes from its listeners, goes to a lane a task name, then to workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from typeddingo.backend import Reporter
from typeddingo.broker import Delivery, Listener, Receipt
from typeddingo.outbox import Outbox
from typeddingo.reception import Reception
from typeddingo.registry import Registry
from typeddingo.role import Role
from typeddingo.runtime import Runtime

__all__ = ["PREFETCH", "Lane", "Mapper"]

PREFETCH = 128
"""Unsettled tasks that one listener of a mapper holds, waiting in lanes or running."""


class Lane:
    """The deliveries of one name, between mappers and workers; thread-safe, a ``Source``."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Delivery | None] = SimpleQueue()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, delivery: Delivery) -> None:
        self._queue.put(delivery)
        if self._closed:
            self.close()

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """See ``Listener.take``."""
        taken: list[Delivery] = []
        try:
            while len(taken) < count:
                delivery = self._queue.get(timeout=timeout) if not taken else self._queue.get_nowait()
                if delivery is None:
                    self._queue.put(None)  # the end is for everybody
                    break
                taken.append(delivery)
        except Empty:
            pass
        return taken

    def close(self) -> None:
        """Give back what waits; takers return. Idempotent."""
        self._closed = True
        try:
            while True:
                if (delivery := self._queue.get_nowait()) is not None:
                    delivery.settle(Receipt.GIVE_BACK)
        except Empty:
            self._queue.put(None)


class Mapper:
    """The listeners of one un-named consumer, and the lanes they fill (Go: ``mappers``)."""

    def __init__(
        self,
        runtime: Runtime,
        registry: Registry,
        listeners: Sequence[Listener],
        reporter: Callable[[], Reporter | None],
    ) -> None:
        self._runtime = runtime
        self._registry = registry
        self._listeners = listeners
        self._lock = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        self._reporter = reporter  # asked each time: it may be attached after the consumer

    def start(self) -> None:
        """One thread a listener."""
        for number, listener in enumerate(self._listeners, 1):
            self._runtime.threads.start(f"mapper-{number}", partial(self._map, listener))

    def lane(self, name: str) -> Lane:
        """The lane of a task that has workers here, made on first use."""
        with self._lock:
            return self._lanes.setdefault(name, Lane())

    def close(self) -> None:
        """Take no more and give back what no worker has taken. Idempotent."""
        for listener in self._listeners:
            listener.close()
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close()

    def _map(self, listener: Listener) -> None:
        while batch := self._next(listener):
            outbox = Outbox(self._runtime, self._reporter())
            reception = Reception(self._runtime, self._registry, outbox, Role.MAPPER)
            for delivery in batch:
                if (header := reception.header(delivery)) is None:
                    continue
                if (lane := self._lanes.get(header.name)) is None:
                    reception.unknown(delivery, header)
                else:
                    lane.put(delivery)
            outbox.flush()

    def _next(self, listener: Listener) -> Sequence[Delivery]:
        while not (batch := listener.take(PREFETCH)):
            if listener.closed:
                return ()
        return batch
