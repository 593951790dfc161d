"""The frames of nearly every call, written and read in one step: arguments by position, no options.

Comes from ``JSONMarshaller`` for one contract, used where many calls pass (half a microsecond a frame, against 2 to 3
with all the questions that an unusual message needs). What is not exactly what this module writes is left to the
marshaller: every function answers None then, and has decided nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.header import frame_ends
from typeddingo.marshallers.guard import check_json, name_fits, too_deep
from typeddingo.row import Row

__all__ = ["SUCCESS_HEAD", "TASK_HEAD", "PlainFrames"]

TASK_HEAD = b'{"O":{"IR":false,"MP":false},"A":'
SUCCESS_HEAD = b'{"S":3,"E":null,"O":{"IR":false,"MP":false},"R":'
_FIXED = 18  # bytes of a header before the id
_LONGEST_ID = 127
_HEADER = slice(0, _FIXED)
_BRACE, _BRACE_END = b"{}"  # as numbers: five times as fast to look for

Write: TypeAlias = Callable[[str, tuple[object, ...]], bytes | None]


class Read(Protocol):
    """From a frame to the values in it. ``id``: only if it is the one in the frame; None: whoever holds the frame knows
    whose it is."""

    def __call__(self, frame: bytes, id: str | None = None, /) -> tuple[object, ...] | None: ...


class PlainFrames:
    """Immutable, shared by all threads. Its functions are compiled for the task: a call looks no attribute up."""

    __slots__ = ("read_call", "read_success", "write_call", "write_success")

    def __init__(self, contract: Contract, limits: Limits) -> None:
        name = contract.name
        sizes = range(1, min(limits.id, _LONGEST_ID) + 1) if name_fits(name, limits.name) else range(0)
        heads = {size: frame_ends(name, size)[0] for size in sizes}
        tail = name.encode() + TASK_HEAD
        self.write_call: Write = _writer(heads, tail, contract.arguments, limits)
        """The frame of a call by its id and all its arguments, checked."""
        self.read_call: Read = _reader(heads, tail, contract.arguments, name, limits)
        """All the arguments in such a frame."""
        tail = name.encode() + SUCCESS_HEAD
        self.write_success: Write = _writer(heads, tail, contract.returns, limits)
        """The frame of a report by its id and the return values, checked."""
        self.read_success: Read = _reader(heads, tail, contract.returns, name, limits)
        """The return values in such a frame."""


def _writer(heads: dict[int, bytes], tail: bytes, row: Row, limits: Limits) -> Write:
    if not (count := row.count):
        return lambda id, values: None  # Go's nil slice is null: the marshaller knows
    dump, join, shallow, longest = row.quick_dump(), b"".join, limits.depth, limits.frame

    def write(id: str, values: tuple[object, ...]) -> bytes | None:
        if len(values) != count:
            return None
        try:
            raw, data = id.encode(), dump(values)
            if len(data) > shallow and too_deep(data, limits, 1):
                return None
            frame = join((heads[len(raw)], raw, tail, data, b"}"))
            return frame if len(frame) <= longest else None
        except Exception:
            return None

    return write


def _reader(heads: dict[int, bytes], tail: bytes, row: Row, name: str, limits: Limits) -> Read:
    if not row.count:
        return lambda frame, id=None: None
    load, size = row.quick_load(), len(tail)
    parts = {
        head: (
            slice(_FIXED, _FIXED + id_size),
            slice(_FIXED + id_size, _FIXED + id_size + size),
            slice(_FIXED + id_size + size, -1),
        )
        for id_size, head in heads.items()
    }
    """Where the id, the tail and the values lie in a frame that begins so: the id is as long as its header says."""
    longest, small = limits.frame, min(limits.depth, limits.digits)
    """At most so many bytes, and no object among them: nothing for the guards to find."""
    flat = row.gate is not None  # scalars alone: the loader takes no object, so there are no keys to look at

    def read(frame: bytes, id: str | None = None, /) -> tuple[object, ...] | None:
        try:
            own, between, inside = parts[frame[_HEADER]]
            if frame[between] != tail or frame[-1] != _BRACE_END or (id is not None and frame[own] != id.encode()):
                return None
            data = frame[inside]
            if len(data) > small or not (flat or _BRACE not in data):
                if len(frame) > longest:
                    return None
                check_json(name, data, limits, around=1)
            return load(data)
        except Exception:
            return None

    return read
