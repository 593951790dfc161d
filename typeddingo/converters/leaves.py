"""How each scalar type looks on the wire, in one table. Used by ``check``, ``dump`` and ``load``; knows no library.

A leaf's ``load`` takes what its ``dump`` made (text, an int, a small list) and nothing else: it is the strict end of
the wire. Both ends agree on these forms in every format; only ``bytes`` stay bytes where the format has them.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typeddingo.converters.flags import Combinations
from typeddingo.converters.untyped import is_list

__all__ = ["DIGITS", "FLOAT_WORDS", "Leaf", "dump_bytes", "enum_leaf", "leaf_of_class", "path_leaf"]

DIGITS = sys.int_info.default_max_str_digits
"""Python's own bound (4300) on the digits of an int in text."""

FLOAT_WORDS = ("NaN", "Infinity", "-Infinity")
"""The floats JSON has no number for."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar type. ``kind`` is its JSON type: it tells leaves apart inside a union."""

    expected: str
    """In words, for errors: "a decimal number"."""
    types: tuple[type, ...]
    """The exact types of its values."""
    kind: str
    dump: Callable[[Any], object]
    load: Callable[[Any], object]
    """Raises ``ValueError`` or ``TypeError`` for anything but a dumped value."""
    tried: bool = False
    """Not every value of the type is loaded again: it is tried out before it is sent."""


def _text(pattern: str, make: Callable[[str], object], longest: int = 5_000) -> Callable[[Any], object]:
    full = re.compile(pattern, re.ASCII).fullmatch

    def load(text: Any) -> object:
        if type(text) is not str or len(text) > longest or full(text) is None:
            raise ValueError
        return make(text)

    return load


def _decimal_text(text: str) -> decimal.Decimal:
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError from None


_WITHOUT_OFFSET = (len("2020-01-01T00:00:00"), len("2020-01-01T00:00:00.000001"))


def _dump_datetime(value: dt.datetime) -> str:
    """RFC 3339 as Go prints it: no trailing zeros in the fraction, ``Z`` for UTC. The offset travels, not its name."""
    text = value.isoformat()
    if value.tzinfo is not None and len(text) in _WITHOUT_OFFSET:
        raise ValueError("its zone has no offset")
    if value.microsecond:
        text = _trim_fraction(text, 26)
    if text.endswith("+00:00"):
        text = text[:-6] + "Z"
    return text


def _dump_time(value: dt.time) -> str:
    text = value.isoformat()
    return _trim_fraction(text, 15) if value.microsecond else text


def _trim_fraction(text: str, end: int) -> str:
    return text[:end].rstrip("0") + text[end:]


_MICROSECOND = dt.timedelta(microseconds=1)


def _dump_timedelta(value: dt.timedelta) -> int:
    """Go's ``time.Duration``: integer nanoseconds."""
    return value // _MICROSECOND * 1000


def _load_timedelta(value: Any) -> dt.timedelta:
    if type(value) is not int:
        raise ValueError
    try:
        micro, rest = divmod(value, 1000)
        return dt.timedelta(microseconds=micro + (rest >= 500))  # a Go peer may be finer than Python: rounded
    except OverflowError:
        raise ValueError from None


def _dump_float(value: float) -> object:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _load_float(value: Any) -> float:
    if type(value) is str and value in FLOAT_WORDS:
        return float(value)
    if type(value) is float or type(value) is int:
        return float(value)
    raise ValueError


def _load_complex(value: object) -> complex:
    if not is_list(value) or len(value) != 2:
        raise ValueError
    return complex(_load_float(value[0]), _load_float(value[1]))


def _load_base64(value: object) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is str:
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError from None
    if is_list(value) and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value)  # Go's byte arrays are arrays of numbers
    raise ValueError


def dump_bytes(value: bytes | bytearray, binary: bool) -> object:
    """Bytes where the format has them, else standard base64."""
    return bytes(value) if binary else base64.b64encode(value).decode("ascii")


def _strict_text(make: Callable[[str], object]) -> Callable[[Any], object]:
    def load(text: Any) -> object:
        if type(text) is not str:
            raise ValueError
        return make(text)

    return load


def _load_zone(text: Any) -> zoneinfo.ZoneInfo:
    if type(text) is not str:
        raise ValueError
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        raise ValueError from None


def _load_range(value: object) -> range:
    if not is_list(value) or len(value) != 3 or any(type(item) is not int for item in value):
        raise ValueError
    return range(*value)


_PATTERN_FLAGS = re.ASCII | re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.UNICODE


def _dump_pattern(value: re.Pattern[str]) -> object:
    """The text alone where no flag was given."""
    return value.pattern if value.flags == re.UNICODE else [value.pattern, value.flags]


