"""The marshallers as a whole: messages survive them, and what was written is what the format says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import CONTRACTS
from typeddingo.config import Limits
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError, ConfigError, DecodeError, ErrorCode
from typeddingo.header import Header, compose_bytes, frame_bytes
from typeddingo.invoker import GenericInvoker
from typeddingo.marshaller import Codec, Marshaller
from typeddingo.marshallers.custom import CustomMarshaller
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.json_safe import JSONSafeMarshaller
from typeddingo.marshallers.msgpack import MsgpackMarshaller
from typeddingo.marshallers.packed import unpack
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.readable import TEXT_LIMIT, tidy


class PlainCodec:
    """A user's codec: the text of a value, and no idea of types when it reads one."""

    def prepare(self, contract: Contract, /) -> None: ...

    def encode_arguments(self, contract: Contract, args: tuple[object, ...], /) -> list[bytes]:
        return [str(arg).encode() for arg in args]

    def decode_arguments(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]:
        return tuple(chunk.decode() for chunk in chunks)

    def encode_returns(self, contract: Contract, values: tuple[object, ...], /) -> list[bytes]:
        return self.encode_arguments(contract, values)

    def decode_returns(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]:
        return self.decode_arguments(contract, chunks)


class TextMarshaller(CustomMarshaller, GenericInvoker):
    def __init__(self) -> None:
        super().__init__(PlainCodec())


JSON, SAFE, PACKED = JSONMarshaller(), JSONSafeMarshaller(), MsgpackMarshaller()
ALL: list[Marshaller] = [JSON, SAFE, PACKED]
PAIR = CONTRACTS["pair"]

texts = st.text(st.characters(exclude_categories=["Cs"]))
options = st.builds(Option, st.booleans(), st.booleans())
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
tasks = st.builds(
    TaskMessage,
    st.just("pair"),
    ids,
    st.tuples(st.integers()),
    st.dictionaries(texts.filter(lambda key: key != "value"), st.integers(), max_size=4),
    options,
    texts,
    st.dictionaries(texts.filter(bool), texts, max_size=4),
)
said = texts.map(tidy)  # what is not, is made so on arrival
failures = st.builds(Failure, st.integers(-(1 << 31), (1 << 31) - 1) | st.sampled_from(ErrorCode), said, said, said)
pairs = st.tuples(st.integers(), st.integers())
reports: st.SearchStrategy[Report[object]] = st.one_of(
    pairs.flatmap(
        lambda v: st.builds(
            Report[object], st.just("pair"), ids, st.just(Status.SUCCESS), options, st.none(), st.just(v), st.just(v)
        )
    ),
    st.builds(Report[object], st.just("pair"), ids, st.just(Status.FAIL), options, failures | st.none()),
    st.builds(Report[object], st.just("pair"), ids, st.sampled_from([Status.SENT, Status.PROGRESS]), options),
)


def _through(marshaller: Marshaller, contract: Contract, task: TaskMessage) -> TaskMessage:
    frame = marshaller.encode_task(contract, task)
    return marshaller.decode_task(contract, Header.from_bytes(frame), frame)


@pytest.mark.parametrize("marshaller", ALL)
@given(task=tasks)
def test_a_task_comes_back_as_it_was_sent(marshaller: Marshaller, task: TaskMessage) -> None:
    assert _through(marshaller, PAIR, task) == task


@pytest.mark.parametrize("marshaller", ALL)
@given(report=reports)
def test_a_report_comes_back_as_it_was_sent(marshaller: Marshaller, report: Report[object]) -> None:
    frame = marshaller.encode_report(PAIR, report)
    back = marshaller.decode_report(PAIR, Header.from_bytes(frame), frame)
    assert back == report
    assert type(back.status) is Status


@given(task=tasks, indent=st.sampled_from([None, 0, 3]), flip=st.booleans())
def test_json_is_read_in_any_order_and_with_any_white_space(task: TaskMessage, indent: int | None, flip: bool) -> None:
    frame = JSON.encode_task(PAIR, task)
    header = Header.from_bytes(frame)
    payload: dict[str, Any] = json.loads(frame[header.length :])
    if flip:
        payload = {"unknown": [{}, "]}"], **dict(reversed(payload.items()))}
        payload["O"] = dict(reversed(payload["O"].items()))
    respelled = frame_bytes(task.id, "pair", json.dumps(payload, indent=indent).encode())
    assert JSON.decode_task(PAIR, header, respelled) == task


