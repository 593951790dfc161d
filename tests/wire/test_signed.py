"""Signed frames: only who holds a key makes one, and nobody changes one. Wrapped frames in general."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.hostile import CONTRACTS
from typeddingo import App, Config
from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import ConfigError, DecodeError, HeaderError, LimitError, PayloadTooLarge, Untrusted, WireError
from typeddingo.header import Header, compose_bytes, decompose_bytes, frame_bytes
from typeddingo.invoker import GenericInvoker, LazyInvoker, invoker_of
from typeddingo.marshaller import Marshaller
from typeddingo.marshallers.custom import CustomMarshaller
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.json_safe import JSONSafeCodec, JSONSafeMarshaller
from typeddingo.marshallers.msgpack import MsgpackMarshaller
from typeddingo.marshallers.signed import SKEW, SignedMarshaller
from typeddingo.marshallers.wrapped import FrameKind, WrappedMarshaller
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.option import Option

OLD, NEW = b"the old key of these tests", b"the new key of these tests"
INNER: list[Marshaller] = [JSONMarshaller(), JSONSafeMarshaller(), MsgpackMarshaller()]
NUMBER, TEXT = CONTRACTS["number"], CONTRACTS["text"]
NOW = 1_800_000_000.0


def signed(
    inner: Marshaller | None = None,
    keys: Mapping[str, bytes] | None = None,
    sign_with: str = "old",
    max_age: float = 300.0,
    now: float = NOW,
) -> SignedMarshaller:
    keys = keys or {"old": OLD}
    return SignedMarshaller(inner or JSONMarshaller(), keys, sign_with=sign_with, max_age=max_age, clock=lambda: now)


HERE = signed()


def task_frame(value: object = 7, id: str = "id 1", marshaller: Marshaller = HERE) -> bytes:
    return marshaller.encode_task(NUMBER, TaskMessage("number", id, (value,)))


def report_frame(value: object = 7, id: str = "id 1", marshaller: Marshaller = HERE) -> bytes:
    report = Report[object]("number", id, Status.SUCCESS, Option(), None, (value,), value)
    return marshaller.encode_report(NUMBER, report)


def read_task(frame: bytes, marshaller: Marshaller = HERE, contract: Contract = NUMBER) -> TaskMessage:
    return marshaller.decode_task(contract, Header.from_bytes(frame), frame)


def read_report(frame: bytes, marshaller: Marshaller = HERE) -> Report[object]:
    return marshaller.decode_report(NUMBER, Header.from_bytes(frame), frame)


def rebuilt(frame: bytes, *, id: str | None = None, chunks: list[bytes] | None = None) -> bytes:
    """The frame with another header, or other chunks, as anybody could write it."""
    header = Header.from_bytes(frame)
    return compose_bytes(id or header.id, header.name, chunks or decompose_bytes(header, frame))


# what is signed comes back


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: type(inner).__name__)
@given(value=st.integers(), id=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), now=st.floats(0, 2**40))
def test_what_is_signed_comes_back_as_it_was(inner: Marshaller, value: int, id: str, now: float) -> None:
    here = signed(inner, now=now)
    assert read_task(task_frame(value, id, here), here) == TaskMessage("number", id, (value,))
    assert read_report(report_frame(value, id, here), here).value == value


def test_options_keywords_headers_failures_and_addresses_are_carried() -> None:
    pair = CONTRACTS["pair"]
    task = TaskMessage("pair", "1", (1,), {"other": 2}, Option(monitor_progress=True), "an address", {"tenant": "anna"})
    frame = HERE.encode_task(pair, task)
    assert read_task(frame, contract=pair) == task
    failed = Report[object]("number", "1", Status.FAIL, Option(), Failure(1, "why", "ValueError", "where"))
    frame = HERE.encode_report(NUMBER, failed)
    assert read_report(frame) == failed


def test_the_frame_has_the_header_that_brokers_and_mappers_read() -> None:
    frame = task_frame()
    header = Header.from_bytes(frame)
    assert (header.name, header.id, len(header.registry)) == ("number", "id 1", 2)
    inside, seal = decompose_bytes(header, frame)
    assert inside == JSONMarshaller().encode_task(NUMBER, TaskMessage("number", "id 1", (7,)))
    assert len(seal) == 1 + 8 + 1 + len("old") + 32


def test_a_signed_marshaller_can_be_signed_again() -> None:
    twice = signed(signed(keys={"inside": NEW}, sign_with="inside"))
    assert read_task(task_frame(marshaller=twice), twice).args == (7,)
    with pytest.raises(Untrusted):
        read_task(task_frame(marshaller=HERE), twice)


# what is not signed is refused


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: type(inner).__name__)
def test_a_frame_without_a_signature_is_refused(inner: Marshaller) -> None:
    here = signed(inner)
    with pytest.raises(Untrusted):
        read_task(task_frame(marshaller=inner), here)
    with pytest.raises(Untrusted):
        read_report(report_frame(marshaller=inner), here)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 31, 32, 41, 42, 43, 44])
def test_a_seal_that_is_cut_short_is_refused(size: int) -> None:
    frame, seal = decompose_bytes(Header.from_bytes(task_frame()), task_frame())
    with pytest.raises(Untrusted, match="not signed"):
        read_task(rebuilt(task_frame(), chunks=[frame, seal[:size]]))


def test_the_whole_seal_counts() -> None:
    frame, seal = decompose_bytes(Header.from_bytes(task_frame()), task_frame())
    for chunks in (
        [frame],
        [frame, seal, b""],
        [frame, seal, seal],
        [seal],
        [frame, b"\x01" + seal],
        [frame, seal + b"\0"],
    ):
        with pytest.raises(Untrusted):
            read_task(rebuilt(task_frame(), chunks=chunks))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_bit_that_flips_is_noticed(data: st.DataObject) -> None:
    value = data.draw(st.integers(-(2**70), 2**70))
    for frame, read in ((task_frame(value), read_task), (report_frame(value), read_report)):
        for at in range(len(frame)):
            bad = bytearray(frame)
            bad[at] ^= 1 << data.draw(st.integers(0, 7)) if at % 8 == 0 else 0x01
            with pytest.raises(WireError):
                read(bytes(bad))


def test_bytes_behind_the_seal_and_every_beginning_are_refused() -> None:
    frame = task_frame()
    for bad in (frame + b"\0", frame + frame, *(frame[:size] for size in range(len(frame)))):
        with pytest.raises(WireError):
            read_task(bad)


def test_a_right_signature_under_another_header_is_refused() -> None:
    mine, other = task_frame(1, "mine"), task_frame(2, "other")
    with pytest.raises(Untrusted, match="another call"):
        read_task(rebuilt(mine, id="other"))
    _, seal = decompose_bytes(Header.from_bytes(mine), mine)
    frame, _ = decompose_bytes(Header.from_bytes(other), other)
    with pytest.raises(Untrusted, match="wrong"):
        read_task(rebuilt(other, chunks=[frame, seal]))


def test_a_frame_of_one_task_is_not_one_of_another() -> None:
    frame = HERE.encode_task(NUMBER, TaskMessage("number", "1", (1,)))
    header = Header.from_bytes(frame)
    moved = compose_bytes(header.id, "text", decompose_bytes(header, frame))
    with pytest.raises(Untrusted):
        read_task(moved, contract=TEXT)


def test_a_task_does_not_pass_for_a_report_nor_a_report_for_a_task() -> None:
    inner = Echoing()
    here = signed(inner)
    task, report = task_frame(marshaller=here), report_frame(marshaller=here)
    assert decompose_bytes(Header.from_bytes(task), task)[0] == decompose_bytes(Header.from_bytes(report), report)[0]
    with pytest.raises(Untrusted, match="signature of the report is wrong"):
        read_report(task, here)
    with pytest.raises(Untrusted, match="signature of the task is wrong"):
        read_task(report, here)


class Echoing(JSONMarshaller):
    """Tasks and reports look the same."""

    def encode_report(self, contract: Contract, report: Report[object], /) -> bytes:
        return self.encode_task(contract, TaskMessage(report.name, report.id, report.values))


def by_hand(kind: str, frame: bytes, version: int = 1) -> bytes:
    """The seal as the module's docstring describes it."""
    front = bytes([version]) + struct.pack(">Q", int(NOW * 1000)) + b"\x03old"
    return front + hmac.digest(OLD, b"typeddingo signed " + kind.encode() + b"\0" + front + frame, "sha256")


