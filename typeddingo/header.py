"""The header in front of every frame, byte-equal to Go dingo's.

Comes from a marshaller (``frame_bytes``, ``compose_bytes``), goes to whoever receives a frame: ``Header.from_bytes``
tells the task's name and id before anything of the payload is read.

    type 2 | total length 8 | id length 4 | chunk count 4 | one length 8 a chunk | id | name | payload

A number is a varint at the start of its slot (7 bits a byte, low bits first, high bit = more follows), the rest of the
slot is not looked at. This module knows the layout and nothing else: how long an id or a name may be is for ``Limits``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from typeddingo.errors import HeaderError, LimitError

__all__ = ["Header", "compose_bytes", "decompose_bytes", "frame_bytes", "frame_ends"]

_FIXED = struct.Struct("<HQII")
_FIXED_SIZE = 18
_SLOT_SIZE = 8
_MAX_REGISTRY = (1 << 56) - 1  # what 8 bytes of 7 bits hold; Go writes a broken frame beyond it
_MAX_SHORT = (1 << 28) - 1  # what 4 bytes of 7 bits hold
_FEW_CHUNKS = 1024


class Header(NamedTuple):
    """Who a frame belongs to and how its payload is cut into chunks (Go: ``Header``). Immutable."""

    id: str
    name: str
    registry: tuple[int, ...] = ()
    """The length of every chunk in bytes (Go: ``Registry``); empty: the payload is one piece."""

    @property
    def length(self) -> int:
        """Bytes of this header, id and name included: where the payload begins (Go: ``Length``)."""
        text = self.id + self.name
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return _FIXED_SIZE + _SLOT_SIZE * len(self.registry) + size

    def to_bytes(self) -> bytes:
        """The header as it travels (Go: ``Flush``). Raises ``HeaderError`` for what the layout cannot hold."""
        id_bytes = _utf8(self.id, "id")
        registry = self.registry
        if len(registry) > _MAX_SHORT or len(id_bytes) > _MAX_SHORT:
            raise HeaderError(f"a header holds at most {_MAX_SHORT} chunks and an id of as many bytes; use fewer")
        prefix, name_bytes = _parts(self.name, len(id_bytes), len(registry))
        return b"".join((prefix, *map(_registry_slot, registry), id_bytes, name_bytes))

    @classmethod
    def from_bytes(cls, buffer: bytes, *, max_chunks: int = _FEW_CHUNKS) -> Header:
        """Read the header at the start of a frame (Go: ``DecodeHeader``); never reads past the length it declares.

        Raises ``HeaderError`` for everything Go refuses or panics on, and ``LimitError`` for more than ``max_chunks``
        chunks, before room is made for them.
        """
        if len(buffer) < _FIXED_SIZE:
            raise HeaderError(f"a header has at least {_FIXED_SIZE} bytes, this frame has {len(buffer)}")
        count, start, end, total = _read_fixed(buffer[:_FIXED_SIZE])
        if total > len(buffer):
            raise HeaderError(f"the header declares {total} bytes, the frame has {len(buffer)}")
        if count > max_chunks:
            raise LimitError(f"a frame has at most {max_chunks} chunks, this one declares {count}")
        try:
            return _new_header(
                cls, (buffer[start:end].decode(), buffer[end:total].decode(), _registry(buffer, count) if count else ())
            )
        except UnicodeDecodeError:
            raise HeaderError("the id and the name in a header are UTF-8; these bytes are not") from None


# Half the time of NamedTuple's own constructor, which every received frame would pay for.
_new_header: Callable[[type[Header], tuple[str, str, tuple[int, ...]]], Header] = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # typeshed leaves its item type open


@lru_cache(maxsize=1024)
def _read_fixed(fixed: bytes) -> tuple[int, int, int, int]:
    """The fixed part as chunk count, start and end of the id, total length. Frames of one task share it: cached."""
    kind, total, id_size, count = _FIXED.unpack(fixed)
    kind = _varint(kind, 2, "type")
    total = _varint(total, 8, "length")
    id_size = _varint(id_size, 4, "id length")
    count = _varint(count, 4, "chunk count")
    if kind:
        raise HeaderError(f"the header's type is 0, this is {kind}: not a frame of this protocol")
    start = _FIXED_SIZE + _SLOT_SIZE * count
    if start + id_size > total:
        raise HeaderError(
            f"the header declares {total} bytes in all, too few for {count} chunk lengths and an id of {id_size} bytes"
        )
    return count, start, start + id_size, total


def frame_bytes(id: str, name: str, *payload: bytes) -> bytes:
    """A whole frame of one chunk: header without registry, then the pieces of the payload. Raises ``HeaderError``."""
    id_bytes = id.encode() if id.isascii() else _utf8(id, "id")
    prefix, name_bytes = _parts(name, len(id_bytes), 0)
    return b"".join((prefix, id_bytes, name_bytes, *payload))


def frame_ends(name: str, id_size: int) -> tuple[bytes, bytes]:
    """The bytes before and after the id in the header of a frame of one chunk. Raises ``HeaderError``."""
    return _parts(name, id_size, 0)


def compose_bytes(id: str, name: str, chunks: Sequence[bytes]) -> bytes:
    """A whole frame of chunks: their lengths in the header, then one after the other (Go: ``ComposeBytes``).
    Raises ``HeaderError``."""
    id_bytes = _utf8(id, "id")
    prefix, name_bytes = _parts(name, len(id_bytes), len(chunks))
    return b"".join((prefix, *map(_slot, map(len, chunks)), id_bytes, name_bytes, *chunks))


def decompose_bytes(header: Header, frame: bytes) -> list[bytes]:
    """The chunks of a frame (Go: ``DecomposeBytes``); bytes after the last one are ignored, as Go does.
    Raises ``HeaderError`` when the frame is shorter than the header says."""
    start = header.length
    end = start + sum(header.registry)
    if end > len(frame):
        raise HeaderError(f"the header declares {end} bytes of header and chunks, the frame has {len(frame)}")
    chunks: list[bytes] = []
    for size in header.registry:
        chunks.append(frame[start : start + size])
        start += size
    return chunks


@lru_cache(maxsize=4096)
def _parts(name: str, id_size: int, count: int) -> tuple[bytes, bytes]:
    """What all frames of one task share: the bytes before and after registry and id."""
    name_bytes = _utf8(name, "name")
    if id_size > _MAX_SHORT or count > _MAX_SHORT:
        raise HeaderError(f"a header holds at most {_MAX_SHORT} chunks and an id of as many bytes; use fewer")
    total = _FIXED_SIZE + _SLOT_SIZE * count + id_size + len(name_bytes)
    return _FIXED.pack(0, _packed(total), _packed(id_size), _packed(count)), name_bytes


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise HeaderError(f"the {what} of a task must be encodable as UTF-8; it holds a lone surrogate") from None


def _packed(value: int) -> int:
    """A number as the little-endian integer whose bytes are its varint."""
    packed = shift = 0
    while value > 0x7F:
        packed |= (value & 0x7F | 0x80) << shift
        value >>= 7
        shift += 8
    return packed | value << shift


@lru_cache(maxsize=1024)
def _slot(value: int) -> bytes:
    return _packed(value).to_bytes(_SLOT_SIZE, "little")


def _registry_slot(value: int) -> bytes:
    if not 0 <= value <= _MAX_REGISTRY:
        raise HeaderError(f"the length of a chunk is between 0 and {_MAX_REGISTRY} (2**56 - 1)")
    return _slot(value)


def _registry(buffer: bytes, count: int) -> tuple[int, ...]:
    slots: tuple[int, ...] = struct.unpack_from(f"<{count}Q", buffer, _FIXED_SIZE)
    return slots if max(slots) < 0x80 else tuple([_varint(slot, _SLOT_SIZE, "chunk length") for slot in slots])


def _varint(slot: int, size: int, what: str) -> int:
    """The varint at the start of a slot, given as a little-endian integer of ``size`` bytes."""
    value = shift = 0
    for _ in range(size):
        value |= (slot & 0x7F) << shift
        if not slot & 0x80:
            return value
        slot >>= 8
        shift += 7
    raise HeaderError(f"the {what} in the header does not end within its {size} bytes")
