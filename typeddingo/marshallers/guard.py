"""What a frame must be before it is worked on. Comes from the marshallers and goes back, or is a ``WireError``."""

from __future__ import annotations

from functools import lru_cache

import jiter

from typeddingo.config import Limits
from typeddingo.errors import DecodeError, HeaderError, LimitError
from typeddingo.header import Header
from typeddingo.marshallers.scan import longer_number, nesting

__all__ = ["check_arrival", "check_json", "name_fits", "need_shallow", "size_of", "too_deep"]

PARSER_DIGITS = 4300
"""More digits in one whole number are refused by the JSON parsers themselves."""


def check_arrival(name: str, header: Header, frame: bytes, limits: Limits) -> None:
    """Who the frame is for and how large it is, before the payload is looked at. Raises a ``WireError``."""
    id = header.id
    if len(frame) > limits.frame:
        raise LimitError(f"task {name!r}: a frame is at most {limits.frame} bytes, this one has {len(frame)}")
    if header.name != name:
        raise HeaderError(f"task {name!r}: the frame belongs to another task")
    if len(id) > limits.id or not (id.isascii() or size_of(id) <= limits.id):
        raise LimitError(f"task {name!r}: an id is at most {limits.id} bytes")
    if len(header.registry) > limits.registry:
        raise LimitError(f"task {name!r}: a frame has at most {limits.registry} chunks")
    if not name_fits(name, limits.name):
        raise LimitError(f"a task's name is printable and at most {limits.name} bytes")


@lru_cache(maxsize=4096)
def name_fits(name: str, limit: int) -> bool:
    """Whether a name may travel; the few names of a process are asked for with every message."""
    return name.isprintable() and size_of(name) <= limit


def check_json(name: str, data: bytes, limits: Limits, *, around: int = 0, whole: bool = False) -> None:
    """What JSON parsers let through: depth, keys given twice, numbers of too many digits.

    ``around``: arrays and objects that stand around the values, which alone count. ``whole``: also that it is
    well-formed, without the literals NaN and Infinity; else that is left to the contract's loader, and the parse here
    is saved where no object means no key. Raises ``LimitError``, ``DecodeError``.
    """
    if len(data) > limits.depth:
        need_shallow(name, data, limits, around=around)
    if whole or b"{" in data:
        try:
            jiter.from_json(data, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
        except ValueError as err:
            text = str(err)
            if text.startswith("Detected duplicate key"):  # would repeat the key, which may be user data
                text = "an object's key is given twice"
            raise DecodeError(f"task {name!r}: refused as JSON: {text}") from None
    if limits.digits < PARSER_DIGITS and longer_number(data, limits.digits):
        raise LimitError(f"task {name!r}: a number has at most {limits.digits} digits")


def need_shallow(name: str, data: bytes, limits: Limits, *, around: int = 0) -> None:
    """Only what is not nested deeper than allowed. Raises ``LimitError``."""
    if too_deep(data, limits, around):
        raise LimitError(f"task {name!r}: arrays and objects are nested deeper than {limits.depth}")


def too_deep(data: bytes, limits: Limits, around: int = 0) -> bool:
    """Whether JSON values, with ``around`` arrays and objects around them, are nested deeper than allowed."""
    limit = limits.depth + around
    return len(data) > limit and nesting(data, limit) > limit


def size_of(text: str) -> int:
    """Bytes of a text as UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))
