"""Look at JSON text without building anything. Comes from ``guard`` and ``envelope``, goes back as a number or slices.

Works on bytes of unknown origin with C-speed primitives only: no recursion, no loop a character, memory at most a few
copies of the input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from typeddingo.errors import DecodeError

__all__ = ["longer_number", "nesting", "split_object"]

# Possessive quantifiers (*+): a string is never re-read, so hostile text cannot make the search slow.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_NUMBER = re.compile(_STRING + rb"|-?[0-9][0-9.eE+-]*+", re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_KEY = re.compile(rb"(" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^\[\]{},\" \t\r\n]++", re.DOTALL)

_KEEP = b'"[]{}'
_NOT_KEPT = bytes(byte for byte in range(256) if byte not in _KEEP)
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_WINDOW = 1 << 16


def nesting(data: bytes, limit: int) -> int:
    """How deep arrays and objects are nested; ``limit + 1`` for anything deeper. Exact for well-formed JSON."""
    if len(data) < 2 * limit or data.count(b"[") + data.count(b"{") <= limit:
        return min(data.count(b"[") + data.count(b"{"), limit)
    if b"\\" in data:  # an escaped quote does not end a string
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    data = data.translate(_AS_BRACKETS, _NOT_KEPT)
    data = data.replace(b'""', b"")  # strings without brackets; the other quotes stay paired
    if b'"' in data:
        data = b"".join(_outside_strings(data))
    depth = 0
    while data and depth <= limit:  # each round takes the innermost pairs away
        shorter = data.replace(b"[]", b"")
        if len(shorter) == len(data):
            return min(depth + data.count(b"["), limit + 1)  # unbalanced: not JSON, but perhaps this deep
        data = shorter
        depth += 1
    return depth


def longer_number(data: bytes, digits: int) -> bool:
    """Whether a number has more digits than that."""
    if len(data) <= digits or b"0" * (digits + 1) not in data.translate(_DIGITS_AS_ZERO, b".eE+-"):
        return False
    return any(
        sum(map(text.count, b"0123456789")) > digits
        for match in _NUMBER.finditer(data)
        if len(text := match.group()) > digits and text[0] != 0x22
    )


def split_object(data: bytes) -> dict[str, bytes]:
    """The members of one JSON object, their values as raw text. Raises ``DecodeError`` for a key given twice or text
    that is no object; the values themselves are not looked into."""
    members: dict[str, bytes] = {}
    at = _after_space(data, 0)
    if data[at : at + 1] != b"{":
        raise DecodeError("the payload must be a JSON object; it is something else")
    at = _after_space(data, at + 1)
    more = data[at : at + 1] != b"}"
    while more:
        key, at = _key(data, at)
        end = _value_end(data, at)
        if key in members:
            raise DecodeError("a key of the payload's object is given twice; each may be given once")
        members[key] = data[at:end]
        at = _after_space(data, end)
        if more := data[at : at + 1] == b",":
            at = _after_space(data, at + 1)
    if data[at : at + 1] != b"}" or _after_space(data, at + 1) != len(data):
        raise DecodeError("the payload's object is malformed, or something follows it")
    return members


def _outside_strings(data: bytes) -> Iterator[bytes]:
    """What is outside the quotes, window by window: splitting all at once would cost many times the input."""
    inside = 0
    for at in range(0, len(data), _WINDOW):
        parts = data[at : at + _WINDOW].split(b'"')
        yield b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2


def _after_space(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match else at


def _key(data: bytes, at: int) -> tuple[str, int]:
    match = _KEY.match(data, at)
    if match is None:
        raise DecodeError("the payload's object is malformed: expected a key")
    try:
        return str(json.loads(match.group(1))), match.end()
    except ValueError:
        raise DecodeError("the payload's object is malformed: a key is no JSON string") from None


def _value_end(data: bytes, at: int) -> int:
    if data[at : at + 1] not in (b"[", b"{"):
        match = _SCALAR.match(data, at)
        if match is None:
            raise DecodeError("the payload's object is malformed: expected a value")
        return match.end()
    depth = 0
    for match in _TOKEN.finditer(data, at):
        token = data[match.start()]
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
            if depth == 0:
                return match.end()
    raise DecodeError("the payload's object is malformed: an array or object in it does not end")
