"""How often, and how many at a time, a task may run, over all workers. Comes from the decorator, goes to the workers.

A worker asks its broker's ``Limiter`` before it starts such a task; one that may not start yet is put off by as long as
it was told, and asks again.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Sequence
from typing import NamedTuple

from typeddingo.errors import ConfigError

__all__ = ["Bounds", "Limiter", "Rate", "Want", "bounds_of"]

_RATE = re.compile(r"(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(s|min|h|d)", re.ASCII)
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Rate(NamedTuple):
    """So many starts in any stretch of so many seconds."""

    times: int
    seconds: float


class Bounds(NamedTuple):
    """What a task is limited to; at least one of the two."""

    rate: Rate | None = None
    most: int | None = None
    """That run at the same time."""


class Want(NamedTuple):
    """A task that may start if there is room."""

    name: str
    key: str
    """What it is counted by; empty: all tasks of this name."""
    id: str
    """No other's: it keeps the place in the line."""
    bounds: Bounds


class Limiter(abc.ABC):
    """Counts the tasks of all workers that share a broker. Thread-safe; blocks for as long as its server takes."""

    @abc.abstractmethod
    def acquire(self, wants: Sequence[Want]) -> Sequence[float]:
        """For each: 0.0, it may start, and counts; or the seconds after which it should ask again: then it keeps its
        place in the line. Raises ``ConnectionLost`` or ``ConfigError``."""

    @abc.abstractmethod
    def release(self, wants: Sequence[Want]) -> None:
        """These run no more. Does not block, never raises. A worker that dies releases what it has by and by."""


def bounds_of(limit: object, max_running: object) -> Bounds | None:
    """The settings of a task as bounds; None: there are none. Raises ``ConfigError``."""
    rate: Rate | None = None
    if limit is not None:
        if not isinstance(limit, str) or (found := _RATE.fullmatch(limit.strip())) is None:
            raise ConfigError("limit: expected a number and a time, '10/s', '100/min', '5/h', '10/30s', or None")
        times, length, unit = found.groups()
        rate = Rate(int(times), float(length or 1) * _UNITS[unit])
        if not rate.times or not rate.seconds:
            raise ConfigError(
                "limit: expected at least 1 in more than 0 seconds; a task that must not run needs no worker"
            )
    if max_running is not None and (
        isinstance(max_running, bool) or not isinstance(max_running, int) or max_running < 1
    ):
        raise ConfigError("max_running: expected a whole number of at least 1, or None")
    return None if rate is None and max_running is None else Bounds(rate, max_running)
