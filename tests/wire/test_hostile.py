"""Bytes of anybody's making: each ends in the error it should, and in no other."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import msgpack
import pytest

from tests.wire.hostile import CONTRACTS, HEADERS, JSON_VALUES, PACKED_VALUES, REPORTS, BadValue, Branch, packed_reports
from tests.wire.vectors import raw, records
from typeddingo.config import Limits
from typeddingo.errors import (
    ArgumentError,
    ConfigError,
    DecodeError,
    HeaderError,
    LimitError,
    PayloadTooLarge,
    WireError,
)
from typeddingo.header import Header, compose_bytes, frame_bytes
from typeddingo.marshaller import Marshaller
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.json_safe import JSONSafeMarshaller
from typeddingo.marshallers.msgpack import MsgpackMarshaller
from typeddingo.message import TaskMessage

JSON, SAFE, PACKED = JSONMarshaller(), JSONSafeMarshaller(), MsgpackMarshaller()
OPTION = b'{"IR":false,"MP":false}'
ALL: list[Marshaller] = [JSON, SAFE, PACKED]
_MOST = 5
"""Times the frame that decoding may hold at once: one slice of it, and 8 bytes for an element of two ("1,")."""


def _decode(marshaller: Marshaller, task: str, frame: bytes) -> object:
    return marshaller.decode_task(CONTRACTS[task], Header.from_bytes(frame), frame)


def _json(task: str, payload: bytes) -> bytes:
    return frame_bytes("1", task, payload)


@pytest.mark.parametrize(("frame", "error"), [pytest.param(f, e, id=what) for what, f, e in HEADERS])
def test_a_hostile_header_is_refused_before_room_is_made_for_it(frame: bytes, error: type[WireError]) -> None:
    peak = _peak(lambda: _refused(error, lambda: Header.from_bytes(frame)))
    assert peak <= _MOST * len(frame) + 64 * 1024


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.what) for bad in JSON_VALUES])
def test_a_hostile_argument_is_refused_as_json(bad: BadValue) -> None:
    plain = _json(bad.task, b'{"O":' + OPTION + b',"A":[' + bad.value + b"]}")
    careful = _json(bad.task, b'{ "A":[' + bad.value + b'],"O":' + OPTION + b"}")
    for frame in (plain, careful):
        peak = _peak(lambda frame=frame: _refused(bad.error, lambda: _decode(JSON, bad.task, frame)))  # type: ignore[misc]  # bound now
        assert peak <= _MOST * len(frame) + 256 * 1024


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.what) for bad in JSON_VALUES])
def test_a_hostile_argument_is_refused_as_a_chunk(bad: BadValue) -> None:
    frame = compose_bytes("1", bad.task, [bad.value, OPTION])
    peak = _peak(lambda: _refused(bad.error, lambda: _decode(SAFE, bad.task, frame)))
    assert peak <= _MOST * len(frame) + 256 * 1024


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.what) for bad in PACKED_VALUES])
def test_a_hostile_argument_is_refused_as_messagepack(bad: BadValue) -> None:
    frame = frame_bytes("1", bad.task, b"\x92\x00\x91", bad.value)
    peak = _peak(lambda: _refused(bad.error, lambda: _decode(PACKED, bad.task, frame)))
    assert peak <= _MOST * len(frame) + 256 * 1024


@pytest.mark.parametrize(("chunks", "error"), [pytest.param(c, e, id=what) for what, c, e in REPORTS])
def test_a_hostile_report_is_refused(chunks: list[bytes], error: type[WireError]) -> None:
    contract = CONTRACTS["number"]
    *values, status, failure, option = chunks
    frame = compose_bytes("1", "number", chunks)
    _refused(error, lambda: SAFE.decode_report(contract, Header.from_bytes(frame), frame))
    listed = b'{"S":%b,"E":%b,"O":%b,"R":[%b]}' % (status, failure, option, b",".join(values))
    whole = frame_bytes("1", "number", listed)
    _refused(error, lambda: JSON.decode_report(contract, Header.from_bytes(whole), whole))


@pytest.mark.parametrize("payload", packed_reports())
def test_a_hostile_report_is_refused_as_messagepack(payload: bytes) -> None:
    frame = frame_bytes("1", "number", payload)
    _refused(DecodeError, lambda: PACKED.decode_report(CONTRACTS["number"], Header.from_bytes(frame), frame))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"A"',
        b"{",
        b"{}x",
        b'{"A":[1]}{"A":[1]}',
        b'{"A":[1],"A":[2]}',
        b'{"A":[1],"a":[2]}',
        b'{"A":[1],"O":{"IR":false,"MP":false},"O":{}}',
        b'{"A":1}',
        b'{"A":{"0":1}}',
        b'{"A":[]}',
        b'{"A":[1,2]}',
        b'{"A":[1],"O":[]}',
        b'{"A":[1],"O":{"X":{"K":[]}}}',
        b'{"A":[1],"O":{"X":{"K":null}}}',
        b'{"A":[1],"O":{"X":{"K":{"value":1}}}}',
        b'{"A":[1],"O":{"X":{"K":{"unknown":1}}}}',
        b'{"A":[1],"O":{"X":{"T":1}}}',
        b'{"A":[1],"O":{"X":{"T":"a","T":"b"}}}',
        b'{"A":[1],"O":{"X":{"H":null}}}',
        b'{"A":[1],"O":{"X":{"H":["a"]}}}',
        b'{"A":[1],"O":{"X":{"H":{"a":"b","a":"c"}}}}',
        b'{"A":[1],"Z":NaN}',
        b'{"A":[1],"Z":"\\ud800"}',
        b'\xff\xfe{"A":[1]}',
    ],
)
def test_a_hostile_payload_is_refused(payload: bytes) -> None:
    _refused(DecodeError, lambda: _decode(JSON, "number", _json("number", payload)))


@pytest.mark.parametrize(
    "headers",
    [
        {"a": 1},
        {"a": None},
        {"a": {"b": "c"}},
        {"": "a"},
        {"a": "x" * 8192},
        {str(number): "" for number in range(65)},
    ],
    ids=["a number", "null", "an object", "no name", "too long", "too many"],
)
def test_headers_that_nobody_may_send_are_not_taken_either(headers: dict[str, object]) -> None:
    text = b'{"IR":false,"MP":false,"X":{"H":%b}}' % json.dumps(headers).encode()
    _refused(LimitError, lambda: _decode(JSON, "number", _json("number", b'{"A":[1],"O":%b}' % text)))
    _refused(LimitError, lambda: _decode(SAFE, "number", compose_bytes("1", "number", [b"1", text])))
    packed = frame_bytes("1", "number", msgpack.packb([0, [1], {}, "", headers]))
    _refused(LimitError, lambda: _decode(PACKED, "number", packed))


@pytest.mark.parametrize(
    ("task", "named", "ok"),
    [
        ("pair", b'{"other":1}', True),
        ("pair", b'{"self":1,"cls":2}', True),
        ("pair", b'{"other":"1"}', False),
        ("pair", b'{"self":"1"}', False),
        ("pair", b'{"other":1,"other":2}', False),
        ("number", b'{"self":1}', False),
    ],
)
@pytest.mark.parametrize("marshaller", [JSON, SAFE])
def test_named_arguments_are_checked_like_the_others(marshaller: Marshaller, task: str, named: bytes, ok: bool) -> None:
    option = b'{"IR":false,"MP":false,"X":{"K":' + named + b"}}"
    frame = (
        _json(task, b'{"O":' + option + b',"A":[1]}')
        if marshaller is JSON
        else compose_bytes("1", task, [b"1", option])
    )
    if ok:
        _decode(marshaller, task, frame)
    else:
        _refused(DecodeError, lambda: _decode(marshaller, task, frame))


@pytest.mark.parametrize("args", [b"", b"1"])
def test_a_positional_parameter_is_not_given_by_name(args: bytes) -> None:
    option = b'{"IR":false,"MP":false,"X":{"K":{"value":1}}}'
    _refused(DecodeError, lambda: _decode(JSON, "first", _json("first", b'{"O":%b,"A":[%b]}' % (option, args))))
    chunks = [args, option] if args else [option]
    _refused(DecodeError, lambda: _decode(SAFE, "first", compose_bytes("1", "first", chunks)))
    packed = [0, [1] if args else [], {"value": 1}, ""]
    _refused(DecodeError, lambda: _decode(PACKED, "first", frame_bytes("1", "first", msgpack.packb(packed))))


@pytest.mark.parametrize("marshaller", ALL)
def test_a_value_may_be_as_deep_as_the_limit_and_no_deeper(marshaller: Marshaller) -> None:
    contract = CONTRACTS["branch"]
    value = Branch(1, [])
    for _ in range(31):  # each is an object and an array
        value = Branch(1, [value])
    task = TaskMessage("branch", "1", (value,))
    assert _decode(marshaller, "branch", marshaller.encode_task(contract, task)) == task
    with pytest.raises(ArgumentError, match="nested"):
        marshaller.encode_task(contract, TaskMessage("branch", "1", (Branch(1, [value]),)))


def test_unknown_keys_of_the_payload_are_ignored_as_go_does() -> None:
    frame = _json("number", b'{"O":' + OPTION + b',"A":[1],"B":[2]}')
    assert _decode(JSON, "number", frame) == TaskMessage("number", "1", (1,))


def test_brackets_inside_strings_are_no_depth() -> None:
    value = b'"' + b'\\"[{' * 1000 + b'\\\\"'
    frame = _json("text", b'{"O":' + OPTION + b',"A":[' + value + b"]}")
    _decode(JSON, "text", frame)
    listed = b"[" + b",".join([value] * 100) + b"]"
    _decode(JSON, "anything", _json("anything", b'{"O":' + OPTION + b',"A":[' + listed + b"]}"))


def test_a_frame_over_the_limit_is_refused_on_both_sides() -> None:
    tight = Limits(frame=1000, id=8, name=16, registry=4)
    for marshaller in (JSONMarshaller(tight), JSONSafeMarshaller(tight), MsgpackMarshaller(tight)):
        contract = CONTRACTS["text"]
        with pytest.raises(PayloadTooLarge, match="1000"):
            marshaller.encode_task(contract, TaskMessage("text", "1", ("a" * 1000,)))
        with pytest.raises(ConfigError, match="id"):
            marshaller.encode_task(contract, TaskMessage("text", "é" * 5, ("a",)))
        frame = JSON.encode_task(contract, TaskMessage("text", "1", ("a" * 1000,)))
        _refused(LimitError, lambda m=marshaller, f=frame: _decode(m, "text", f))  # type: ignore[misc]  # bound now
        frame = JSON.encode_task(contract, TaskMessage("text", "é" * 5, ("a",)))
        _refused(LimitError, lambda m=marshaller, f=frame: _decode(m, "text", f))  # type: ignore[misc]  # bound now
        frame = compose_bytes("1", "text", [b'"a"'] * 5)
        _refused(LimitError, lambda m=marshaller, f=frame: _decode(m, "text", f))  # type: ignore[misc]  # bound now


def test_a_shorter_number_can_be_asked_for() -> None:
    short = Limits(digits=20)
    contract = CONTRACTS["number"]
    for marshaller in (JSONMarshaller(short), JSONSafeMarshaller(short), MsgpackMarshaller(short)):
        wide: Marshaller = type(marshaller)()
        frame = wide.encode_task(contract, TaskMessage("number", "1", (10**30,)))
        _refused(LimitError, lambda m=marshaller, f=frame: _decode(m, "number", f))  # type: ignore[misc]  # bound now


def test_a_frame_for_another_task_is_refused() -> None:
    frame = JSON.encode_task(CONTRACTS["number"], TaskMessage("number", "1", (1,)))
    _refused(HeaderError, lambda: _decode(JSON, "ratio", frame))


def test_a_megabyte_of_text_beyond_the_frame_limit_costs_nothing() -> None:
    frame = _json("text", b'{"O":' + OPTION + b',"A":["' + b"a" * (50 << 20) + b'"]}')
    assert _peak(lambda: _refused(LimitError, lambda: _decode(JSON, "text", frame))) < 64 * 1024


def test_an_error_names_the_task_and_the_place_and_never_the_value() -> None:
    secret = b"hunter2"
    for task, value in (
        ("point", b'{"x":1,"y":"hunter2"}'),
        ("table", b'{"hunter2":1,"hunter2":2}'),
        ("number", b'"hunter2"'),
    ):
        frame = compose_bytes("1", task, [value, OPTION])
        with pytest.raises(DecodeError) as caught:
            _decode(SAFE, task, frame)
        assert secret.decode() not in str(caught.value)
        assert task in str(caught.value)


def _golden_frames() -> list[tuple[Marshaller, bytes]]:
    chosen = [r for r in records("marshal") if "bytes" in r and len(r["bytes"]) < 400][::9]
    return [(JSON if r["marshaller"] == 1 else SAFE, raw(r["bytes"])) for r in chosen]


def _as_anything(marshaller: Marshaller, frame: bytes) -> None:
    """Decode as a task and as a report of ``anything``, whatever name the frame has."""
    try:
        header = Header.from_bytes(frame)
    except WireError:
        return
    own = header._replace(name="anything")
    named = own.to_bytes() + frame[header.length :]
    for decode in (marshaller.decode_task, marshaller.decode_report):
        try:
            decode(CONTRACTS["anything"], own, named)
        except WireError:
            continue


def test_every_prefix_of_golden_frames_is_a_value_or_a_wire_error() -> None:
    frames = _golden_frames()
    assert len(frames) >= 50
    for marshaller, frame in frames:
        for end in range(len(frame)):
            _as_anything(marshaller, frame[:end])


def test_every_flipped_bit_of_golden_frames_is_a_value_or_a_wire_error() -> None:
    for marshaller, frame in _golden_frames()[::6]:
        for bit in range(8 * len(frame)):
            flipped = bytearray(frame)
            flipped[bit // 8] ^= 1 << bit % 8
            _as_anything(marshaller, bytes(flipped))


def test_two_frames_glued_together_are_not_one() -> None:
    frame = JSON.encode_task(CONTRACTS["number"], TaskMessage("number", "1", (1,)))
    _refused(DecodeError, lambda: _decode(JSON, "number", frame + frame))
    packed = PACKED.encode_task(CONTRACTS["number"], TaskMessage("number", "1", (1,)))
    _refused(DecodeError, lambda: _decode(PACKED, "number", packed + packed))


def _refused(error: type[WireError], decode: Callable[[], object]) -> None:
    with pytest.raises(WireError) as caught:
        decode()
    assert type(caught.value) is error, caught.value


def _peak(work: Callable[[], object]) -> int:
    """The most that Python's allocator held during the work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
