"""Flags from the wire. Comes from ``leaves``.

Python keeps every combination of a flag's members that was ever made, in the class, for ever: two that are equal are
the same object. Whoever sends many of them would fill the memory, so those that only the wire has made are let go when
there are many, except for those that somebody holds.
"""

from __future__ import annotations

import enum
import time
import weakref
from typing import Any

__all__ = ["Combinations"]

MOST = 1 << 16
"""As many combinations from the wire may be in a class: all there are of sixteen members."""

PAUSE = 1.0
"""Seconds from one search for those that nobody holds to the next, if there were none."""


class Combinations:
    """The combinations of one flag's members, by their int."""

    def __init__(self, cls: type[enum.Flag]) -> None:
        self._cls: Any = cls
        self._known: dict[Any, Any] = cls._value2member_map_
        self._made: list[int] = []
        self._searched = -PAUSE

    def load(self, value: Any) -> object:
        """The combination with this int, as it was dumped. Raises ``ValueError``."""
        if type(value) is not int:
            raise ValueError
        known = self._known.get(value)
        return known if known is not None and known.value == value else self._new(value)

    def _new(self, value: int) -> object:
        if value < 0 or (value & ~self._bits and self._cls._boundary_ is not enum.KEEP):
            raise ValueError
        if len(self._made) >= MOST:
            self._let_go()
        member: object = self._cls(value)
        self._made.append(value)
        return member

    @property
    def _bits(self) -> int:
        bits = 0
        for member in self._cls.__members__.values():
            bits |= member.value
        return bits

    def _let_go(self) -> None:
        now = time.monotonic()
        if now - self._searched < PAUSE:
            raise ValueError
        made, self._made = self._made, []
        self._made += [value for value in made if self._is_held(value)]
        if len(self._made) >= MOST:
            self._searched = now
            raise ValueError

    def _is_held(self, value: int) -> bool:
        """Takes the combination out of the class, and puts it back if somebody has it who might compare it."""
        if issubclass(self._cls, int):
            self._known.pop(value, None)  # another object will be equal
        if value not in self._known:
            return False
        held = weakref.ref(self._known.pop(value))()
        if held is not None:
            self._known.setdefault(value, held)
        return held is not None