def test_a_plain_call_is_written_as_go_writes_it() -> None:
    frame = JSON.encode_task(PAIR, TaskMessage("pair", "1", (7,)))
    assert frame.endswith(b'{"O":{"IR":false,"MP":false},"A":[7]}')
    assert SAFE.encode_task(PAIR, TaskMessage("pair", "1", (7,))).endswith(b'1pair7{"IR":false,"MP":false}')


def test_what_go_has_no_room_for_travels_in_one_key_of_the_option() -> None:
    task = TaskMessage("pair", "1", (7,), {"other": 1}, Option(), "here")
    extra = b'{"IR":false,"MP":false,"X":{"K":{"other":1},"T":"here"}}'
    assert JSON.encode_task(PAIR, task).endswith(b'{"O":' + extra + b',"A":[7]}')
    assert SAFE.encode_task(PAIR, task).endswith(b"7" + extra)
    headed = TaskMessage("pair", "1", (7,), headers={"tenant": "ä\n"})
    extra = '{"IR":false,"MP":false,"X":{"H":{"tenant":"ä\\n"}}}'.encode()
    assert JSON.encode_task(PAIR, headed).endswith(b'{"O":' + extra + b',"A":[7]}')
    assert SAFE.encode_task(PAIR, headed).endswith(b"7" + extra)
    failed = Report[object]("pair", "1", Status.FAIL, Option(), Failure(1, "no", "ValueError", "line 1"))
    assert JSON.encode_report(PAIR, failed).endswith(
        b'{"S":4,"E":{"C":1,"M":"no"},"O":{"IR":false,"MP":false,"X":{"E":"ValueError","B":"line 1"}},"R":null}'
    )


def test_a_call_without_arguments_is_null_as_gos_nil_slice_is() -> None:
    nothing = CONTRACTS["nothing"]
    frame = JSON.encode_task(nothing, TaskMessage("nothing", "1"))
    assert frame.endswith(b'"A":null}')
    assert _through(JSON, nothing, TaskMessage("nothing", "1")) == TaskMessage("nothing", "1")
    done = Report[object]("nothing", "1", Status.SUCCESS)
    for marshaller in ALL:
        frame = marshaller.encode_report(nothing, done)
        assert marshaller.decode_report(nothing, Header.from_bytes(frame), frame) == done
    assert JSON.encode_report(nothing, done).endswith(b'"R":[]}')


def test_messagepack_is_small_and_carries_whole_numbers_of_any_size() -> None:
    small = PACKED.encode_task(PAIR, TaskMessage("pair", "1", (7,)))
    assert small.endswith(b"1pair\x92\x00\x91\x07")
    headed = PACKED.encode_task(PAIR, TaskMessage("pair", "1", (7,), headers={"a": "b"}))
    assert headed.endswith(b"1pair\x95\x00\x91\x07\x80\xa0\x81\xa1a\xa1b")
    for number in (2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**4000, -(10**4000)):
        task = TaskMessage("pair", "1", (number,))
        assert _through(PACKED, PAIR, task) == task


@pytest.mark.parametrize("marshaller", ALL)
def test_a_number_longer_than_the_receiver_takes_is_not_sent(marshaller: Marshaller) -> None:
    contract = CONTRACTS["number"]
    with pytest.raises(ArgumentError):
        marshaller.encode_task(contract, TaskMessage("number", "1", contract.bind((10**5000,), {})[0]))


@pytest.mark.parametrize("marshaller", ALL)
def test_a_failure_with_text_no_encoding_has_is_reported_all_the_same(marshaller: Marshaller) -> None:
    report = Report[object]("pair", "1", Status.FAIL, Option(), Failure(1, "bad \udc80 name", "E\ud800", "\x00\u2028"))
    frame = marshaller.encode_report(PAIR, report)
    failure = marshaller.decode_report(PAIR, Header.from_bytes(frame), frame).failure
    assert failure == Failure(1, "bad ? name", "E?", "\\x00\\u2028")


