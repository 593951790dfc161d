"""Every decoder on one frame: a value or a ``WireError``, and no more memory than a frame of its size may cost."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from tests.wire.hostile import CONTRACTS, HEADERS, JSON_VALUES, PACKED_VALUES, REPORTS, Branch, Point
from tests.wire.vectors import raw, records
from typeddingo.errors import WireError
from typeddingo.header import Header, compose_bytes, frame_bytes
from typeddingo.marshaller import Marshaller
from typeddingo.marshallers.custom import CustomMarshaller
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.json_safe import JSONSafeCodec, JSONSafeMarshaller
from typeddingo.marshallers.msgpack import MsgpackMarshaller
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.option import Option

__all__ = ["MARSHALLERS", "attack", "memory_of_attack", "mutated", "seeds"]

MARSHALLERS: list[Marshaller] = [
    JSONMarshaller(),
    JSONSafeMarshaller(),
    MsgpackMarshaller(),
    CustomMarshaller(JSONSafeCodec()),
]


def attack(frame: bytes, name: str | None = None) -> Counter[str]:
    """Decode the frame in every way there is, as ``name`` (None: the name it carries, or else every one). Counts the
    outcomes; any error that is not a ``WireError`` comes out."""
    outcomes: Counter[str] = Counter()
    try:
        header = Header.from_bytes(frame)
    except WireError as err:
        outcomes[type(err).__name__] += 1
        return outcomes
    if name is None and header.name in CONTRACTS:
        name = header.name
    for contract in CONTRACTS.values() if name is None else [CONTRACTS[name]]:
        own = header._replace(name=contract.name)
        named = own.to_bytes() + frame[header.length :]
        for marshaller in MARSHALLERS:
            for decode in (marshaller.decode_task, marshaller.decode_report):
                try:
                    decode(contract, own, named)
                    outcomes["value"] += 1
                except WireError as err:
                    outcomes[type(err).__name__] += 1
    return outcomes


def memory_of_attack(frame: bytes, name: str | None = None) -> int:
    """The most that Python's allocator held during ``attack``, in bytes."""
    tracemalloc.start()
    try:
        attack(frame, name)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def seeds() -> list[bytes]:
    """Frames to start from: good ones, Go's, and the hostile corpus wrapped as frames of every kind."""
    option = b'{"IR":false,"MP":false}'
    found = [*_good_frames()]
    found += [raw(record["bytes"]) for record in records("marshal") if len(record.get("bytes", "x" * 1000)) < 600]
    found += [frame for _, frame, _ in HEADERS]
    for bad in JSON_VALUES:
        if len(bad.value) < 1000:
            found.append(frame_bytes("1", bad.task, b'{"O":', option, b',"A":[', bad.value, b"]}"))
            found.append(compose_bytes("1", bad.task, [bad.value, option]))
    found += [frame_bytes("1", bad.task, b"\x92\x00\x91", bad.value) for bad in PACKED_VALUES if len(bad.value) < 1000]
    found += [compose_bytes("1", "number", chunks) for _, chunks, _ in REPORTS]
    return found


_GOOD: dict[str, tuple[object, ...]] = {
    "number": (1 << 70,),
    "ratio": (-1.5e300,),
    "flag": (True,),
    "text": ('a "text" with \\ and é\u2028',),
    "blob": (bytes(range(256)),),
    "moment": (datetime(2026, 11, 24, 10, 30, 0, 123456, tzinfo=UTC),),
    "price": (Decimal("12.50"),),
    "point": (Point(1, -2),),
    "branch": (Branch(1, [Branch(2, []), Branch(3, [Branch(4, [])])]),),
    "many": (list(range(40)),),
    "table": ({"a": 1, "": 2},),
    "either": ("5",),
    "anything": ({"a": [1, 2.5, None, True, {"b": "c"}]},),
    "nothing": (),
}


def _good_frames() -> Iterator[bytes]:
    """One call and one success of every task, a call with everything and a failure, from every marshaller."""
    everything = Option(ignore_report=True, monitor_progress=True)
    for marshaller in MARSHALLERS:
        for name, values in _GOOD.items():
            contract, result = CONTRACTS[name], values[0] if values else None
            yield marshaller.encode_task(contract, TaskMessage(name, "1", values))
            yield marshaller.encode_report(contract, Report(name, "1", Status.SUCCESS, Option(), None, values, result))
        pair = CONTRACTS["pair"]
        yield marshaller.encode_task(
            pair, TaskMessage("pair", "1", (1,), {"other": 2, "more": 3}, everything, "here", {"a": "b"})
        )
        failure = Failure(1, "no", "ValueError", "line 1")
        yield marshaller.encode_report(pair, Report[object]("pair", "1", Status.FAIL, everything, failure))


def mutated(frame: bytes, other: bytes, dice: random.Random) -> bytes:
    """The frame after a few accidents; ``other`` is what it may be crossed with."""
    data = bytearray(frame)
    for _ in range(dice.randint(1, 4)):
        at, to = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
        accident = dice.randrange(7)
        if accident == 0 and data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        elif accident == 1 and data:
            data[dice.randrange(len(data))] = dice.choice(b'\x00\x7f\x80\xff\xc1\xdd\xdf"\\{}[],:0-eE. ')
        elif accident == 2:
            del data[at:to]
        elif accident == 3:
            data[at:at] = data[at:to]
        elif accident == 4:
            data[at:at] = other[dice.randint(0, len(other)) :][: dice.randint(1, 32)]
        elif accident == 5:
            data[at:at] = dice.choice(
                (b"[", b"{", b'{"a":', b"\x91", b"\x81\xa1a", b"\\u", b"9", b"\xdd")
            ) * dice.choice((1, 3, 70))
        else:
            del data[to:]
    return bytes(data)
