"""MessagePack of unknown origin to trees, and trees to MessagePack. Comes from its marshaller and goes back to it.

Whole numbers beyond 64 bits are carried by extension type 1: two's complement, big end first. No other one is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import cast

import msgpack

from typeddingo.config import Limits
from typeddingo.errors import DecodeError, LimitError
from typeddingo.row import Unfit

__all__ = ["pack", "unpack"]

_BIG_INT = 1
_TINY, _SMALL = 256, 4096
_ROOM = 1 << 15  # so many elements may be claimed unseen
_WIDE = re.compile(rb"[\xdc-\xdf]")
_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
_PLAIN = re.compile(  # everything whose size is in its first byte, fixed-size containers included
    rb"(?:[\x00-\x9f\xa0\xc0\xc2\xc3\xe0-\xff]|[\xcc\xd0].|[\xcd\xd1].{2}|[\xca\xce\xd2].{4}|[\xcb\xcf\xd3].{8}"
    rb"|\xd4.{2}|\xd5.{3}|\xd6.{5}|\xd7.{9}|\xd8.{17}|"
    + b"|".join(rb"%c.{%d}" % (0xA0 + size, size) for size in range(1, 32))
    + rb")*+",
    re.DOTALL,
)
_NO_CONTAINER = bytes(byte for byte in range(256) if not (0x80 <= byte <= 0x9F or 0xDC <= byte <= 0xDF))
_LENGTH_SIZE = {0xC4: 1, 0xD9: 1, 0xC7: 1, 0xC5: 2, 0xDA: 2, 0xC8: 2, 0xC6: 4, 0xDB: 4, 0xC9: 4}
_EXTENSIONS = (0xC7, 0xC8, 0xC9)
_CLAIMS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Arrays and maps with a length of their own: its size, and how many elements one of it stands for."""


def pack(tree: object, limits: Limits, *, around: int) -> bytes:
    """``around``: lists and maps that stand around the values, which alone count. Raises ``Unfit`` for a whole number
    of more than ``limits.digits`` digits and for what is nested deeper than ``limits.depth``."""

    def big(value: object) -> msgpack.ExtType:
        if not isinstance(value, int):
            raise Unfit("expected values that MessagePack has")
        size = value.bit_length() // 8 + 1
        if size > _bytes_of(limits.digits):
            raise Unfit(f"expected whole numbers of at most {limits.digits} digits")
        return msgpack.ExtType(_BIG_INT, value.to_bytes(size, "big", signed=True))

    try:
        data = msgpack.packb(tree, default=big)
    except ValueError:  # its own limit of nesting
        data = b""
    limit = limits.depth + around
    many = len(data) > limit and len(data.translate(None, _NO_CONTAINER)) > limit
    if not data or (many and _deeper(tree, limit)):
        raise Unfit(f"expected lists and objects nested at most {limits.depth} deep")
    return data


def unpack(name: str, data: bytes, limits: Limits, *, around: int) -> object:
    """A tree; ``around`` as for ``pack``. Raises ``LimitError`` (too deep, a number too long), ``DecodeError``."""
    if len(data) > _TINY and _may_claim_much(data):
        _check_claims(name, data)
    containers = 0

    def listed(items: list[object]) -> list[object]:
        nonlocal containers
        containers += 1
        return items

    def mapped(pairs: list[tuple[object, object]]) -> dict[object, object]:
        nonlocal containers
        containers += 1
        members = dict(pairs)
        if len(members) != len(pairs):
            raise DecodeError(f"task {name!r}: a map's key is given twice; each may be given once")
        if not all(type(key) is str for key in members):
            raise DecodeError(f"task {name!r}: the keys of a map must be strings")
        return members

    def extension(code: int, payload: bytes) -> int:
        if code != _BIG_INT or not payload:
            raise DecodeError(f"task {name!r}: a MessagePack extension that is not one of ours")
        if len(payload) > _bytes_of(limits.digits):
            raise LimitError(f"task {name!r}: a number has at most {limits.digits} digits")
        return int.from_bytes(payload, "big", signed=True)

    limit = limits.depth + around
    small = len(data) <= limit
    try:
        list_hook = None if small else listed
        tree = msgpack.unpackb(data, object_pairs_hook=mapped, ext_hook=extension, list_hook=list_hook)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as err:
        raise DecodeError(f"task {name!r}: malformed MessagePack ({type(err).__name__})") from None
    if containers > limit and _deeper(tree, limit):
        raise LimitError(f"task {name!r}: arrays and maps are nested deeper than {limits.depth}")
    if 0xFF in data and any(map(data.__contains__, _TIMESTAMPS)) and _holds_timestamp(tree):
        raise DecodeError(f"task {name!r}: a MessagePack timestamp, which is not one of our extensions")
    return tree


def _may_claim_much(data: bytes) -> bool:
    """A few arrays in a small frame cannot: each claims as many elements as there are bytes at most."""
    if len(data) > _SMALL:
        return _WIDE.search(data) is not None
    wide = len(data) - len(data.translate(None, b"\xdc\xdd\xde\xdf"))
    return wide * len(data) > _ROOM


def _check_claims(name: str, data: bytes) -> None:
    """An element is at least one byte. The parser makes room for all that an array claims before it sees one of them,
    so arrays within arrays could claim many times the frame."""
    at = claimed = 0
    while at < len(data):
        match = _PLAIN.match(data, at)
        at = match.end() if match else at
        kind = data[at] if at < len(data) else 0xC1
        if kind in _CLAIMS:
            size, each = _CLAIMS[kind]
            claimed += each * int.from_bytes(data[at + 1 : at + 1 + size], "big")
            at += 1 + size
        elif kind in _LENGTH_SIZE:
            size = _LENGTH_SIZE[kind]
            at += 1 + size + int.from_bytes(data[at + 1 : at + 1 + size], "big") + (kind in _EXTENSIONS)
        else:
            return  # the end, or not MessagePack: the parser says what
        if claimed > len(data):
            raise DecodeError(f"task {name!r}: malformed MessagePack: arrays claim more elements than there are bytes")


def _holds_timestamp(tree: object) -> bool:
    """The parser makes them itself, without asking for an extension. Without recursion."""
    unseen = [tree]
    while unseen:
        item = unseen.pop()
        if isinstance(item, msgpack.Timestamp):
            return True
        unseen.extend(_items(item))
    return False


def _deeper(tree: object, limit: int) -> bool:
    """Whether it is nested deeper. Level by level, without recursion."""
    level: list[object] = [tree]
    for _ in range(limit):
        level = [item for item in chain.from_iterable(map(_items, level)) if type(item) in (list, dict, tuple)]
        if not level:
            return False
    return True


def _items(container: object) -> Iterable[object]:
    if isinstance(container, dict):
        return cast("dict[str, object]", container).values()
    return cast("list[object]", container) if isinstance(container, (list, tuple)) else ()


def _bytes_of(digits: int) -> int:
    return int(digits * 3.3219281 / 8) + 1  # log2(10) bits a digit
