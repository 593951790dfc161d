"""Many byte strings as two: how long each is, and all of them in a row. Used by commands and replies of batches.

An argument or a part of a reply costs a client in Python microseconds, whatever is in it; cutting a row costs a tenth.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["CUT", "cut", "row"]

CUT = """
local function cut(sizes, data)
  local parts, from, sub, number = {}, 1, string.sub, struct.unpack
  for i = 1, #sizes / 4 do
    local next = from + number('<I4', sizes, 4 * i - 3)
    parts[i] = sub(data, from, next - 1)
    from = next
  end
  return parts
end
"""
"""The same in a script."""

_NUMBER = "I"
"""Four bytes each, the lowest first."""
_SWAPPED = sys.byteorder == "big"


def row(parts: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The sizes and the bytes."""
    sizes = array(_NUMBER, map(len, parts))
    if _SWAPPED:
        sizes.byteswap()
    return sizes.tobytes(), b"".join(parts)


def cut(sizes: bytes, data: bytes) -> list[bytes]:
    """The parts. Raises ``ValueError`` for what ``row`` does not write."""
    numbers = array(_NUMBER, sizes)
    if _SWAPPED:
        numbers.byteswap()
    ends = list(accumulate(numbers))
    if (ends[-1] if ends else 0) != len(data):
        raise ValueError("a row is not as long as it says")
    return [data[start:end] for start, end in zip([0, *ends], ends)]  # noqa: B905  # one more start than ends
