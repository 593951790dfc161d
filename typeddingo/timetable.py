"""The interface of what remembers when a schedule last fired, so that many processes fire it once.

Comes from the scheduler, implemented by brokers beside ``Producer``. A third party's broker need not have it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

from typeddingo.broker import Parcel

__all__ = ["Look", "ScheduleKey", "Seat", "Timetable"]


class ScheduleKey(NamedTuple):
    """Which schedule it is, in every process."""

    name: str
    task: str
    """The name of the task that it sends."""


class Look(NamedTuple):
    """How things stand. Moments are seconds since the epoch."""

    now: float
    """By the clock that decides: the server's, where it has one for us."""
    last: float | None = None
    """Up to when everything is settled; None: it has never been looked at before."""
    ours: bool = True
    """This process may fire. False: another one does that, and ``wake`` is called when it no longer can."""


class Seat(abc.ABC):
    """One process's part in one schedule. Used by one thread."""

    @abc.abstractmethod
    def look(self) -> Look:
        """Blocks until the server has answered. Raises ``ConnectionLost`` or ``ConfigError``."""

    @abc.abstractmethod
    def fire(self, before: float | None, to: float, parcels: Sequence[Parcel]) -> bool:
        """Store these tasks and settle everything up to ``to``, if ``before`` is still what ``Look.last`` says and
        ``to`` has come. False: it is not, nothing was done. Blocks; raises ``ConnectionLost``, ``SendError``,
        ``SendUnknown`` or ``ConfigError``, after which it is done or not: look again."""

    @abc.abstractmethod
    def leave(self) -> None:
        """Take no part any more: another process may. Idempotent; does not wait for the server."""


class Timetable(abc.ABC):
    """Thread-safe."""

    @abc.abstractmethod
    def take_part(self, key: ScheduleKey, wake: Callable[[], object]) -> Seat:
        """From now on this process is one of those that may fire. ``wake`` is called in any thread when there is
        reason to look again; it does not block. Raises ``ConfigError`` when this broker, as it is set up, cannot."""

    @abc.abstractmethod
    def last_fired(self, keys: Sequence[ScheduleKey]) -> Sequence[float | None]:
        """For who takes no part: up to when each is settled; None: never, or not known. Blocks; raises
        ``ConnectionLost`` or ``ConfigError``."""
