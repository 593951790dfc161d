"""Who may start now and when the others should ask again: the arithmetic of limits, for one key.

Comes from a limiter that holds its state in this process or in a message; whoever asks has it for himself meanwhile.

Who may not start has a place in a line, and is told when to ask again: about when it is his turn. Who is back then goes
ahead of all who came after him; who is not is passed over, and has lost his place ``GRACE`` later.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import TypedDict

from typeddingo.limits import Bounds

__all__ = ["FRONT", "GRACE", "GUESS", "LATE", "LONG", "PATIENCE", "SOON", "State", "Turnstile", "window_of"]

GRACE = 1.5
"""Seconds for which a place is kept for somebody who should be back."""
SOON = 0.02
"""Seconds: nobody asks again earlier."""
LONG = 60.0
"""Seconds: nobody waits longer without asking, because limits may change."""
GUESS = 0.1
"""Seconds that a task runs, while none has ended."""
PATIENCE = 2.0
"""Seconds: nobody waits longer for a running task to end, because that is a guess."""
FRONT = 100
"""Places that are looked at for somebody who goes first."""
MARGIN = 0.05
"""A start is counted when it is allowed, and happens a little later: windows are longer by this part of them, or by so
many seconds where that is less."""
LATE = 0.02
"""Seconds: a worker that hears later than that that it may start is counted again, by when it heard."""


class State(TypedDict):
    """A turnstile, to be kept somewhere."""

    starts: Sequence[float]
    running: dict[str, tuple[float, float]]
    waiting: Sequence[tuple[str, float]]
    hold: float


class Turnstile:
    """Not thread-safe. ``now`` is in seconds, by one clock."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._running: dict[str, tuple[float, float]] = {}
        """When each was let go, and until when it counts."""
        self._line: list[tuple[int, str]] = []
        """Tickets in order, and whose they are."""
        self._places: dict[str, tuple[int, float]] = {}
        """The ticket of each, and when he should be back."""
        self._due: list[tuple[float, str]] = []
        """A heap of the latter, and of what it was before."""
        self._tickets = 0
        self._hold = GUESS
        """Seconds that a task runs, about."""

    @classmethod
    def restored(cls, state: State) -> Turnstile:
        turnstile = cls()
        turnstile._starts = list(state["starts"])
        turnstile._running = {id: (since, until) for id, (since, until) in state["running"].items()}
        for id, due in state["waiting"]:
            turnstile._stand(id, due)
        turnstile._hold = state["hold"]
        return turnstile

    def state(self) -> State:
        """``restored`` makes the same one of it."""
        waiting = [(id, self._places[id][1]) for _, id in self._line]
        return {"starts": self._starts, "running": self._running, "waiting": waiting, "hold": self._hold}

    def ask(self, id: str, bounds: Bounds, now: float, lease: float = math.inf) -> float:
        """0.0: it starts, and counts as running for ``lease`` seconds. Else when it should ask again."""
        self._clean(bounds, now)
        if id in self._running:  # it was allowed, and whoever asked has not heard of it or has died
            self._running[id] = (self._running[id][0], now + lease)
            return 0.0
        place = self._place(id)
        if self._first(place, now) < self._room(bounds):
            self._leave(id)
            if bounds.rate is not None:
                self._starts.append(now)
            if bounds.most is not None:
                self._running[id] = (now, now + lease)
            return 0.0
        wait = self._wait(bounds, place, now)
        self._stand(id, now + wait)
        return wait

    def move(self, counted: float, heard: float) -> None:
        """Who was let go at ``counted`` starts at ``heard``."""
        if counted in self._starts:
            self._starts.remove(counted)
            insort(self._starts, heard)

    def renew(self, id: str, until: float) -> None:
        """It still runs."""
        if id in self._running:
            self._running[id] = (self._running[id][0], until)

    def release(self, id: str, now: float) -> None:
        """It runs no more."""
        if (times := self._running.pop(id, None)) is not None:
            self._hold += 0.3 * (max(0.0, now - times[0]) - self._hold)

    def is_idle(self, seconds: float, now: float) -> bool:
        """There is nothing to remember of what happened less than ``seconds`` ago."""
        fresh = bool(self._starts) and self._starts[-1] > now - seconds
        return not (fresh or self._line or self._running)

    def _clean(self, bounds: Bounds, now: float) -> None:
        if bounds.rate is not None and self._starts:
            self._starts = self._starts[bisect_right(self._starts, now - window_of(bounds.rate.seconds)) :]
        if self._running:
            self._running = {id: times for id, times in self._running.items() if times[1] > now}
        while self._due and self._due[0][0] < now - GRACE:
            due, id = heapq.heappop(self._due)
            if id in self._places and self._places[id][1] == due:
                self._leave(id)

    def _stand(self, id: str, due: float) -> None:
        """In the line, at its end who is not in it yet."""
        if id in self._places:
            ticket = self._places[id][0]
        else:
            self._tickets += 1
            ticket = self._tickets
            self._line.append((ticket, id))
        self._places[id] = (ticket, due)
        heapq.heappush(self._due, (due, id))

    def _leave(self, id: str) -> None:
        if (place := self._places.pop(id, None)) is not None:
            del self._line[bisect_left(self._line, (place[0], id))]

    def _place(self, id: str) -> int:
        """How many came before."""
        place = self._places.get(id)
        return len(self._line) if place is None else bisect_left(self._line, (place[0], id))

    def _first(self, place: int, now: float) -> int:
        """How many of those who came before should be here by now."""
        return sum(self._places[id][1] <= now for _, id in self._line[: min(place, FRONT)])

    def _room(self, bounds: Bounds) -> float:
        starts = math.inf if bounds.rate is None else bounds.rate.times - len(self._starts)
        return starts if bounds.most is None else min(starts, bounds.most - len(self._running))

    def _wait(self, bounds: Bounds, place: int, now: float) -> float:
        """Until it is the turn of whoever has this place in the line, 0 being the first."""
        wait = SOON
        if (rate := bounds.rate) is not None:
            free = rate.times - len(self._starts)
            if place >= free:
                rounds, at = divmod(place - free, rate.times)
                start = self._starts[at] if 0 <= at < len(self._starts) else now
                wait = max(wait, min(start - now + window_of(rate.seconds) * (rounds + 1), LONG))
        if bounds.most is not None:
            before = place - (bounds.most - len(self._running)) + 1
            if before > 0:
                wait = max(wait, min(self._hold * before / bounds.most, PATIENCE))
        return wait


def window_of(seconds: float) -> float:
    """The window of a rate, with its margin."""
    return seconds + min(MARGIN, MARGIN * seconds)
