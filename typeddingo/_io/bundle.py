"""Several frames as one message: the reports of a moment that go to one caller. Used by the stores and reporters.

count 4 | length 4 of each | frames          big-endian
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from typeddingo.errors import DecodeError

__all__ = ["pack", "unpack"]


def pack(frames: Sequence[bytes]) -> bytes:
    """One message of all of them."""
    count = len(frames)
    return b"".join((struct.pack(f">I{count}I", count, *map(len, frames)), *frames))


def unpack(message: bytes) -> list[bytes]:
    """The frames of a message. Raises ``DecodeError`` for anything that ``pack`` does not write."""
    if len(message) < 4 or (start := 4 + 4 * int.from_bytes(message[:4])) > len(message):
        raise DecodeError("a bundle of reports is shorter than it says")
    lengths = struct.unpack_from(f">{(start - 4) // 4}I", message, 4)
    if start + sum(lengths) != len(message):
        raise DecodeError("a bundle of reports is not as long as it says")
    frames: list[bytes] = []
    for length in lengths:
        frames.append(message[start : start + length])
        start += length
    return frames
