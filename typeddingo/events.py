"""What goes wrong (or is worth knowing) inside, told to whoever listens.

Comes from adapters, mappers, workers and the bridge (``publish``), goes to ``app.listen()`` (``Subscription``).
"""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from typeddingo.role import Role

__all__ = ["Event", "EventCode", "EventLevel", "EventMux", "EventSource", "Subscription"]


class EventLevel(enum.IntEnum):
    """How much it matters (Go: ``EventLvl``, same values)."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class EventCode(enum.IntEnum):
    """What kind of thing happened (Go: ``EventCode``; 0, 1 and 2 have Go's meaning, the others are ours)."""

    GENERIC = 0
    TASK_DELIVERY_FAILURE = 1
    """A task could not be handed to a worker."""
    DUPLICATED_POLLING = 2
    """The reports of one task were asked for twice."""
    DEAD_LETTER = 16
    """A task was refused for good and put aside."""
    WORKER_NOT_FOUND = 17
    """A task arrived that nobody here runs."""
    UNDECODABLE = 18
    """Bytes arrived that are not a task or report of ours."""
    REPORT_DROPPED = 19
    """A report was thrown away: nobody asked for it in time, or there was no room."""
    HANDLER_FAILED = 20
    """A callback of the user raised."""
    CONNECTION = 21
    """A connection was lost, blocked or came back."""
    SHUTDOWN = 22
    """Something was still running when the deadline of ``close()`` passed."""
    RETRY = 23
    """A task has failed and will run again."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened (Go: ``Event``). The message never holds a task's values or a secret."""

    origin: Role
    """The room it comes from; may be several (``CONSUMER | NAMED_CONSUMER``)."""
    level: EventLevel
    code: EventCode
    message: str
    time: float = field(default_factory=time.time)
    """When, in seconds since the epoch."""
    task: str = ""
    """The name of the task it is about, if it is about one."""
    id: str = ""
    """The id of that task."""


Subscriber: TypeAlias = Callable[[Event], object]


class EventSource:
    """Where one object publishes its events. Thread-safe; ``publish`` never blocks and never raises."""

    def __init__(self) -> None:
        # Re-entrant: a finalizer that publishes may run inside any of these methods.
        self._lock = threading.RLock()
        # Replaced, never changed: publish() walks it without the lock.
        self._subscribers: tuple[Subscriber, ...] = ()
        self._publishing = threading.local()
        self._lost = 0

    @property
    def active(self) -> bool:
        """Somebody listens: lets a busy place skip building an event that nobody would see."""
        return bool(self._subscribers)

    @property
    def lost(self) -> int:
        """Events that reached a subscriber which raised, or were published from inside a subscriber."""
        return self._lost

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback`` with every event from now on, in the thread that publishes; it must not block.
        Returns the function that ends it (idempotent)."""

        def subscriber(event: Event) -> None:  # its own object, so that one callback can be subscribed twice
            callback(event)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(s for s in self._subscribers if s is not subscriber)

        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)
        return unsubscribe

    def publish(self, event: Event) -> None:
        """Hand the event to every subscriber. An event published while this thread is already publishing here is
        counted in ``lost`` instead of delivered: events about events would never end."""
        if not self._subscribers:
            return
        if getattr(self._publishing, "now", False):
            self._count_lost()
            return
        self._publishing.now = True
        try:
            for subscriber in self._subscribers:
                try:
                    subscriber(event)
                except Exception:
                    self._count_lost()  # whoever reports must not be broken by whoever listens
        finally:
            self._publishing.now = False

    def _count_lost(self) -> None:
        with self._lock:
            self._lost += 1


class EventMux(EventSource):
    """One app's events: what its own rooms publish here, and what the sources attached to it publish."""

    def __init__(self) -> None:
        super().__init__()
        self._mux_lock = threading.RLock()
        self._detach: list[Callable[[], None]] = []
        self._subscriptions: list[Subscription] = []
        self._closed = False

    def attach(self, source: EventSource | None) -> None:
        """Pass on everything ``source`` publishes, until ``close``. None (an adapter without events) is fine."""
        with self._mux_lock:
            if source is not None and not self._closed:
                self._detach.append(source.subscribe(self.publish))

    def listen(self, roles: Role = Role.ALL, level: EventLevel = EventLevel.INFO, *, room: int = 10) -> Subscription:
        """Events of these rooms, at this level or above (Go: ``Listen``). On a closed mux: one that has ended."""
        subscription = Subscription(roles, level, room, self._forget)
        with self._mux_lock:
            if not self._closed:
                subscription.unsubscribe = self.subscribe(subscription.offer)
                self._subscriptions.append(subscription)
                return subscription
        subscription.close()
        return subscription

    def close(self) -> None:
        """Detach from every source and end every subscription. Idempotent, from any thread."""
        with self._mux_lock:
            self._closed = True
            detach, self._detach = self._detach, []
            subscriptions, self._subscriptions = self._subscriptions, []
        for stop in detach:
            stop()
        for subscription in subscriptions:
            subscription.close()

    def _forget(self, subscription: Subscription) -> None:
        with self._mux_lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)


class Subscription:
    """Events as they come: an iterator and a context manager, usable from any thread, by several at a time.

    It has room for a few events (10, as the seed); when it is full the newest is dropped and counted, because
    whoever publishes must never wait for whoever listens.
    """

    def __init__(
        self, roles: Role, level: EventLevel, room: int = 10, on_close: Callable[[Subscription], None] | None = None
    ) -> None:
        self.unsubscribe: Callable[[], None] | None = None
        self._roles = roles
        self._level = level
        self._room = room
        self._on_close = on_close
        # A condition over a re-entrant lock: a finalizer that publishes may run inside any of these methods.
        self._ready = threading.Condition()
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many events did not fit."""
        return self._dropped

    @property
    def closed(self) -> bool:
        """No more events will come; what is buffered can still be read."""
        return self._closed

    def offer(self, event: Event) -> None:
        """Keep the event if it is wanted and there is room. Never blocks."""
        if not event.origin & self._roles or event.level < self._level:
            return
        with self._ready:
            if self._closed:
                return
            if len(self._events) >= self._room:
                self._dropped += 1
                return
            self._events.append(event)
            self._ready.notify()

    def get(self, timeout: float | None = None) -> Event | None:
        """The next event, waiting at most ``timeout`` seconds (None: until closed).
        None when none came, and once closed and empty."""
        with self._ready:
            self._ready.wait_for(lambda: self._events or self._closed, timeout)
            return self._events.popleft() if self._events else None

    def close(self) -> None:
        """Stop listening (Go: ``StopListen``); readers get what is buffered and then end. Idempotent."""
        with self._ready:
            if self._closed:
                return
            self._closed = True
            self._ready.notify_all()
        if self.unsubscribe is not None:
            self.unsubscribe()
        if self._on_close is not None:
            self._on_close(self)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if (event := self.get()) is None:
            raise StopIteration
        return event

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
