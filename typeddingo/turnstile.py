"""Who may start now and when the others should ask again: the arithmetic of limits, for one key.

Comes from a limiter that holds its state in this process or in a message; whoever asks has it for himself meanwhile.

Who may not start gets a time, by his place in the line, and is expected back then: whoever is due goes ahead of those
who come anew. Who does not come back within ``GRACE`` has lost his place and keeps nobody waiting.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import TypedDict

from typeddingo.limits import Bounds

__all__ = ["GRACE", "GUESS", "LONG", "PATIENCE", "SOON", "State", "Turnstile", "window_of"]

GRACE = 1.5
"""Seconds for which a place is kept for somebody who is due."""
SOON = 0.02
"""Seconds: nobody asks again earlier."""
LONG = 60.0
"""Seconds: nobody waits longer without asking, because limits may change."""
BEHIND = 1e-4
"""Seconds between two who would ask again at the same time: they keep their order."""
GUESS = 0.1
"""Seconds that a task runs, while none has ended."""
PATIENCE = 2.0
"""Seconds: nobody waits longer for a running task to end, because that is a guess."""
MARGIN = 0.05
"""A start is counted when it is allowed, and happens a little later: windows are longer by this part of them, or by so
many seconds where that is less."""


class State(TypedDict):
    """A turnstile, to be kept somewhere."""

    starts: Sequence[float]
    running: dict[str, tuple[float, float]]
    waiting: Sequence[tuple[float, str]]
    hold: float


class Turnstile:
    """Not thread-safe. ``now`` is in seconds, by one clock."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._running: dict[str, tuple[float, float]] = {}
        """When each was let go, and until when it counts."""
        self._waiting: list[tuple[float, str]] = []
        """When each is due, in this order."""
        self._due: dict[str, float] = {}
        self._hold = GUESS
        """Seconds that a task runs, about."""

    @classmethod
    def restored(cls, state: State) -> Turnstile:
        turnstile = cls()
        turnstile._starts = list(state["starts"])
        turnstile._running = {id: (since, until) for id, (since, until) in state["running"].items()}
        turnstile._waiting = [(due, id) for due, id in state["waiting"]]
        turnstile._due = {id: due for due, id in turnstile._waiting}
        turnstile._hold = state["hold"]
        return turnstile

    def state(self) -> State:
        """``restored`` makes the same one of it."""
        return {"starts": self._starts, "running": self._running, "waiting": self._waiting, "hold": self._hold}

    def ask(self, id: str, bounds: Bounds, now: float, lease: float = math.inf) -> float:
        """0.0: it starts, and counts as running for ``lease`` seconds. Else when it should ask again."""
        self._clean(bounds, now)
        if id in self._running:  # it was allowed, and whoever asked has not heard of it or has died
            self._running[id] = (self._running[id][0], now + lease)
            return 0.0
        mine = self._due.get(id, math.inf)
        is_due = mine <= now + BEHIND / 4  # what was rounded on the way is no earliness
        ahead = bisect_left(self._waiting, (mine, id)) if is_due else bisect_right(self._waiting, (now, "\U0010ffff"))
        self._leave(id)
        if ahead < self._room(bounds):
            if bounds.rate is not None:
                self._starts.append(now)
            if bounds.most is not None:
                self._running[id] = (now, now + lease)
            return 0.0
        due = now + self._wait(bounds, ahead if is_due else len(self._waiting), now)
        while (at := bisect_right(self._waiting, (due + BEHIND / 2, ""))) and self._waiting[at - 1][
            0
        ] > due - BEHIND / 2:
            due = self._waiting[at - 1][0] + BEHIND  # somebody who asked earlier has this time
        self._due[id] = due
        insort(self._waiting, (due, id))
        return due - now

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
        return not (fresh or self._waiting or self._running)

    def _clean(self, bounds: Bounds, now: float) -> None:
        if bounds.rate is not None and self._starts:
            self._starts = self._starts[bisect_right(self._starts, now - window_of(bounds.rate.seconds)) :]
        if self._running:
            self._running = {id: times for id, times in self._running.items() if times[1] > now}
        late = bisect_left(self._waiting, (now - GRACE, ""))
        for _, id in self._waiting[:late]:
            del self._due[id]
        del self._waiting[:late]

    def _leave(self, id: str) -> None:
        if (due := self._due.pop(id, None)) is not None:
            del self._waiting[bisect_left(self._waiting, (due, id))]

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
