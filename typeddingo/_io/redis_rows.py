"""Many byte strings as two: how long each is, and all of them in a row. Used by commands and replies of batches.

An argument or a part of a reply costs a client in Python microseconds, whatever is in it; cutting a row costs a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

__all__ = ["CUT", "cut", "row"]

CUT = """
local function cut(sizes, data)
  local parts, from = {}, 1
  for size in string.gmatch(sizes, '%d+') do
    parts[#parts + 1] = string.sub(data, from, from + size - 1)
    from = from + size
  end
  return parts
end
"""
"""The same in a script."""


def row(parts: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The sizes and the bytes."""
    return " ".join(map(str, map(len, parts))).encode(), b"".join(parts)


def cut(sizes: bytes, data: bytes) -> list[bytes]:
    """The parts. Raises ``ValueError`` for what ``row`` does not write."""
    ends = list(accumulate(map(int, sizes.split())))
    if ends and not sizes.replace(b" ", b"").isdigit():
        raise ValueError("the sizes of a row are numbers")
    if (ends[-1] if ends else 0) != len(data):
        raise ValueError("a row is not as long as it says")
    return [data[start:end] for start, end in zip([0, *ends], ends)]  # noqa: B905  # one more start than ends
