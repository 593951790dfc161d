"""What has arrived from RabbitMQ and waits to be taken. Filled by a listener's consumer, emptied by its takers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from typeddingo._io.amqp_arrived import Arrived
from typeddingo.urgent import Urgent

__all__ = ["Shelf"]

PATIENCE = 4
"""Tries of suspects to run alone: a minute, pauses included."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds for which suspects wait after one that could not run alone: what runs beside it takes long."""


class Shelf:
    """Not thread-safe: used under the listener's lock. A suspect comes before the others, once it may.

    Of the others the urgent come first: ahead of what has arrived shortly before them, so that none waits for ever."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fresh: deque[Arrived] = deque()
        self._suspects: deque[Arrived] = deque()
        self._urgent: Urgent[Arrived] = Urgent(clock)  # and what they have overtaken
        self._returned: deque[Arrived] = deque()  # of those that were in there
        self._moving = 0
        self._pause = SHORTEST_PAUSE
        self._not_before = 0.0
        self._failed = 0

    def __len__(self) -> int:
        return self.fresh + len(self._suspects)

    @property
    def fresh(self) -> int:
        """How many there are that need not run alone."""
        return len(self._fresh) + len(self._urgent.heap) + len(self._returned)

    def put(self, message: Arrived) -> None:
        if message.priority:
            self._urgent.put(message, message.priority)
        else:
            (self._suspects if message.suspect else self._fresh).append(message)

    def put_back(self, messages: Sequence[Arrived]) -> None:
        """They were taken and not started: they come first again, in their order."""
        for message in reversed(messages):
            if message.suspect:
                self._suspects.appendleft(message)
            else:
                (self._returned if message.priority else self._fresh).appendleft(message)

    def take(self, count: int) -> list[Arrived]:
        if self._urgent.heap or self._returned:
            return [self._next() for _ in range(min(count, self.fresh))]
        return [self._fresh.popleft() for _ in range(min(count, len(self._fresh)))]

    def _next(self) -> Arrived:
        if self._returned:
            return self._returned.popleft()
        if not self._urgent.heap:
            return self._fresh.popleft()
        return self._urgent.swap(self._fresh.popleft()) if self._fresh else self._urgent.pop()

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
        """Take out what is more than ``level``: the youngest, in their order; the urgent last."""
        surplus = self.fresh - level
        youngest = [self._fresh.pop() for _ in range(min(surplus, len(self._fresh)))][::-1]
        if (more := min(surplus - len(youngest), len(heap := self._urgent.heap))) > 0:
            heap.sort()  # which it is still a heap after
            youngest = [message for _, _, message in heap[-more:]] + youngest
            del heap[-more:]
        return youngest

    def clear(self) -> list[Arrived]:
        """Take out everything."""
        urgent = [message for _, _, message in sorted(self._urgent.heap)]
        everything = [*self._suspects, *self._returned, *urgent, *self._fresh]
        self._urgent.heap.clear()
        self._returned.clear()
        self._suspects.clear()
        self._fresh.clear()
        return everything
