"""The short way writes and reads what the long way does, and answers None to everything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError, PayloadTooLarge, WireError
from typeddingo.header import Header
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.message import Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.wire import Wire


def task(number: int, text: str, names: list[str]) -> dict[str, int]:
    return dict.fromkeys([*names, text], number)


def count(text: str) -> int:
    return len(text)


def anything(text: str) -> JsonValue:
    return text


def shout(text: str, *, loud: bool = False) -> str:
    return text.upper() if loud else text


CONTRACT = Contract.of(task, name="a.task")
SHOUT = Contract.of(shout, name="shout")
MARSHALLER = JSONMarshaller()
PLAIN = MARSHALLER.plain_frames(CONTRACT)

arguments = st.tuples(st.integers(), st.text(), st.lists(st.text(max_size=5), max_size=3))
ids = st.text(max_size=140)


@given(ids, arguments)
def test_a_written_call_is_the_marshallers_own_frame(id: str, args: tuple[int, str, list[str]]) -> None:
    frame = PLAIN.write_call(id, args)
    if frame is not None:
        assert frame == MARSHALLER.encode_task(CONTRACT, TaskMessage("a.task", id, args))
        assert PLAIN.read_call(frame) in (args, None)
        assert MARSHALLER.decode_task(CONTRACT, Header.from_bytes(frame), frame).args == args


@given(ids, st.dictionaries(st.text(max_size=5), st.integers(), max_size=2))
def test_a_written_success_is_the_marshallers_own_frame(id: str, value: dict[str, int]) -> None:
    frame = PLAIN.write_success(id, (value,))
    if frame is not None:
        report = Report[object]("a.task", id, Status.SUCCESS, Option(), None, (value,), value)
        assert frame == MARSHALLER.encode_report(CONTRACT, report)
        assert PLAIN.read_success(frame) in ((value,), None)


def test_what_the_guards_refuse_is_left_to_the_marshaller() -> None:
    written = PLAIN.write_success("17", ({"a": 1, "b": 2},))
    assert written is not None
    assert PLAIN.read_success(written) == ({"a": 1, "b": 2},)
    assert PLAIN.read_success(written.replace(b'"b"', b'"a"')) is None, "a key twice"
    tight = JSONMarshaller(Limits(frame=len(written) - 1)).plain_frames(CONTRACT)
    assert tight.read_success(written) is None, "too large"
    nested = Contract.of(anything, name="anything")
    deep: JsonValue = []
    for _ in range(20):
        deep = [deep]
    frame = MARSHALLER.plain_frames(nested).write_success("17", (deep,))
    assert frame is not None
    assert MARSHALLER.plain_frames(nested).read_success(frame) == (deep,)
    assert JSONMarshaller(Limits(depth=10)).plain_frames(nested).read_success(frame) is None, "too deep"


def test_the_usual_call_takes_the_short_way() -> None:
    args = (1, "two", ["three"])
    frame = PLAIN.write_call("17", args)
    assert frame is not None
    assert PLAIN.read_call(frame) == args
    assert PLAIN.read_call(frame[:-1] + b"]") is None
    assert PLAIN.read_call(frame + b" ") is None


def test_a_reply_is_read_for_the_call_it_answers_and_no_other() -> None:
    plain = MARSHALLER.plain_frames(Contract.of(count, name="0"))
    frame = plain.write_success("17", (3,))
    assert frame is not None
    assert plain.read_success(frame, "17") == (3,)
    for other in ("1", "170", "18", "", "1é", "\udc80"):
        assert plain.read_success(frame, other) is None


@given(st.data())
def test_a_damaged_frame_is_read_as_the_marshaller_reads_it_or_not_at_all(data: st.DataObject) -> None:
    frame = PLAIN.write_call("17", (1, "two", ["three"]))
    assert frame is not None
    at = data.draw(st.integers(0, len(frame) - 1).filter(lambda at: at < 15 or at >= 20), "where, but not in the id")
    damaged = frame[:at] + data.draw(st.binary(max_size=3)) + frame[at + data.draw(st.integers(0, 3)) :]
    args = PLAIN.read_call(damaged)
    if args is not None:
        try:
            decoded = MARSHALLER.decode_task(CONTRACT, Header.from_bytes(damaged), damaged)
        except WireError as error:
            pytest.fail(f"the marshaller refuses what the short way read: {error}")
        assert decoded.args == args


UNUSUAL: list[tuple[str, tuple[object, ...]]] = [
    ("", (1, "a", [])),
    ("i" * 128, (1, "a", [])),
    ("17", (1, "a")),
    ("17", ()),
    ("17", (1, "\ud800", [])),
    ("\ud800", (1, "a", [])),
]


@pytest.mark.parametrize(("id", "args"), UNUSUAL)
def test_what_is_not_usual_is_left_to_the_marshaller(id: str, args: tuple[object, ...]) -> None:
    assert PLAIN.write_call(id, args) is None


@given(st.lists(st.text(min_size=5), min_size=5, max_size=60))
def test_large_values_take_the_short_way_too(names: list[str]) -> None:
    args = (1, "a" * 100, names)
    frame = MARSHALLER.encode_task(CONTRACT, TaskMessage("a.task", "17", args))
    assert PLAIN.write_call("17", args) == frame
    assert PLAIN.read_call(frame) == args
    assert MARSHALLER.decode_task(CONTRACT, Header.from_bytes(frame), frame).args == args


def test_what_no_receiver_would_take_is_left_to_the_marshaller_which_says_why() -> None:
    def deep(tree: JsonValue) -> JsonValue:
        return tree

    contract = Contract.of(deep, name="deep")
    marshaller = JSONMarshaller(Limits(frame=500))
    plain = marshaller.plain_frames(contract)
    nested: JsonValue = []
    for _ in range(64):
        nested = [nested]
    for value, error in ((nested, ArgumentError), ("a" * 500, PayloadTooLarge)):
        assert plain.write_call("17", (value,)) is None
        with pytest.raises(error):
            marshaller.encode_task(contract, TaskMessage("deep", "17", (value,)))


def test_a_task_without_arguments_or_returns_has_no_short_way() -> None:
    def nothing() -> None: ...

    plain = MARSHALLER.plain_frames(Contract.of(nothing, name="nothing"))
    assert plain.write_call("1", ()) is None
    assert plain.write_success("1", ()) is None
    assert plain.read_call(MARSHALLER.encode_task(CONTRACT, TaskMessage("a.task", "1", (1, "", [])))) is None


USUAL = TaskMessage("shout", "17", ("hey",))


@pytest.mark.parametrize(
    "message",
    [
        replace(USUAL, kwargs={"loud": True}),
        replace(USUAL, reply_to="here"),
        replace(USUAL, headers={"tenant": "anna"}),
        replace(USUAL, option=Option(monitor_progress=True)),
    ],
    ids=["a named argument", "an address", "a header", "an option"],
)
def test_what_a_short_frame_has_no_place_for_takes_the_long_way(message: TaskMessage) -> None:
    wire = Wire(SHOUT, MARSHALLER, MARSHALLER)
    frame = wire.encode_task(message)
    assert wire.decode_task(Header.from_bytes(frame), frame) == message
