"""How often one object may connect to its server. Asked by ``RedisServer`` before every try.

As many connections as are wanted may be made at once: at the start, and again when the server was away. More than those
are made one after the other, and a server that has just failed us is tried by one thread at a time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from typeddingo._io.backoff import Backoff
from typeddingo._io.threads import Deadline

__all__ = ["Pace"]

BURST = 8
"""Connections that may be made at once beside those of listeners: one each for the workers of a starting process."""
SPACING = 0.25
"""Seconds between any others: a broker and a backend together make eight of those a second, whatever happens."""
CALM = 5.0
"""Seconds without a lost connection, after which the next loss is no storm: the listeners may all come back at once."""
PROBE = 1.0
"""Seconds that a try gets to show whether a server in doubt is there, before another thread tries, too."""


class Pace:
    """Thread-safe; all threads share one back-off, so that many of them wait no less than one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._put_back = threading.Condition(self._lock)
        self._backoff = Backoff()
        self._listeners = 0
        self._sharing = 0
        self._own_was_last = False
        self._free = float(BURST)
        self._counted_at = clock()
        self._lost_at = -math.inf
        self._in_doubt = False
        self._was_calm = False
        self._not_before = 0.0

    def add(self) -> None:
        """There is one more listener: it may connect at once."""
        with self._lock:
            self._listeners += 1
            self._free += 1

    def remove(self) -> None:
        """A listener is closed; whoever waits looks whether it is his."""
        with self._lock:
            self._listeners -= 1
            self.wake()

    def wake(self) -> None:
        """Whoever waits looks whether it is over."""
        with self._lock:
            self._changed.notify_all()
            self._put_back.notify_all()

    def put_back(self) -> None:
        """There is a connection that need not be made: one of those who ``share`` looks whether it is over."""
        with self._lock:
            self._put_back.notify()

    def wait(self, deadline: Deadline, over: Callable[[], bool], *, share: bool = False) -> bool:
        """Until the next try may be made, and it counts. False: there is no time left, or it is ``over``."""
        changed = self._put_back if share else self._changed
        with self._lock:
            self._sharing += share
            try:
                while (pause := self._pause(share)) > 0:
                    if deadline.passed or over():
                        return False
                    left = deadline.left
                    changed.wait(pause if left is None else min(pause, left))
                return True
            finally:
                self._sharing -= share

    def pause(self) -> float:
        """Seconds to wait before the next try; 0.0: go, and it counts."""
        with self._lock:
            now = self._clock()
            self._count(now)
            wait = max(self._not_before - now, (1 - self._free) * SPACING)
            if wait > 0:
                return wait
            self._free -= 1
            if self._in_doubt:
                self._not_before = now + PROBE
            return 0.0

    def lost(self) -> None:
        """A connection was lost: before the others try, one of them must have found the server."""
        with self._lock:
            self._doubt(self._clock())

    def failed(self) -> None:
        """A try has failed."""
        with self._lock:
            now = self._clock()
            self._doubt(now)
            self._not_before = now + self._backoff.next_pause()

    def worked(self) -> None:
        """The server has answered."""
        with self._lock:
            self._backoff.reset()
            self._not_before = 0.0
            if self._in_doubt:
                self._in_doubt = False
                if self._was_calm:
                    self._free = max(self._free, float(self._listeners))
                    self._was_calm = False
                self.wake()

    # The caller holds the lock.

    def _pause(self, share: bool) -> float:
        """Many listeners that wait leave every other turn to those who share: one connection serves all of these."""
        if self._sharing and self._own_was_last and not share:
            return SPACING
        pause = self.pause()
        if not pause:
            self._own_was_last = not share
        return pause

    def _count(self, now: float) -> None:
        """Add what has become free since it was counted last."""
        self._free = min(self._free + (now - self._counted_at) / SPACING, float(BURST + self._listeners))
        self._counted_at = now

    def _doubt(self, now: float) -> None:
        self._count(now)
        self._was_calm = self._was_calm or now - self._lost_at >= CALM
        self._lost_at = now
        self._in_doubt = True