def test_the_seal_is_the_one_that_is_described() -> None:
    for kind, whole in (("task", task_frame()), ("report", report_frame())):
        frame, seal = decompose_bytes(Header.from_bytes(whole), whole)
        assert seal == by_hand(kind, frame)


def test_a_seal_of_another_version_is_refused_even_if_it_is_signed() -> None:
    frame, _ = decompose_bytes(Header.from_bytes(task_frame()), task_frame())
    with pytest.raises(Untrusted, match="not signed as this version signs"):
        read_task(rebuilt(task_frame(), chunks=[frame, by_hand("task", frame, version=2)]))


# keys


def test_keys_are_rotated_without_refusing_anything() -> None:
    before, between, after = (
        signed(),
        signed(keys={"old": OLD, "new": NEW}, sign_with="new"),
        signed(keys={"new": NEW}, sign_with="new"),
    )
    assert read_task(task_frame(marshaller=before), between).args == (7,)
    assert read_task(task_frame(marshaller=between), after).args == (7,)
    for sender, receiver in ((before, after), (between, before)):
        with pytest.raises(Untrusted, match="not known here"):
            read_task(task_frame(marshaller=sender), receiver)


def test_another_key_of_the_same_id_does_not_do() -> None:
    with pytest.raises(Untrusted, match="signature of the task is wrong"):
        read_task(task_frame(marshaller=signed(keys={"old": NEW})))


