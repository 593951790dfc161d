"""What an operator may see and do to the queues of a broker. Comes from ``typeddingo queues``, ``dead`` and ``ping``.

A broker that stands on a server implements it beside ``Producer`` and ``NamedConsumer``; the local ones need not.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["DeadTask", "Inspector", "QueueState"]


class QueueState(NamedTuple):
    """One queue at this moment, as far as its server knows."""

    name: str
    """The name of its tasks."""
    waiting: int
    """Tasks that no worker holds."""
    running: int
    """Tasks that a worker holds: it runs them or has fetched them."""
    dead: int
    """Tasks that were refused for good, or killed their worker too often."""
    workers: int
    """Connections that take tasks from it."""
    later: int = 0
    """Tasks that are not due yet: delayed ones, and those that will be retried."""


class DeadTask(NamedTuple):
    """A task that was put aside, and why."""

    key: str
    """What it is called among the dead letters of its queue: an adapter's own text."""
    name: str
    id: str
    """The id in its header; empty when the header cannot be read."""
    body: bytes
    reason: str
    time: float
    """When it was put aside, in seconds since the epoch; 0.0 when the server does not tell."""
    deliveries: int
    """How often it had been delivered; 0 when the server does not tell."""


class Inspector(abc.ABC):
    """Thread-safe; every method blocks until the server has answered and raises ``ConnectionLost`` when it does not."""

    @abc.abstractmethod
    def ping(self) -> None:
        """The server answers."""

    @abc.abstractmethod
    def queue(self, name: str) -> QueueState:
        """The queue of the tasks of this name; all zero for one that does not exist yet."""

    @abc.abstractmethod
    def dead(self, name: str, limit: int = 100) -> Sequence[DeadTask]:
        """The oldest dead letters of a queue, at most ``limit``; they stay where they are."""

    @abc.abstractmethod
    def replay(self, name: str, keys: Sequence[str] | None = None) -> int:
        """Put dead letters back at the end of their queue, as new tasks: these, or all. Returns how many there were."""

    @abc.abstractmethod
    def purge(self, name: str, keys: Sequence[str] | None = None) -> int:
        """Delete dead letters: these, or all. Returns how many there were."""
