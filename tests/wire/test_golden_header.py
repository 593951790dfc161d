"""Headers and chunks, byte for byte as Go dingo writes and reads them."""

from __future__ import annotations

import pytest

from tests.wire.vectors import Record, each, raw, records
from typeddingo.errors import HeaderError
from typeddingo.header import Header, compose_bytes, decompose_bytes, frame_bytes

ALL = 1 << 20  # the vectors hold headers with more chunks than the default limit

STRICTER_THAN_GO = {
    "invalid utf8 name": "an id and a name are text here; Go takes any bytes",
}


def _written(record: Record) -> bytes:
    header = Header(
        raw(record["id_b64"]).decode(),
        raw(record["name_b64"]).decode(),
        tuple(int(size) for size in record["registries"]),
    )
    return header.to_bytes()


@pytest.mark.parametrize("record", each("header"))
def test_a_header_is_written_and_read_as_go_does(record: Record) -> None:
    if record["label"] in STRICTER_THAN_GO:
        with pytest.raises(HeaderError):
            Header.from_bytes(raw(record["bytes"]))
        return
    if record["type"] != 0:  # our headers have no type to set: only reading is left
        if "bytes" in record:
            with pytest.raises(HeaderError, match="type"):
                Header.from_bytes(raw(record["bytes"]))
        return
    if (
        "panic" in record or "error" in record["decode"]
    ):  # Go writes a broken frame, or dies: a chunk length beyond 2**56
        with pytest.raises(HeaderError, match="length of a chunk"):
            _written(record)
        return
    buffer = raw(record["bytes"])
    assert _written(record) == buffer
    header = Header.from_bytes(buffer, max_chunks=ALL)
    assert header.id.encode() == raw(record["id_b64"])
    assert header.name.encode() == raw(record["name_b64"])
    assert header.registry == tuple(int(size) for size in record["registries"])
    assert header.length == int(record["length"]) == len(buffer)


def test_every_header_go_cannot_read_back_is_in_the_vectors_for_a_reason_we_know() -> None:
    unreadable = [r for r in records("header") if "panic" in r or "error" in r["decode"]]
    assert all(r["type"] != 0 or r["label"].startswith("OVERFLOW") for r in unreadable)


@pytest.mark.parametrize("record", each("header_decode"))
def test_a_malformed_header_is_an_error_where_go_errs_or_panics(record: Record) -> None:
    buffer = raw(record["bytes"])
    expected = record["decode"].get("header")
    if expected is None:
        with pytest.raises(HeaderError):
            Header.from_bytes(buffer)
        return
    header = Header.from_bytes(buffer)
    assert (header.id.encode(), header.name.encode()) == (raw(expected["id_b64"]), raw(expected["name_b64"]))
    assert [str(size) for size in header.registry] == expected["registries"]
    assert header.length == int(expected["length"])


@pytest.mark.parametrize("record", each("compose"))
def test_chunks_are_composed_and_decomposed_as_go_does(record: Record) -> None:
    listed: list[str] = record["chunks"] or []
    chunks = [raw(chunk) for chunk in listed]
    frame = compose_bytes(record["id"], record["name"], chunks)
    assert frame == raw(record["bytes"])
    assert decompose_bytes(Header.from_bytes(frame), frame) == [raw(chunk) for chunk in record["decompose"]["chunks"]]


@pytest.mark.parametrize("record", each("decompose"))
def test_a_frame_shorter_than_its_header_says_is_an_error(record: Record) -> None:
    if record.get("api_only"):
        header, frame = Header("1", "n", (100_000,)), b"short"
    else:
        frame = raw(record["bytes"])
        header = Header.from_bytes(frame)
    if "error" in record["decompose"]:
        with pytest.raises(HeaderError):
            decompose_bytes(header, frame)
    else:
        assert decompose_bytes(header, frame) == [raw(chunk) for chunk in record["decompose"]["chunks"]]


def test_a_frame_of_one_piece_is_a_header_without_registry_and_the_payload() -> None:
    assert frame_bytes("1", "n", b"{", b"}") == Header("1", "n").to_bytes() + b"{}"
