"""What many workers of this process bring together. Comes from ``Joins.join`` of the local brokers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from typeddingo.broker import Part
from typeddingo.message import Meta

__all__ = ["LocalJoins"]

SECONDS = 7 * 24 * 3600.0
"""For so long after its last part a whole is kept that is not complete."""


class _Whole:
    __slots__ = ("bodies", "touched")

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.touched = 0.0


class LocalJoins:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wholes: dict[Meta, _Whole] = {}
        """The longest untouched first."""

    def __len__(self) -> int:
        """How many wholes are not passed on yet."""
        return len(self._wholes)

    def add(self, part: Part) -> Sequence[bytes] | None:
        """See ``Joins.join``."""
        now = self._clock()
        with self._lock:
            whole = self._wholes.pop(part.meta, None) or _Whole()
            whole.touched = now
            whole.bodies.setdefault(part.index, part.body)
            self._wholes[part.meta] = whole
            while (oldest := next(iter(self._wholes))) != part.meta:
                if now - self._wholes[oldest].touched <= SECONDS:
                    break
                del self._wholes[oldest]
            if len(whole.bodies) < part.count:
                return None
            return [whole.bodies[index] for index in range(part.count)]

    def forget(self, meta: Meta) -> None:
        """See ``Joins.forget_joins``."""
        with self._lock:
            self._wholes.pop(meta, None)
