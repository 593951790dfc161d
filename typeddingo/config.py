"""How an app behaves, decided once. Comes from the user, goes to every room; imports nothing but the error tree."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from typeddingo.errors import ConfigError

__all__ = ["Ack", "Config", "Limits"]


def _need_count(what: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{what}: expected a whole number of at least {least}")


def _need_seconds(what: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ConfigError(f"{what}: expected a number of seconds, 0 or more")


class Ack(enum.Enum):
    """When a worker acknowledges a task, after which no other worker will get it."""

    LATE = "late"
    """When its report is stored: a task whose worker dies runs again, at least once."""
    EARLY = "early"
    """Before it runs, as the seed does: a task whose worker dies is lost, at most once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a frame may be before any work is done on it; a frame over a limit is a ``LimitError``."""

    frame: int = 16 * 1024 * 1024
    """Bytes of a whole frame."""
    registry: int = 1024
    """Chunks of a frame."""
    id: int = 128
    """Bytes of a task's id."""
    name: int = 128
    """Bytes of a task's name; printable."""
    depth: int = 64
    """Nesting of arrays and objects."""
    digits: int = 4300
    """Digits of one number."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            _need_count(f"Limits({name})", getattr(self, name), least=1)


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one app (Go: ``Config``). Frozen and shared between threads; a wrong value is a ``ConfigError``."""

    mappers: int = 3
    """Listeners that sort the tasks of an un-named consumer (Go: ``Mappers``)."""
    workers: int = 4
    """Threads of a task's default pool, where nothing was allocated for it. Measured on two cores, against two threads:
    four cost short tasks nothing (-1 %) and double what tasks that wait for something get done."""
    shutdown_timeout: float = 10.0
    """Seconds that ``close()`` gives to running tasks."""
    marshal_locally: bool = False
    """In local mode: False passes validated objects by reference, True takes them through the task's marshaller."""
    max_length: int | None = None
    """Tasks that may wait in one queue; one more is ``QueueFull``. None: no bound."""
    ack: Ack = Ack.LATE
    """When a remote worker acknowledges a task."""
    limits: Limits = Limits()
    """What a frame may be."""

    def __post_init__(self) -> None:
        _need_count("Config(mappers)", self.mappers, least=1)
        _need_count("Config(workers)", self.workers, least=1)
        if self.max_length is not None:
            _need_count("Config(max_length)", self.max_length, least=1)
        _need_seconds("Config(shutdown_timeout)", self.shutdown_timeout)
        if not isinstance(self.ack, Ack):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ConfigError("Config(ack): expected Ack.LATE or Ack.EARLY")
        if not isinstance(self.marshal_locally, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ConfigError("Config(marshal_locally): expected True or False")
        if not isinstance(self.limits, Limits):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ConfigError("Config(limits): expected a Limits object, for example Limits(frame=1024 * 1024)")
