"""Tasks queued in this process's memory. Comes from ``send``, goes to whoever takes; lost with the process.

Two forms of the same thing: ``LocalBroker`` has one queue for every name (a mapper sorts them), ``LocalNamedBroker``
one queue a name. Both can be shared by several apps of one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typeddingo.broker import Broker, Confirmation, Feature, Joins, Listener, NamedBroker, Parcel, Part
from typeddingo.brokers._local_memory import DeadLetter, LocalMemory
from typeddingo.brokers._local_timetable import LocalTimetable
from typeddingo.events import EventSource
from typeddingo.limits import Limiter
from typeddingo.message import Meta
from typeddingo.role import Role, need_roles
from typeddingo.timetable import ScheduleKey, Seat, Timetable

__all__ = ["DeadLetter", "LocalBroker", "LocalNamedBroker"]


class _Local:
    """The public face that both brokers share."""

    _memory: LocalMemory
    _timetable: LocalTimetable

    def events(self) -> EventSource:
        """Dead letters, and what was left when the broker was closed."""
        return self._memory.source

    @property
    def features(self) -> Feature:
        """Everything there is."""
        return ~Feature.NONE

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        """See ``Producer.cancel``."""
        return self._memory.cancel(metas)

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:
        """See ``Consumer.watch_cancelled``."""
        self._memory.watch_cancelled(tell)

    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """See ``Timetable.take_part``."""
        return self._timetable.take_part(key, wake)

    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """See ``Timetable.last_fired``."""
        return self._timetable.last_fired(keys)

    def limiter(self) -> Limiter:
        """See ``Consumer.limiter``."""
        return self._memory.limiter

    def dead(self) -> list[DeadLetter]:
        """The tasks that were refused for good, oldest first; the list is bounded, the oldest go first."""
        return self._memory.dead()

    def waiting(self) -> int:
        """How many tasks wait to be taken."""
        return self._memory.waiting()

    def stop_all_listeners(self) -> None:
        """Close every listener. Idempotent."""
        self._memory.stop_listeners()

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        """See ``Joins.join``."""
        return [self._memory.joins.add(part) for part in parts]

    def forget_joins(self, metas: Sequence[Meta]) -> None:
        """See ``Joins.forget_joins``."""
        for meta in metas:
            self._memory.joins.forget(meta)

    def close(self) -> None:
        """Close every listener and refuse what is sent from now on. Idempotent, from any thread."""
        self._memory.close()


class LocalBroker(_Local, Broker, Joins, Timetable):
    """One queue in memory for tasks of every name (Go: ``NewLocalBroker``). Thread-safe; never blocks a sender.

    ``max_length``: how many tasks may wait; one more is ``QueueFull``. ``dead_letters``: how many refused are kept.
    """

    def __init__(self, *, max_length: int | None = None, dead_letters: int = 1000) -> None:
        self._memory = LocalMemory("LocalBroker", Role.CONSUMER, max_length, dead_letters)
        self._timetable = LocalTimetable(self.send)

    def expect(self, roles: Role) -> None:
        """Producer and consumer. Raises ``ConfigError`` for any other role."""
        need_roles("LocalBroker", roles, Role.PRODUCER | Role.CONSUMER)

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        """Store the batch, whole or not at all. Raises ``QueueFull``, or ``SendError`` once closed."""
        return self._memory.store([("", parcels)])

    def add_listener(self, prefetch: int = 1) -> Listener:
        """A listener for tasks of every name. Raises ``ConfigError`` once closed."""
        return self._memory.listen("", prefetch)


class LocalNamedBroker(_Local, NamedBroker, Joins, Timetable):
    """One queue in memory for each name of a task; else as ``LocalBroker``, with ``max_length`` for each name."""

    def __init__(self, *, max_length: int | None = None, dead_letters: int = 1000) -> None:
        origin = Role.CONSUMER | Role.NAMED_CONSUMER
        self._memory = LocalMemory("LocalNamedBroker", origin, max_length, dead_letters)
        self._timetable = LocalTimetable(self.send)

    def expect(self, roles: Role) -> None:
        """Producer and named consumer. Raises ``ConfigError`` for any other role."""
        need_roles("LocalNamedBroker", roles, Role.PRODUCER | Role.NAMED_CONSUMER)

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        """Store the batch, whole or not at all. Raises ``QueueFull``, or ``SendError`` once closed."""
        if len(parcels) == 1:
            return self._memory.store([(parcels[0].meta.name, parcels)])
        by_name: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            by_name.setdefault(parcel.meta.name, []).append(parcel)
        return self._memory.store(list(by_name.items()))

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        """A listener for tasks called ``name``. Raises ``ConfigError`` once closed."""
        return self._memory.listen(name, prefetch)
