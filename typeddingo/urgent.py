"""What goes first of what waits. Comes from queues in memory, which ask as soon as something urgent is among it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

__all__ = ["HEAD_START", "Urgent"]

J = TypeVar("J")

HEAD_START = 10.0
"""Seconds that one step of priority is worth: a job goes ahead of what was put less than that earlier, so none waits
for ever."""


class Urgent(Generic[J]):
    """Jobs with priorities, and those that they have overtaken. Used with a lock held, but for whether it is empty."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.heap: list[tuple[float, int, J]] = []
        self._clock = clock
        self._numbers = itertools.count()

    def put(self, job: J, priority: int) -> None:
        heapq.heappush(self.heap, (self._clock() - priority * HEAD_START, next(self._numbers), job))

    def swap(self, job: J) -> J:
        """The most urgent; or ``job``, the oldest of those without priority, when its turn has come."""
        return heapq.heappushpop(self.heap, (self._clock(), next(self._numbers), job))[2]

    def pop(self) -> J:
        return heapq.heappop(self.heap)[2]
