"""What has arrived from RabbitMQ and waits to be taken. Filled by a listener's consumer, emptied by its takers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from typeddingo._io.amqp_consumer import Arrived

__all__ = ["Shelf"]

PATIENCE = 4
"""Tries of suspects to run alone: a minute, pauses included."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds for which suspects wait after one that could not run alone: what runs beside it takes long."""


class Shelf:
    """Not thread-safe: used under the listener's lock. A suspect comes before the others, once it may."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fresh: deque[Arrived] = deque()
        self._suspects: deque[Arrived] = deque()
        self._moving = 0
        self._pause = SHORTEST_PAUSE
        self._not_before = 0.0
        self._failed = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._suspects)

    @property
    def fresh(self) -> int:
        """How many there are that need not run alone."""
        return len(self._fresh)

    def put(self, message: Arrived) -> None:
        (self._suspects if message.suspect else self._fresh).append(message)

    def put_back(self, messages: Sequence[Arrived]) -> None:
        """They were taken and not started: they come first again, in their order."""
        for message in reversed(messages):
            (self._suspects if message.suspect else self._fresh).appendleft(message)

    def take(self, count: int) -> list[Arrived]:
        return [self._fresh.popleft() for _ in range(min(count, len(self._fresh)))]

    def take_suspect(self) -> Arrived | None:
        """One that may try to run alone now."""
        return self._suspects.popleft() if self.suspect_in() == 0.0 else None

    def suspect_in(self) -> float | None:
        """Seconds until a suspect may try; None: there is none, or something else must happen first."""
        if not self._suspects or self._moving:
            return None
        return max(0.0, self._not_before - self._clock())

    def ran_alone(self) -> None:
        """A suspect has tried, and runs."""
        self._pause, self._failed = SHORTEST_PAUSE, 0

    def not_alone(self) -> bool:
        """A suspect has tried, and something else was always running. The next waits, longer each time. True: that has
        happened so often that it runs beside the others, lest it never run at all."""
        self._failed += 1
        if self._failed >= PATIENCE:
            self.ran_alone()
            return True
        self._not_before = self._clock() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return False

    def moving(self, count: int) -> bool:
        """So many more moves to another queue have begun (or ended, below zero). A suspect may end this process, which
        would leave them half done: it waits. True: nothing moves any more."""
        self._moving += count
        return self._moving == 0

    def excess(self, level: int) -> list[Arrived]:
        """Take out what is more than ``level``: the youngest, in their order."""
        youngest = [self._fresh.pop() for _ in range(len(self._fresh) - level)]
        return youngest[::-1]

    def clear(self) -> list[Arrived]:
        """Take out everything."""
        everything = [*self._suspects, *self._fresh]
        self._suspects.clear()
        self._fresh.clear()
        return everything
