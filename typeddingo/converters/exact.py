"""Is a live value exactly what was annotated? The functions behind ``check``, none looking longer than it must.

pydantic's strict mode accepts subclasses and hands back the base class; what a subclass adds would be lost on the wire.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable
from typing import Any

from pydantic_core import ValidationError

from typeddingo.converters.leaves import DIGITS, Leaf
from typeddingo.converters.misfits import expected

__all__ = [
    "LEAST",
    "MOST",
    "a_type",
    "check_json_value",
    "exact",
    "exact_and_tried",
    "exact_float",
    "exact_int",
    "exact_str",
    "exact_time",
    "unchanged",
    "uniform",
]

MOST = 10**DIGITS
"""The first int that is too long to be written as text."""
LEAST = -MOST

_MOST_FLOAT = int(sys.float_info.max)
"""An int beyond it is no float."""


def exact(types: tuple[type, ...], words: str) -> Callable[[Any], Any]:
    """A check for an exact class (or one of several)."""
    only = types[0] if len(types) == 1 else None

    def check(value: object) -> object:
        cls = type(value)
        if cls is only or cls in types:
            return value
        raise expected(f"{words}, got {a_type(cls)}")

    return check


def exact_and_tried(leaf: Leaf) -> Callable[[Any], Any]:
    """A check for an exact class, and that the value comes back as itself."""
    itself = exact(leaf.types, leaf.expected)

    def check(value: object) -> object:
        itself(value)
        try:
            came_back = leaf.load(leaf.dump(value))
        except ValidationError:
            raise
        except (ValueError, TypeError):
            raise expected(leaf.expected) from None
        if came_back == value:
            return value
        raise expected(f"{leaf.expected} that comes back as itself")

    return check


def unchanged(value: object, handler: Callable[[Any], Any]) -> object:
    """The value itself, if the annotation's own functions leave it as it is: here and on the wire it is the same."""
    made = handler(value)
    if made is value:
        return value
    kept = type(made) is type(value) or (type(made) is float and type(value) is int)
    if kept and made == value:
        return value
    raise expected("a value that the annotation does not change")


def exact_int(value: object) -> object:
    """An int that can be written as text; no bool, no IntEnum."""
    if type(value) is int and LEAST < value < MOST:
        return value
    got = f"an int, got {a_type(type(value))}" if type(value) is not int else f"an int of at most {DIGITS} digits"
    raise expected(got, "int_type")


def exact_str(value: object) -> object:
    """Text that UTF-8 can hold; no StrEnum."""
    if type(value) is not str:
        raise expected(f"a str, got {a_type(type(value))}", "string_type")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise expected("text without lone surrogates", "string_unicode") from None
    return value


def exact_float(value: object) -> object:
    """A float, or an int where a float is expected, as mypy has it."""
    if type(value) is float or (type(value) is int and -_MOST_FLOAT <= value <= _MOST_FLOAT):
        return value
    got = "an int that is too large for one" if type(value) is int else a_type(type(value))
    raise expected(f"a float, got {got}", "float_type")


def exact_time(value: object) -> object:
    """A time of day; in a zone only where its offset is known without a date, as only the offset travels."""
    if type(value) is not dt.time:
        raise expected(f"a time of day, got {a_type(type(value))}")
    if value.tzinfo is not None and value.utcoffset() is None:
        raise expected("a time of day with a fixed offset or none: what its zone's offset is depends on the date")
    return value


def uniform(cls: type, item: type, constrained: bool) -> Callable[[Any, Callable[[Any], Any]], Any]:
    """Every item is exactly of one class: one pass over the types tells, pydantic finds the place when not."""
    allowed = {item, int} if item is float else {item}

    def check(value: object, handler: Callable[[Any], Any]) -> object:
        if type(value) is not cls:
            raise expected(f"a {cls.__name__}, got {a_type(type(value))}", f"{cls.__name__}_type")
        check_items(value, handler)
        return value

    def check_items(value: Any, handler: Callable[[Any], Any]) -> None:
        types = set(map(type, value))
        same = types <= allowed
        if constrained or not same:
            handler(value)
        if not same:
            raise expected(f"a {cls.__name__} of {item.__name__}, and no subclasses of it")
        if item is str and not all(map(str.isascii, value)):
            exact_str("".join(value))
        if item is float and int in types:
            list(map(exact_float, value))
        if item is int and value and not (min(value) > LEAST and max(value) < MOST):
            raise expected(f"ints of at most {DIGITS} digits")

    return check


def check_json_value(value: Any, depth: int = 0) -> object:
    """Plain JSON data, exactly: what comes back is equal and of the same types."""
    whole: object = value
    cls = type(whole)
    if cls is str:
        return exact_str(value)
    if cls is bool or value is None or (cls is int and LEAST < value < MOST):
        return value
    if cls is float and math.isfinite(value):
        return value
    if depth < 64:
        if cls is list:
            for item in value:
                check_json_value(item, depth + 1)
            return value
        if cls is dict and all(type(key) is str for key in value):
            for key, item in value.items():
                exact_str(key)
                check_json_value(item, depth + 1)
            return value
    raise expected(
        "plain JSON data (None, bool, int, finite float, str, list, dict with str keys), at most 64 levels deep"
    )


def a_type(cls: type) -> str:
    """The type of what was given, for an error: never the value."""
    if cls is type(None):
        return "None"
    return f"{'an' if cls.__name__[0] in 'aeiouAEIOU' else 'a'} {cls.__name__}"
