"""Reports as messages for their callers. Comes from ``report``, goes to a publisher; comes back as name, id and frame.

Those of one moment that go to one caller travel as one message. Name and id of each go beside the frame: what a frame
says is for whoever can read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from typeddingo._io.bundle import pack, unpack
from typeddingo.broker import Parcel
from typeddingo.errors import DecodeError

__all__ = ["KIND", "Arrival", "bundles", "packed", "unpacked"]

KIND = "tdg.reports"
"""The type of such a message."""
BUNDLE_BYTES = 1024 * 1024
"""Where a bundle ends: a larger one would only be slower to hand over."""


class Arrival(NamedTuple):
    """One report, and whose it is."""

    name: str
    id: str
    frame: bytes


def bundles(parcels: Sequence[Parcel]) -> list[list[Parcel]]:
    """As few as their size allows, in order."""
    made: list[list[Parcel]] = []
    size = 0
    for parcel in parcels:
        if not made or size + len(parcel.body) > BUNDLE_BYTES:
            made.append([])
            size = 0
        made[-1].append(parcel)
        size += len(parcel.body)
    return made


def packed(parcels: Sequence[Parcel]) -> bytes:
    """One message of all of them."""
    parts: list[bytes] = []
    for meta, body, _ in parcels:
        parts += (meta.name.encode("utf-8", "replace"), meta.id.encode("utf-8", "replace"), body)
    return pack(parts)


def unpacked(kind: str, message: bytes) -> list[Arrival]:
    """The reports in a message. Raises ``DecodeError`` for anything that ``packed`` does not write."""
    if kind != KIND:
        raise DecodeError("it is no bundle of reports")
    parts = unpack(message)
    if len(parts) % 3:
        raise DecodeError("a bundle of reports holds name, id and frame of each")
    texts = (
        [part.decode("utf-8", "replace") for part in parts[0::3]],
        [p.decode("utf-8", "replace") for p in parts[1::3]],
    )
    return [Arrival(*report) for report in zip(*texts, parts[2::3], strict=True)]
