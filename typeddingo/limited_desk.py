"""The desk of workers whose task is limited: asks before it starts one. Comes from ``allocate``; see ``Desk``."""

from __future__ import annotations

from collections.abc import Callable
from sys import intern

from typeddingo.backend import Reporter
from typeddingo.broker import Delivery, Producer, Receipt
from typeddingo.desk import Arrival, Desk
from typeddingo.errors import TypedDingoError
from typeddingo.events import EventCode, EventLevel
from typeddingo.limits import Bounds, Limiter, Want
from typeddingo.message import Report
from typeddingo.outbox import Finished, Flusher
from typeddingo.registry import Entry, Registry
from typeddingo.retry import Verdict
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.window import Key

__all__ = ["LimitedDesk"]

AWAY = 1.0
"""Seconds until a limiter is asked again that does not answer."""


class LimitedDesk(Desk):
    """Thread-safe. A task that may not start yet is put off: it holds no worker, and is not counted as retried."""

    def __init__(
        self,
        runtime: Runtime,
        registry: Registry,
        entry: Entry,
        reporter: Reporter | None,
        flusher: Flusher,
        producer: Callable[[], Producer | None],
        *,
        bounds: Bounds,
        limiter: Limiter,
        started: dict[Key, Want],
    ) -> None:
        """``started``: which runs have a place, for all desks of the app."""
        super().__init__(runtime, registry, entry, reporter, flusher, producer)
        self._bounds = bounds
        self._limiter = limiter
        self._started = started

    def receive(self, delivery: Delivery) -> Arrival | None:
        """See ``Desk.receive``; None also when it was put off."""
        if delivery.expired:
            return super().receive(delivery)
        if (taken := self._reception.task(delivery, self.entry)) is None:
            return None
        task, wire = taken
        if self._is_cancelled(task):
            return super().receive(delivery)
        reply_to = task.reply_to if wire.signed else task.reply_to or delivery.reply_to
        key = (self.entry.name, task.id, intern(reply_to))
        want = Want(task.name, self._key(task.id, task.args, dict(task.kwargs)), f"{task.id} {reply_to}", self._bounds)
        try:
            (wait,) = self._limiter.acquire([want])
        except TypedDingoError as error:
            self._tell(EventLevel.WARNING, task.id, f"cannot ask whether it may start: {error}")
            wait = AWAY
        if wait > 0:
            delivery.delay = wait
            self._outbox.add(Finished(None, delivery, Receipt.LATER))
            return None
        is_ours = self._started.setdefault(key, want) is want  # else it was delivered again, and its run has the place
        if (arrival := super().receive(delivery)) is None and is_ours:
            self._release(key)
        return arrival

    def finish(self, arrival: Arrival, report: Report[object]) -> None:
        """See ``Desk.finish``."""
        self._release(arrival[-1])
        super().finish(arrival, report)

    def finish_or_retry(self, arrival: Arrival, report: Report[object], verdict: Verdict) -> float | None:
        """See ``Desk.finish_or_retry``."""
        self._release(arrival[-1])
        return super().finish_or_retry(arrival, report, verdict)

    def give_back(self, arrival: Arrival) -> None:
        """See ``Desk.give_back``."""
        self._release(arrival[-1])
        super().give_back(arrival)

    def _release(self, key: Key) -> None:
        if (want := self._started.pop(key, None)) is not None:
            self._limiter.release([want])

    def _key(self, id: str, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
        try:
            return self.entry.limit_key(args, kwargs)
        except Exception as error:
            self._tell(
                EventLevel.ERROR, id, f"is limited like any other: its key function raised {type(error).__name__}"
            )
            return ""

    def _tell(self, level: EventLevel, id: str, what: str) -> None:
        name = self.entry.name
        self._runtime.publish(Role.WORKER, level, EventCode.GENERIC, f"task {name!r} {what}", task=name, id=id)