def test_the_id_of_a_key_may_be_any_text_and_is_signed_too() -> None:
    here = signed(keys={"schlüssel-\U0001f511": OLD, "\0": OLD}, sign_with="schlüssel-\U0001f511")
    frame = task_frame(marshaller=here)
    assert read_task(frame, here).args == (7,)
    inside, seal = decompose_bytes(Header.from_bytes(frame), frame)
    renamed = seal[:9] + b"\x01\0" + seal[-32:]  # the same key under its other id
    with pytest.raises(Untrusted):
        read_task(rebuilt(frame, chunks=[inside, renamed]), here)


@pytest.mark.parametrize("key", [b"", b"fifteen bytes..", "a text and no bytes", None, bytearray(32)])
def test_a_key_that_is_none_is_refused(key: Any) -> None:
    with pytest.raises(ConfigError, match="16 bytes or more"):
        signed(keys={"old": key})


@pytest.mark.parametrize("id", ["", "k" * 65, "\ud800", "ü" * 33])
def test_a_key_id_that_cannot_travel_is_refused(id: str) -> None:
    with pytest.raises(ConfigError, match="1 to 64 bytes"):
        signed(keys={"old": OLD, id: NEW})


def test_a_ring_without_keys_and_one_without_the_signing_key_are_refused() -> None:
    with pytest.raises(ConfigError, match="one key at least"):
        SignedMarshaller(JSONMarshaller(), {}, sign_with="old")
    with pytest.raises(ConfigError, match="sign_with"):
        signed(sign_with="new")


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_an_age_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="max_age"):
        signed(max_age=seconds)


def test_nothing_shows_a_key() -> None:
    here = signed(keys={"old": OLD, "new": NEW})
    shown = [repr(here), str(here), repr(vars(here)), repr([vars(part) for part in (here.invoker,)])]
    for key in (OLD, NEW):
        assert not any(key.decode() in text or repr(key) in text or key.hex() in text for text in shown)
    assert repr(here) == "<SignedMarshaller of JSONMarshaller, signs with 'old', accepts 'old', 'new'>"


# time


@pytest.mark.parametrize("age", [301.0, 3600.0, 1e9, -SKEW - 1, -3600.0, -1e9])
def test_what_is_too_old_or_from_the_future_is_refused(age: float) -> None:
    with pytest.raises(Untrusted, match=r"signed .* s (ago|in the future)"):
        read_task(task_frame(), signed(now=NOW + age))


@pytest.mark.parametrize("age", [0.0, 299.0, -SKEW + 1])
def test_the_clocks_of_two_machines_may_differ_a_little(age: float) -> None:
    assert read_task(task_frame(), signed(now=NOW + age)).args == (7,)


def test_the_same_frame_may_be_decoded_again_because_brokers_deliver_again() -> None:
    frame = task_frame()
    assert [read_task(frame, signed(now=NOW + age)).args for age in (0, 100, 200)] == [(7,)] * 3


