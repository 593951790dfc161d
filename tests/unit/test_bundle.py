"""Several frames as one message: they come back as they were, and nothing else is read as a bundle."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typeddingo._io.bundle import pack, unpack
from typeddingo.errors import DecodeError


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_packed_comes_back(frames: list[bytes]) -> None:
    assert unpack(pack(frames)) == frames


@given(st.binary(max_size=60))
def test_only_what_pack_writes_is_read(message: bytes) -> None:
    try:
        frames = unpack(message)
    except DecodeError:
        return
    assert pack(frames) == message


@given(st.lists(st.binary(max_size=20), max_size=5), st.binary(min_size=1, max_size=5))
def test_a_bundle_that_is_cut_or_longer_is_refused(frames: list[bytes], more: bytes) -> None:
    whole = pack(frames)
    for bad in (whole + more, *(whole[:size] for size in range(len(whole)))):
        with pytest.raises(DecodeError):
            unpack(bad)


@pytest.mark.parametrize(
    "message", [b"\xff" * 4, b"\xff" * 400, b"\x40\0\0\0" + bytes(100), b"\0\0\0\2\xff\xff\xff\xff\0\0\0\0"]
)
def test_a_bundle_that_claims_too_much_is_refused_before_room_is_made_for_it(message: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            unpack(message)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()
