"""Ids for tasks. Comes from the task's id maker, goes into the header; with the name it is a task's identity."""

from __future__ import annotations

import enum
import itertools
import os
import sys
from typing import Protocol, runtime_checkable

__all__ = ["IDMaker", "IDMakerID", "SeqIDMaker", "UUIDMaker"]

_BATCH = 256


class IDMakerID(enum.IntEnum):
    """The built-in id makers (Go: ``ID``, same values)."""

    DEFAULT = 0
    """SEQ in local mode, UUID else."""
    UUID = 1
    SEQ = 2


@runtime_checkable
class IDMaker(Protocol):
    """Makes the id of every call (Go: ``IDMaker``). Called from any thread."""

    def new_id(self, name: str, /) -> str:
        """An id that no other call of the task ``name`` has, in this or any other process that shares its broker;
        at most ``Limits.id`` bytes (Go: ``NewID``)."""
        ...


class UUIDMaker:
    """Random UUIDs, version 4 of RFC 4122, 36 characters (Go: ``uuidMaker``). Thread-safe and fork-safe."""

    def new_id(self, name: str = "", /) -> str:
        """A fresh UUID; ``name`` plays no part in it."""
        try:
            return _pool.pop()
        except IndexError:
            return _refilled()


class SeqIDMaker:
    """ "1", "2", "3", …: readable, unique within one maker only (Go: ``SeqIDMaker``). Thread-safe."""

    def __init__(self) -> None:
        self._next = itertools.count(1).__next__  # one C call: no other thread comes in between

    def new_id(self, name: str = "", /) -> str:
        """The next number; all names share one sequence, as in the seed's local mode."""
        return str(self._next())


# One system call for 256 ids: a tenth of the time of uuid4(). list.pop is atomic, so the pool needs no lock.
_pool: list[str] = []

if sys.platform != "win32":
    os.register_at_fork(after_in_child=_pool.clear)  # else parent and child would hand out the same ids


_VERSION_4 = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT_1 = bytes(0x80 | byte & 0x3F for byte in range(256))
_DIGIT_PLACES = [place for place in range(36) if place not in (8, 13, 18, 23)]  # the other four are dashes


def _refilled() -> str:
    """Fill the pool and take one. All ids are formatted at once, digit place by digit place."""
    raw = bytearray(os.urandom(16 * _BATCH))
    raw[6::16] = raw[6::16].translate(_VERSION_4)
    raw[8::16] = raw[8::16].translate(_VARIANT_1)
    digits = raw.hex().encode()
    text = bytearray(b"-" * 36 * _BATCH)
    for digit, place in enumerate(_DIGIT_PLACES):
        text[place::36] = digits[digit::32]
    ids = text.decode()
    _pool.extend([ids[at : at + 36] for at in range(36, len(ids), 36)])
    return ids[:36]