@pytest.mark.parametrize("marshaller", ALL)
def test_a_failure_from_anybody_is_safe_to_log_and_of_bounded_length(marshaller: Marshaller) -> None:
    injected = "red\x1b[31m\r\x07 %s {} \u202e"
    report = Report[object](
        "pair", "1", Status.FAIL, Option(), Failure(1, injected, injected, "\x1b" * 100_000 + "end")
    )
    frame = marshaller.encode_report(PAIR, report)
    failure = marshaller.decode_report(PAIR, Header.from_bytes(frame), frame).failure
    assert failure is not None
    assert failure.message == failure.exception_type == "red\\x1b[31m\\r\\x07 %s {} \\u202e"
    assert len(failure.traceback) <= TEXT_LIMIT
    assert failure.traceback.endswith("end")
    assert failure.traceback.isprintable()


@pytest.mark.parametrize("marshaller", ALL)
@pytest.mark.parametrize("name", ["a\nb", "a\x00", "n" * 129, "é" * 65])
def test_a_name_that_no_receiver_takes_is_refused_by_the_sender(marshaller: Marshaller, name: str) -> None:
    def fn(value: int) -> int:
        return value

    with pytest.raises(ConfigError, match="name"):
        marshaller.encode_task(Contract.of(fn, name=name), TaskMessage(name, "1", (1,)))


def test_a_return_value_that_cannot_travel_is_a_typed_failure() -> None:
    contract = CONTRACTS["branch"]
    value: Any = contract.arguments.load_json(b"[" + _branches(40) + b"]")[0]
    for marshaller in ALL:
        with pytest.raises(ReturnMisfit, match="nested"):
            marshaller.encode_report(
                contract, Report[object]("branch", "1", Status.SUCCESS, Option(), None, (value,), value)
            )


def _branches(depth: int) -> bytes:
    return b'{"leaf":1,"twigs":[' * depth + b"]}" * depth


@pytest.mark.parametrize("data", [b"\x81\xc4\x01a\x01", b"\x81\x01\x01", b"\x82\xa1a\x01\xa1a\x02"])
def test_a_map_of_messagepack_has_each_key_once_and_only_strings(data: bytes) -> None:
    with pytest.raises(DecodeError):
        unpack("any", data, Limits(), around=0)


def test_a_codec_of_somebodys_own_gets_its_types_from_an_invoker() -> None:
    marshaller = TextMarshaller()
    contract = CONTRACTS["number"]
    task = _through(marshaller, contract, TaskMessage("number", "1", (42,)))
    assert task.args == ("42",)
    assert marshaller.call(contract.fn, task.args) == 42
    frame = marshaller.encode_report(contract, Report[object]("number", "1", Status.SUCCESS, Option(), None, (42,), 42))
    report = marshaller.decode_report(contract, Header.from_bytes(frame), frame)
    assert marshaller.returns(contract.fn, report.values) == (42,)


def test_whatever_a_codec_raises_on_foreign_bytes_is_a_decode_error() -> None:
    marshaller: Marshaller = TextMarshaller()
    frame = compose_bytes("1", "number", [b"\xff", b'{"IR":false,"MP":false}'])
    with pytest.raises(DecodeError, match="codec") as caught:
        marshaller.decode_task(CONTRACTS["number"], Header.from_bytes(frame), frame)
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)
    report = compose_bytes("1", "number", [b"\xff", b"3", b"null", b'{"IR":false,"MP":false}'])
    with pytest.raises(DecodeError, match="codec"):
        marshaller.decode_report(CONTRACTS["number"], Header.from_bytes(report), report)


def test_prepare_reaches_the_codec() -> None:
    seen: list[str] = []

    class Watching(PlainCodec):
        def prepare(self, contract: Contract, /) -> None:
            seen.append(contract.name)

    codec: Codec = Watching()
    CustomMarshaller(codec).prepare(PAIR)
    for marshaller in ALL:
        marshaller.prepare(PAIR)
    assert seen == ["pair"]
