"""The steps of a pipeline in the frame of each of them: there and back, and nothing of them where there are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import CONTRACTS
from typeddingo.errors import DecodeError, WireError
from typeddingo.header import Header, frame_bytes
from typeddingo.journey import Journey, Step, journey_of, tree_of
from typeddingo.marshaller import JourneyReader, Marshaller, carries_journeys
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.json_safe import JSONSafeMarshaller
from typeddingo.marshallers.msgpack import MsgpackMarshaller
from typeddingo.marshallers.signed import SignedMarshaller
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.option import Option

PAIR, NUMBER = CONTRACTS["pair"], CONTRACTS["number"]
ALL: list[Marshaller] = [
    JSONMarshaller(),
    JSONSafeMarshaller(),
    MsgpackMarshaller(),
    SignedMarshaller(JSONMarshaller(), {"k": b"0123456789abcdef"}, sign_with="k"),
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
steps = st.builds(Step, texts, st.booleans())


@st.composite
def journeys(draw: st.DrawFn, name: str = "pair") -> Journey:
    before, after = draw(st.lists(steps, max_size=3)), draw(st.lists(steps, max_size=3))
    count = draw(st.integers(0, 5))
    index = draw(st.integers(0, count - 1)) if count else 0
    return Journey(draw(texts), (*before, Step(name, bool(count)), *after), len(before), index, count)


@pytest.mark.parametrize("marshaller", ALL, ids=lambda each: type(each).__name__)
@given(
    journey=journeys(),
    kwargs=st.sampled_from([{}, {"other": 3}]),
    reply_to=st.sampled_from(["", "here"]),
    headers=st.sampled_from([{}, {"tenant": "Anna"}]),
)
def test_the_steps_survive_every_marshaller(
    marshaller: Marshaller, journey: Journey, kwargs: dict[str, object], reply_to: str, headers: dict[str, str]
) -> None:
    task = TaskMessage("pair", "1", (7,), kwargs, Option(), reply_to, headers, journey)
    frame = marshaller.encode_task(PAIR, task)
    assert marshaller.decode_task(PAIR, Header.from_bytes(frame), frame) == task
    assert isinstance(marshaller, JourneyReader)
    assert carries_journeys(marshaller)
    assert marshaller.journey_in(PAIR, Header.from_bytes(frame), frame) == journey


@pytest.mark.parametrize("marshaller", ALL, ids=lambda each: type(each).__name__)
def test_the_steps_are_read_where_the_arguments_cannot_be(marshaller: Marshaller) -> None:
    journey = Journey("1", (Step("text"), Step("next")))
    frame = marshaller.encode_task(CONTRACTS["text"], TaskMessage("text", "1", ("seven",), journey=journey))
    renamed = CONTRACTS["text"]
    number = type(NUMBER)("text", NUMBER.fn, NUMBER.signature, _codecs())
    with pytest.raises(WireError):
        marshaller.decode_task(number, Header.from_bytes(frame), frame)
    assert isinstance(marshaller, JourneyReader)
    assert marshaller.journey_in(renamed, Header.from_bytes(frame), frame) == journey
    assert marshaller.journey_in(number, Header.from_bytes(frame), frame) == journey


def _codecs() -> Any:
    from typeddingo.converters.codecs import Codecs

    return Codecs(strict=True, converter=None)


@pytest.mark.parametrize("marshaller", ALL, ids=lambda each: type(each).__name__)
def test_a_report_says_which_step_failed(marshaller: Marshaller) -> None:
    failure = Failure(1, "step 2 of 3: no", "ValueError", "line 1", "second")
    report = Report[object]("number", "1", Status.FAIL, Option(), failure)
    frame = marshaller.encode_report(NUMBER, report)
    back = marshaller.decode_report(NUMBER, Header.from_bytes(frame), frame)
    assert back == report
    assert back.error is not None
    assert (back.error.task, back.error.message) == ("second", "step 2 of 3: no")


def test_what_travels_is_short_and_readable() -> None:
    journey = Journey("7", (Step("split"), Step("work", True), Step("total")), 1, 0, 2)
    assert tree_of(journey) == {"I": "7", "S": ["split", ["work"], "total"], "P": 1, "M": [0, 2]}
    assert tree_of(Journey("7", (Step("a"), Step("b")))) == {"I": "7", "S": ["a", "b"], "P": 0}


GOOD: dict[str, object] = {"I": "7", "S": ["number", ["each"]], "P": 0}


BAD: list[dict[str, object]] = [
    {"I": 7},
    {"P": -1},
    {"P": 2},
    {"P": True},
    {"P": 0.0},
    {"P": 1},  # the step of another task
    {"S": []},
    {"S": "number"},
    {"S": [1]},
    {"S": [["number", "too"]]},
    {"S": [[]]},
    {"S": [["number"]]},  # for each, of no list
    {"S": ["number"] * 1001},
    {"M": [0, 1]},  # in a list, and for none
    {"S": [["number"]], "M": [1, 1]},
    {"S": [["number"]], "M": [-1, 1]},
    {"S": [["number"]], "M": [False, True]},
    {"S": [["number"]], "M": [0]},
    {"S": [["number"]], "M": "01"},
    {"S": [["number"]], "M": [0, 10**12]},
]


@pytest.mark.parametrize("tree", [*({**GOOD, **bad} for bad in BAD), {}, None, [], "N", 3], ids=str)
def test_other_steps_are_refused(tree: object) -> None:
    with pytest.raises(DecodeError):
        journey_of(tree, "number")
    payload = json.dumps({"O": {"IR": False, "MP": False, "X": {"N": tree}}, "A": [1]}).encode()
    frame = frame_bytes("1", "number", payload)
    with pytest.raises(DecodeError):
        ALL[0].decode_task(NUMBER, Header.from_bytes(frame), frame)


def test_a_marshaller_of_somebody_elses_carries_no_steps() -> None:
    class Theirs:
        def prepare(self, contract: Any, /) -> None: ...
        def encode_task(self, contract: Any, task: TaskMessage, /) -> bytes:
            return b""

        def decode_task(self, contract: Any, header: Header, frame: bytes, /) -> TaskMessage:
            raise NotImplementedError

        def encode_report(self, contract: Any, report: Report[object], /) -> bytes:
            return b""

        def decode_report(self, contract: Any, header: Header, frame: bytes, /) -> Report[object]:
            raise NotImplementedError

    assert not carries_journeys(Theirs())
    assert not carries_journeys(SignedMarshaller(Theirs(), {"k": b"0123456789abcdef"}, sign_with="k"))