def test_the_receiver_says_how_old_a_frame_may_be() -> None:
    frame = task_frame()
    assert read_task(frame, signed(now=NOW + 3600, max_age=7200)).args == (7,)


def test_the_time_is_signed() -> None:
    frame = task_frame()
    inside, seal = decompose_bytes(Header.from_bytes(frame), frame)
    later = seal[:1] + struct.pack(">Q", int((NOW + 3600) * 1000)) + seal[9:]
    with pytest.raises(Untrusted, match="wrong"):
        read_task(rebuilt(frame, chunks=[inside, later]), signed(now=NOW + 3600))


# limits, invokers, hooks


def test_the_limits_hold_for_the_frame_outside() -> None:
    inside = len(task_frame(marshaller=JSONMarshaller()))
    here = SignedMarshaller(JSONMarshaller(), {"old": OLD}, sign_with="old", limits=Limits(frame=inside + 10))
    with pytest.raises(PayloadTooLarge):
        task_frame(marshaller=here)
    with pytest.raises(Untrusted, match=f"at most {inside + 10} bytes"):
        read_task(task_frame(), here)


def test_it_calls_functions_as_the_inner_marshaller_does() -> None:
    class Correcting(CustomMarshaller, GenericInvoker):
        pass

    class Exact(CustomMarshaller, LazyInvoker):
        pass

    for kind in (Correcting, Exact):
        inner = kind(JSONSafeCodec())
        outer = signed(signed(inner))
        assert invoker_of(outer) is inner
        assert outer.call(CONTRACTS["number"].fn, (8,)) == 8
        assert outer.returns(CONTRACTS["number"].fn, (1,)) == (1,)


class Strange(WrappedMarshaller):
    def __init__(
        self, error: Exception | None = None, frame: bytes | None = None, inner: Marshaller | None = None
    ) -> None:
        super().__init__(inner or JSONMarshaller())
        self._error = error
        self._frame = frame

    def wrap(self, kind: FrameKind, frame: bytes, /) -> list[bytes]:
        return [frame[::-1]]

    def unwrap(self, kind: FrameKind, chunks: list[bytes], /) -> bytes:
        if self._error is not None:
            raise self._error
        return chunks[0][::-1] if self._frame is None else self._frame


@pytest.mark.parametrize("error", [ValueError("hook"), KeyError("hook"), LimitError("hook"), HeaderError("hook")])
def test_whatever_a_hook_raises_means_that_the_frame_is_not_trusted(error: Exception) -> None:
    with pytest.raises(Untrusted, match="task 'number'"):
        read_task(task_frame(marshaller=Strange()), Strange(error))


@pytest.mark.parametrize("frame", [b"", b"\xff" * 40, task_frame(id="other", marshaller=JSONMarshaller())])
def test_whatever_a_hook_returns_must_be_a_frame_of_the_same_call(frame: bytes) -> None:
    with pytest.raises(Untrusted):
        read_task(task_frame(marshaller=Strange()), Strange(frame=frame))


def test_a_wrapper_signs_when_what_it_wraps_does() -> None:
    assert HERE.signs
    assert signed(Strange()).signs
    assert Strange(inner=HERE).signs
    assert not Strange().signs
    assert not getattr(JSONMarshaller(), "signs", False)


def test_what_does_not_fit_the_annotation_is_refused_by_the_inner_marshaller() -> None:
    inside = frame_bytes("1", "number", b'{"A":["7"]}')
    with pytest.raises(DecodeError, match="int"):
        read_task(compose_bytes("1", "number", HERE.wrap("task", inside)))


def test_an_app_uses_it_under_an_id_of_its_own() -> None:
    app = App(config=Config(marshal_locally=True))
    app.add_marshaller(9, SignedMarshaller(MsgpackMarshaller(), {"old": OLD}, sign_with="old"))

    @app.task(marshaller=9, report_marshaller=9)
    def double(price: Decimal, *, times: int = 2) -> Decimal:
        return price * times

    with app:
        assert double.call(Decimal("1.10")).get(timeout=10) == Decimal("2.20")
        assert double.call(Decimal("1.10"), times=3).get(timeout=10) == Decimal("3.30")
