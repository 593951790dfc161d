"""Frames that somebody made up: what they hold, and the error each must end in."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgpack
from pydantic import JsonValue

from typeddingo.contract import Contract
from typeddingo.errors import DecodeError, HeaderError, LimitError, WireError

__all__ = ["CONTRACTS", "HEADERS", "JSON_VALUES", "PACKED_VALUES", "REPORTS", "BadValue", "nested", "packed_reports"]


@dataclass
class Point:
    x: int
    y: int


@dataclass
class Branch:
    leaf: int
    twigs: list[Branch]


def number(value: int) -> int:
    return value


def ratio(value: float) -> float:
    return value


def flag(value: bool) -> bool:
    return value


def text(value: str) -> str:
    return value


def blob(value: bytes) -> bytes:
    return value


def moment(value: datetime) -> datetime:
    return value


def price(value: Decimal) -> Decimal:
    return value


def point(value: Point) -> Point:
    return value


def branch(value: Branch) -> Branch:
    return value


def many(value: list[int]) -> list[int]:
    return value


def table(value: dict[str, int]) -> dict[str, int]:
    return value


def either(value: int | str) -> int | str:
    return value


def anything(value: JsonValue) -> JsonValue:
    return value


def pair(value: int, /, *, other: int = 0, **more: int) -> tuple[int, int]:
    return value, other


def first(value: int, /) -> int:
    return value


def nothing() -> None:
    return None


_FUNCTIONS = (
    number,
    ratio,
    flag,
    text,
    blob,
    moment,
    price,
    point,
    branch,
    many,
    table,
    either,
    anything,
    pair,
    first,
    nothing,
)
CONTRACTS: dict[str, Contract] = {fn.__name__: Contract.of(fn, name=fn.__name__) for fn in _FUNCTIONS}


class BadValue(NamedTuple):
    """One argument as it stands on the wire."""

    task: str
    value: bytes
    error: type[WireError]
    what: str


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """Arrays in arrays, a number in the innermost."""
    return opening * depth + b"1" + closing * depth


def _header(total: int, id_size: int = 0, count: int = 0, kind: int = 0) -> bytes:
    """The fixed part with these varints in it, which need not fit together."""
    return struct.pack("<HQII", _varint(kind), _varint(total), _varint(id_size), _varint(count))


def _varint(number: int) -> int:
    packed = shift = 0
    while number > 0x7F:
        packed |= (number & 0x7F | 0x80) << shift
        number >>= 7
        shift += 8
    return packed | number << shift


HEADERS: list[tuple[str, bytes, type[WireError]]] = [
    *((f"{size} bytes", bytes(size), HeaderError) for size in range(18)),
    ("18 zero bytes", bytes(18), HeaderError),
    ("18 bytes of 0xff", b"\xff" * 18, HeaderError),
    ("total beyond the frame", _header(1000), HeaderError),
    ("total of 17", _header(17), HeaderError),
    ("id longer than the total", _header(18, id_size=100), HeaderError),
    ("id past the end", _header(40, id_size=100) + bytes(22), HeaderError),
    ("2**27 chunks in 2**50 bytes", _header(1 << 50, count=1 << 27), HeaderError),
    ("a million chunks in 18 bytes", _header(18, count=1_000_000), HeaderError),
    ("more chunks than the limit, all there", _header(18 + 8 * 1025, count=1025) + bytes(8 * 1025), LimitError),
    ("length without an end", b"\x00\x00" + b"\x80" * 8 + bytes(8), HeaderError),
    ("chunk length without an end", _header(26, count=1) + b"\xff" * 8, HeaderError),
    ("type 1", _header(18, kind=1), HeaderError),
    ("type 0x3fff", _header(18, kind=0x3FFF), HeaderError),
    ("id that is not UTF-8", _header(20, id_size=2) + b"\xff\xfe", HeaderError),
    ("name that is not UTF-8", _header(20) + b"\xff\xfe", HeaderError),
    ("a surrogate as UTF-8", _header(21) + b"\xed\xa0\x80", HeaderError),
]

_ODD = "a value of another type"
JSON_VALUES: list[BadValue] = [
    *(
        BadValue("anything", nested(depth, *marks), LimitError, f"{marks[0].decode()} {depth} deep")
        for depth in (65, 66, 1_000, 100_000)
        for marks in ((b"[", b"]"), (b'{"a":', b"}"))
    ),
    BadValue("branch", nested(100_000, b'{"leaf":1,"twigs":[', b"]}"), LimitError, "a recursive type, too deep"),
    BadValue("anything", b"[" * 100_000, LimitError, "arrays that never end"),
    BadValue("anything", b'"' + b"[" * 100_000, DecodeError, "a string that never ends, full of brackets"),
    BadValue("number", b"1" * 4301, DecodeError, "more digits than Python reads"),
    BadValue("anything", b"[" + b"9" * 5_000 + b"]", DecodeError, "more digits than Python reads, inside"),
    BadValue("ratio", b"1e400", DecodeError, "a number no float holds"),
    BadValue("anything", b"1e400", DecodeError, "a number no float holds, as anything"),
    BadValue("anything", b'{"a":[1,-1.5E+0999]}', DecodeError, "a number no float holds, inside"),
    *(
        BadValue("ratio", word, DecodeError, word.decode())
        for word in (b"NaN", b"Infinity", b"-Infinity", b"nan", b"-NaN")
    ),
    BadValue("anything", b"[NaN]", DecodeError, "NaN as anything"),
    BadValue("number", b"-", DecodeError, "a sign"),
    BadValue("number", b"01", DecodeError, "a leading zero"),
    BadValue("table", b'{"a":1,"a":2}', DecodeError, "a key twice"),
    BadValue("table", b'{"a":1,"\\u0061":2}', DecodeError, "a key twice, spelled differently"),
    BadValue("point", b'{"x":1,"y":2,"x":3}', DecodeError, "a field twice"),
    BadValue("anything", b'[{"b":{"a":1,"c":2,"a":3}}]', DecodeError, "a key twice, inside"),
    BadValue("text", b'\xef\xbb\xbf"a"', DecodeError, "a byte order mark"),
    BadValue("text", '"a"'.encode("utf-16"), DecodeError, "UTF-16"),
    BadValue("text", b'"\xff"', DecodeError, "not UTF-8"),
    BadValue("text", b'"\xed\xa0\x80"', DecodeError, "a surrogate as UTF-8"),
    BadValue("text", b'"\\ud800"', DecodeError, "a lone surrogate"),
    BadValue("text", b'"\\udc00\\ud800"', DecodeError, "surrogates the wrong way round"),
    BadValue("anything", b'{"\\ud800":1}', DecodeError, "a lone surrogate as key"),
    BadValue("text", b'"\x01"', DecodeError, "a raw control character"),
    BadValue("text", b'"\\x41"', DecodeError, "an escape JSON does not have"),
    BadValue("text", b"'a'", DecodeError, "single quotes"),
    BadValue("many", b"[1,]", DecodeError, "a trailing comma"),
    BadValue("many", b"[1 2]", DecodeError, "a missing comma"),
    BadValue("number", b"1,2", DecodeError, "two values for one"),
    BadValue("number", b"", DecodeError, "no value"),
    BadValue("number", b"/*c*/1", DecodeError, "a comment"),
    BadValue("number", b"[" + b"1," * 1_000_000 + b"1]", DecodeError, "a million elements"),
    *(
        BadValue(task, value, DecodeError, f"{_ODD}: {value.decode()} for {task}")
        for task, values in {
            "number": (b"1.0", b"1e2", b"true", b'"1"', b"null", b"[1]", b"{}"),
            "ratio": (b"true", b'"1.5"', b"null"),
            "flag": (b"0", b"1", b'"false"', b"null"),
            "text": (b"null", b"1", b'["a"]', b'{"a":1}'),
            "blob": (b'"-_8="', b'"a"', b'"ab=c"', b"null", b"1"),
            "moment": (
                b'"0000-01-01T00:00:00Z"',
                b'"2000-01-01T00:00:00+25:00"',
                b'"2000-13-01T00:00:00Z"',
                b"true",
                b"1e30",
            ),
            "price": (b'"1e"', b'"0x10"', b"null", b"true"),
            "point": (b'{"x":1}', b'{"x":1,"y":2,"z":3}', b"[1,2]", b'{"x":1,"y":true}', b'{"X":1,"Y":2}'),
            "many": (b'{"0":1}', b'[1,"2"]', b"[1,null]", b'"12"'),
            "table": (b"[]", b'{"a":"1"}', b'{"a":null}', b'[["a",1]]'),
            "either": (b"null", b"1.5", b"[]"),
        }.items()
        for value in values
    ),
    *(
        BadValue("point", b'{"x":1,"y":2,"%b":"os.system"}' % key, DecodeError, f"the magic key {key.decode()}")
        for key in (b"__class__", b"__proto__", b"$type", b"py/object", b"__reduce__")
    ),
]


def _map(pairs: list[tuple[object, object]]) -> bytes:
    """A map as it would never be packed: keys of any kind, twice."""
    return bytes([0x80 | len(pairs)]) + b"".join(_packed(key) + _packed(value) for key, value in pairs)


def _packed(value: Any) -> bytes:
    return msgpack.packb(value)


_OTHER_TYPES: dict[str, tuple[Any, ...]] = {
    "number": (1.0, True, "1", None, [1], b"1"),
    "ratio": (True, "1.5", None),
    "flag": (0, 1, "false", None),
    "text": (None, 1, ["a"], b"a"),
    "blob": (None, 1),
    "point": ({"x": 1}, {"x": 1, "y": 2, "z": 3}, [1, 2], {"x": 1, "y": 2, "__class__": "os.system"}),
    "many": ({"0": 1}, [1, "2"], "12"),
    "table": ([], {"a": "1"}, [["a", 1]]),
}
PACKED_VALUES: list[BadValue] = [
    *(
        BadValue("anything", nested(depth + 1, b"\x91", b""), LimitError, f"arrays {depth + 1} deep")
        for depth in (64, 100, 400)
    ),
    BadValue("anything", nested(65, b"\x81\xa1a", b""), LimitError, "maps too deep"),
    BadValue("anything", b"\x91" * 100_000 + b"\x90", DecodeError, "arrays deeper than the parser goes"),
    BadValue("many", b"\xdd\xff\xff\xff\xff", DecodeError, "an array that claims 4 billion elements"),
    BadValue("table", b"\xdf\xff\xff\xff\xff", DecodeError, "a map that claims 4 billion members"),
    BadValue("many", b"\xdd\x00\x0f\x1b\x30" * 60 + bytes(999_000), DecodeError, "arrays that each claim all there is"),
    BadValue("text", b"\xdb\xff\xff\xff\xff", DecodeError, "a text that claims 4 GB"),
    BadValue("blob", b"\xc6\xff\xff\xff\xff", DecodeError, "bytes that claim 4 GB"),
    BadValue("number", b"\xc9\xff\xff\xff\xff\x01", DecodeError, "an extension that claims 4 GB"),
    BadValue("table", _map([("a", 1), ("a", 2)]), DecodeError, "a key twice"),
    BadValue("point", _map([("x", 1), ("y", 2), ("x", 3)]), DecodeError, "a field twice"),
    BadValue("anything", _map([(1, 1)]), DecodeError, "a number as key"),
    BadValue("anything", _map([(b"a", 1)]), DecodeError, "bytes as key"),
    BadValue("anything", b"\x81\x90\x01", DecodeError, "an array as key"),
    BadValue("price", _map([(b"a", 1)]), DecodeError, "bytes as key, for a type that takes no map"),
    BadValue("anything", b"\xd6\xff\x00\x00\x00\x00", DecodeError, "a timestamp"),
    BadValue("moment", b"\xd6\xff\x00\x00\x00\x00", DecodeError, "a timestamp for a datetime"),
    BadValue("anything", b"\xc7\x0c\xff" + b"\xff" * 12, DecodeError, "a timestamp out of range"),
    BadValue("number", b"\xd4\x02\x00", DecodeError, "an extension that is not ours"),
    BadValue("number", b"\xc7\x00\x01", DecodeError, "a whole number of no bytes"),
    BadValue("number", b"\xc8\x10\x00\x01" + b"\x7f" * 4096, LimitError, "more digits than allowed"),
    BadValue("text", b"\xa1\xff", DecodeError, "not UTF-8"),
    BadValue("text", b"\xa3\xed\xa0\x80", DecodeError, "a surrogate as UTF-8"),
    BadValue("number", b"\xc1", DecodeError, "the byte that is never used"),
    BadValue("number", b"\x01\x02", DecodeError, "two values for one"),
    BadValue("number", b"", DecodeError, "no value"),
    *(
        BadValue(task, _packed(value), DecodeError, f"{_ODD}: {value!r} for {task}")
        for task, values in _OTHER_TYPES.items()
        for value in values
    ),
]

_O = b'{"IR":false,"MP":false}'
REPORTS: list[tuple[str, list[bytes], type[WireError]]] = [
    *(
        (f"status {status.decode()}", [b"1", status, b"null", _O], DecodeError)
        for status in (b"0", b"5", b"-1", b'"3"', b"3.0", b"null", b"true", b"[3]")
    ),
    ("success with an error", [b"1", b"3", b'{"C":1,"M":"m"}', _O], DecodeError),
    ("success without a value", [b"3", b"null", _O], DecodeError),
    ("success with two values", [b"1", b"2", b"3", b"null", _O], DecodeError),
    ("success with a value of another type", [b'"1"', b"3", b"null", _O], DecodeError),
    ("fail with a value", [b"1", b"4", b'{"C":1,"M":"m"}', _O], DecodeError),
    ("sent with a value", [b"1", b"1", b"null", _O], DecodeError),
    ("progress with an error", [b"2", b'{"C":1,"M":"m"}', _O], DecodeError),
    *(
        (f"the error {error.decode()}", [b"4", error, _O], DecodeError)
        for error in (
            b'{"C":"os","M":"system"}',
            b'{"C":1099511627776,"M":""}',
            b'{"C":-2147483649}',
            b'{"C":1.0}',
            b'{"M":1}',
            b"[]",
            b"1",
            b'{"C":1,"C":2}',
            b'{"C":1,"c":2}',
            b'{"C":null}',
        )
    ),
    *(
        (f"the option {option.decode()}", [b"4", b'{"C":1,"M":"m"}', option], DecodeError)
        for option in (
            b'{"IR":1}',
            b'{"IR":"false"}',
            b"[]",
            b"1",
            b'{"IR":true,"IR":false}',
            b'{"X":1}',
            b'{"X":{"E":1}}',
            b'{"X":{"B":[]}}',
            b'{"X":{},"x":{}}',
            b'{"IR":false',
        )
    ),
]


def packed_reports() -> list[bytes]:
    """Reports of ``number`` as MessagePack that do not have the shape of one."""
    failure = [1, "m", "", ""]
    trees: list[Any] = [
        *([], [3], [3, 0], [3, 0, [1], failure], [0, 0, []], [5, 0, []], [True, 0, []], [3.0, 0, [1]], ["3", 0, [1]]),
        *([3, 4, [1]], [3, -1, [1]], [3, True, [1]], [3, None, [1]], [3, 0, []], [3, 0, [1, 2]], [3, 0, ["1"]]),
        *([3, 0, None], [3, 0, {"0": 1}], [4, 0, [1], failure], [1, 0, [1]], [2, 0, [], failure], [4, 0, [], []]),
        *([4, 0, [], [1, "m", ""]], [4, 0, [], ["os", "system", "", ""]], [4, 0, [], [1 << 40, "m", "", ""]]),
        *([4, 0, [], [1, b"m", "", ""]], [4, 0, [], [1, "m", None, ""]], [4, 0, [], failure, 5]),
        *({"S": 3}, "report", 3, None),
    ]
    return [_packed(tree) for tree in trees]
