"""MessagePack from anybody: what an array claims to hold is not believed, and no extension is read but ours."""

from __future__ import annotations

import tracemalloc

import pytest

from typeddingo.config import Limits
from typeddingo.errors import DecodeError
from typeddingo.marshallers.packed import pack, unpack

LIMITS = Limits()


@pytest.mark.parametrize("size", [150, 1_000, 4_095, 4_096, 5_000])
@pytest.mark.parametrize("array", [b"\xdc%b", b"\xdd\0\0%b", b"\xde%b", b"\xdf\0\0%b"])
def test_arrays_in_a_small_frame_do_not_claim_many_times_its_size(array: bytes, size: int) -> None:
    claim = (size // 2 if array[:1] > b"\xdd" else size) - 10
    nested = (array % claim.to_bytes(2)) * min(900, size // 6)
    data = nested.ljust(size, b"\x01")
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            unpack("task", data, LIMITS, around=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 4 * size + 512 * 1024


def test_a_small_frame_may_hold_what_looks_like_many_arrays() -> None:
    for tree in (["\u07ff" * 2_000], [b"\xdc\xdd\xde\xdf" * 500], [list(range(40))] * 40, {"a" * 20: [1] * 20}):
        assert unpack("task", pack(tree, LIMITS, around=2), LIMITS, around=2) == tree


@pytest.mark.parametrize("stamp", [b"\xd6\xff" + bytes(4), b"\xd7\xff" + bytes(8), b"\xc7\x0c\xff" + bytes(12)])
@pytest.mark.parametrize("around", [b"%b", b"\x91%b", b"\x92\x01\x81\xa1a%b"])
def test_a_timestamp_is_not_read_wherever_it_stands(around: bytes, stamp: bytes) -> None:
    with pytest.raises(DecodeError, match="timestamp"):
        unpack("task", around % stamp, LIMITS, around=2)


def test_bytes_that_look_like_a_timestamp_are_read() -> None:
    tree = [b"\xd6\xff\0\0\0\0", "a", {"b": b"\xc7\x0c\xff"}]
    assert unpack("task", pack(tree, LIMITS, around=2), LIMITS, around=2) == tree