def _load_pattern(value: object) -> re.Pattern[str]:
    text, flags = value if is_list(value) and len(value) == 2 else (value, 0)
    if type(text) is not str or type(flags) is not int or flags & ~_PATTERN_FLAGS:
        raise ValueError
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError, RecursionError):
        raise ValueError from None


_OFFSET = r"(?:Z|[+-]\d\d:\d\d(?::\d\d(?:\.\d{6})?)?)"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_DAY = r"\d{4}-\d\d-\d\d"
_DATETIME = f"{_DAY}T{_CLOCK}{_OFFSET}?"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_FRACTION = r"-?\d{1,4300}(?:/0*[1-9]\d{0,4299})?"
_DECIMAL = r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|-?Infinity|-?s?NaN\d*"

_LEAVES: tuple[Leaf, ...] = (
    Leaf("a decimal number", (decimal.Decimal,), "str", str, _text(_DECIMAL, _decimal_text)),
    Leaf("a date and time", (dt.datetime,), "str", _dump_datetime, _text(_DATETIME, dt.datetime.fromisoformat)),
    Leaf("a date", (dt.date,), "str", dt.date.isoformat, _text(_DAY, dt.date.fromisoformat)),
    Leaf("a time of day", (dt.time,), "str", _dump_time, _text(f"{_CLOCK}{_OFFSET}?", dt.time.fromisoformat)),
    Leaf("a timedelta", (dt.timedelta,), "int", _dump_timedelta, _load_timedelta),
    Leaf("a UUID", (uuid.UUID,), "str", str, _text(_UUID, uuid.UUID)),
    Leaf("a complex number", (complex,), "array", lambda v: [_dump_float(v.real), _dump_float(v.imag)], _load_complex),
    Leaf("a fraction", (fractions.Fraction,), "str", str, _text(_FRACTION, fractions.Fraction, 9_000)),
    Leaf("bytes", (bytes,), "bytes", bytes, _load_base64),
    Leaf("a bytearray", (bytearray,), "bytes", bytes, lambda v: bytearray(_load_base64(v))),
    Leaf("a time zone", (zoneinfo.ZoneInfo,), "str", str, _load_zone),
    Leaf("a regular expression for text", (re.Pattern,), "str|array", _dump_pattern, _load_pattern, tried=True),
    Leaf("a range", (range,), "array", lambda v: [v.start, v.stop, v.step], _load_range),
    *(
        Leaf(f"an {cls.__name__}", (cls,), "str", str, _strict_text(cls))
        for cls in (
            ipaddress.IPv4Address,
            ipaddress.IPv6Address,
            ipaddress.IPv4Network,
            ipaddress.IPv6Network,
            ipaddress.IPv4Interface,
            ipaddress.IPv6Interface,
        )
    ),
)

_BY_CLASS = {leaf.types[0]: leaf for leaf in _LEAVES}


def leaf_of_class(cls: type) -> Leaf | None:
    """The leaf of a class, None when it is not a scalar we know."""
    if (leaf := _BY_CLASS.get(cls)) is not None:
        return leaf
    if issubclass(cls, enum.Enum):
        return enum_leaf(cls)
    if issubclass(cls, pathlib.PurePath):
        return path_leaf(cls)
    return None


def path_leaf(cls: type[pathlib.PurePath]) -> Leaf:
    """``Path`` makes a ``PosixPath``: that class, exactly, is what comes back."""
    concrete = type(cls())
    return Leaf(f"a {cls.__name__}", (concrete,), "str", str, _strict_text(concrete))


def enum_leaf(cls: type[enum.Enum]) -> Leaf:
    """By value where every value is plain text or an int, else by name; flags by their int.

    Never calls ``_missing_``.
    """
    expected = f"a member of {cls.__name__}"
    if issubclass(cls, enum.Flag):
        return Leaf(expected, (cls,), "int", _value_of, Combinations(cls).load)
    values: list[object] = [member.value for member in cls]
    by_value = all(type(value) in (str, int) for value in values)
    members: dict[object, enum.Enum] = {m.value if by_value else m.name: m for m in cls}

    def load_member(value: Any) -> object:
        if type(value) not in (str, int):
            raise ValueError
        try:
            return members[value]
        except KeyError:
            raise ValueError from None

    kinds = {type(value) for value in values} if by_value else {str}
    kind = "str" if kinds <= {str} else "int" if kinds == {int} else "str|int"
    return Leaf(expected, (cls,), kind, _value_of if by_value else _name_of, load_member)


def _value_of(member: enum.Enum) -> object:
    return member.value


def _name_of(member: enum.Enum) -> str:
    return member.name
