"""The JSON around the values: option, status, failure, our own extra. Comes from the JSON marshallers and goes back.

    option   {"IR":false,"MP":false}            as Go writes it
             {"IR":false,"MP":false,"X":{…}}    with what this project adds; Go ignores keys that it does not know
    X        "K" named arguments, "T" reply-to address, "H" headers, "N" the steps of a pipeline (see ``journey``)
             in a report "E" exception type, "B" traceback, "P" progress, "N" the step of a pipeline that failed
    failure  {"C":1,"M":"text"}, or null

What is written is built from ready-made bytes; what is read is Go's: any order, white space, unknown keys, and keys in
any case. The texts read here were checked by ``guard.check_json`` before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from typeddingo.contract import Contract
from typeddingo.errors import DecodeError, ErrorCode, LimitError
from typeddingo.headers import NO_HEADERS, misfit
from typeddingo.journey import Journey, journey_of, tree_of
from typeddingo.marshallers.scan import split_object
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.option import Option

__all__ = [
    "OPTIONS",
    "failure_text",
    "headers_of",
    "members_of",
    "option_text",
    "read_failure",
    "read_journey",
    "progress_of",
    "read_option",
    "read_progress",
    "read_status",
    "read_task_extra",
    "report_extra",
    "task_extra",
]

_FLAGS = (b"false", b"true")
_OPTION_HEADS = tuple(tuple(b'{"IR":%b,"MP":%b' % (ir, mp) for mp in _FLAGS) for ir in _FLAGS)
OPTIONS = {_OPTION_HEADS[ir][mp] + b"}": Option(bool(ir), bool(mp)) for ir in (0, 1) for mp in (0, 1)}
"""The four option texts without extra, and what they mean. All of the wire's options are these four objects."""
_BY_FLAGS = tuple(tuple(OPTIONS[head + b"}"] for head in heads) for heads in _OPTION_HEADS)
_TEXT_BY_FLAGS = tuple(tuple(head + b"}" for head in heads) for heads in _OPTION_HEADS)
_BOOLS = {b"true": True, b"false": False, b"null": False}
_MOST = 1e308
_INT32 = re.compile(rb"-?[0-9]{1,10}")
_STATUSES = {b"%d" % status: status for status in Status}
_CODES = {int(code): code for code in ErrorCode}


def option_text(option: Option, extra: bytes) -> bytes:
    """The option object; ``extra`` holds the members of X and is left out when empty."""
    if not extra:
        return _TEXT_BY_FLAGS[option.ignore_report][option.monitor_progress]
    return b'%b,"X":{%b}}' % (_OPTION_HEADS[option.ignore_report][option.monitor_progress], extra)


def task_extra(contract: Contract, task: TaskMessage) -> bytes:
    """What Go's task has no room for: named arguments, the reply-to address, headers and the steps of a pipeline."""
    if task.headers:
        rest = _reply_to_text(task.reply_to) + b"," if task.reply_to else b""
        rest += b'"H":' + json.dumps(dict(task.headers), ensure_ascii=False, separators=(",", ":")).encode()
    else:
        rest = _reply_to_text(task.reply_to) if task.reply_to else b""
    if task.journey is not None:
        steps = b'"N":' + json.dumps(tree_of(task.journey), ensure_ascii=False, separators=(",", ":")).encode()
        rest = rest + b"," + steps if rest else steps
    if not task.kwargs:
        return rest
    named = b'"K":' + contract.keywords.dump_json(task.kwargs)
    return named + b"," + rest if rest else named


def report_extra(report: Report[object]) -> bytes:
    """What Go's report has no room for: the exception's type and traceback, how far the task is."""
    if report.progress is not None:
        return b'"P":' + json.dumps(report.progress, separators=(",", ":")).encode()
    if (failure := report.failure) is None:
        return b""
    texts = ((b'"E":', failure.exception_type), (b'"B":', failure.traceback), (b'"N":', failure.task))
    return b",".join(key + _string(text) for key, text in texts if text)


def failure_text(failure: Failure | None) -> bytes:
    """The error object, or null."""
    return b"null" if failure is None else b'{"C":%d,"M":%b}' % (failure.code, _string(failure.message))


def members_of(text: bytes) -> dict[str, bytes]:
    """The members of an object by their key in capitals: Go does not mind the case. Raises ``DecodeError``."""
    members = split_object(text)
    folded = {key.upper() if key.isascii() else key: value for key, value in members.items()}
    if len(folded) != len(members):
        raise DecodeError("a key of the envelope is given twice, in different case; each may be given once")
    return folded


def read_option(text: bytes | None) -> tuple[Option, dict[str, bytes]]:
    """The option and the members of X. Missing or null is the default option. Raises ``DecodeError``."""
    if text is None or text == b"null":
        return _BY_FLAGS[False][False], {}
    if (known := OPTIONS.get(text)) is not None:
        return known, {}
    members = members_of(text)
    extra = members.get("X")
    flags = [_BOOLS.get(members.get(key, b"false")) for key in ("IR", "MP")]
    if None in flags:
        raise DecodeError("the option's IR and MP must be true or false")
    return _BY_FLAGS[flags[0] is True][flags[1] is True], split_object(extra) if extra is not None else {}


def read_journey(name: str, extra: dict[str, bytes]) -> Journey | None:
    """The steps of a pipeline out of the members of X. Raises ``DecodeError``."""
    if (text := extra.get("N")) is None:
        return None
    try:
        tree: object = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    return journey_of(tree, name)


def read_task_extra(contract: Contract, extra: dict[str, bytes]) -> tuple[dict[str, object], str, Mapping[str, str]]:
    """Named arguments, reply-to address and headers out of the members of X. Raises ``DecodeError``, ``LimitError``."""
    if not extra:
        return {}, "", NO_HEADERS
    named = extra.get("K")
    kwargs = contract.keywords.load_json(named) if named is not None else {}
    return kwargs, _text(extra.get("T", b'""'), "reply-to address"), _headers(extra.get("H"))


def headers_of(found: object) -> Mapping[str, str]:
    """Texts by their names. Raises ``DecodeError``, and ``LimitError`` for too many or too long ones."""
    if not isinstance(found, dict):
        raise DecodeError("the headers must be an object of strings")
    headers = cast("dict[object, object]", found)
    if what := misfit(headers.items()):
        raise LimitError(what)
    return cast("dict[str, str]", found)


def read_status(text: bytes | None) -> Status:
    """The status of a report. Raises ``DecodeError`` for anything but 1 to 4."""
    status = _STATUSES.get(text or b"")
    if status is None:
        raise DecodeError("the report's status must be 1, 2, 3 or 4")
    return status


def read_failure(text: bytes | None, extra: dict[str, bytes]) -> Failure | None:
    """The error object with its extra, or None for null. Raises ``DecodeError``."""
    if text is None or text == b"null":
        return None
    members = members_of(text)
    code_text = members.get("C", b"0")
    code = int(code_text) if _INT32.fullmatch(code_text) else 1 << 31
    if not -(1 << 31) <= code < 1 << 31:
        raise DecodeError("the error's code must be a whole number of 32 bits")
    return Failure(
        _CODES.get(code, code),
        _text(members.get("M", b'""'), "error's message"),
        _text(extra.get("E", b'""'), "exception's type"),
        _text(extra.get("B", b'""'), "traceback"),
        _text(extra.get("N", b'""'), "step that failed"),
    )


def read_progress(extra: dict[str, bytes]) -> tuple[float, float | None] | None:
    """How far the task is, out of the members of X. Raises ``DecodeError``."""
    if (text := extra.get("P")) is None:
        return None
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return progress_of(found)


def progress_of(found: object) -> tuple[float, float | None]:
    """Two numbers, or one and nothing. Raises ``DecodeError``."""
    match found:
        case [int() | float() as done, int() | float() | None as total] if bool not in (type(done), type(total)):
            if -_MOST < done < _MOST and (total is None or -_MOST < total < _MOST):
                return done, total
        case _:
            pass
    raise DecodeError("the progress must be two finite numbers, or one and null")


def _headers(text: bytes | None) -> Mapping[str, str]:
    if text is None:
        return NO_HEADERS
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return headers_of(found)


def _text(text: bytes, what: str) -> str:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise DecodeError(f"the {what} must be a string")
    return value


def _string(text: str) -> bytes:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).encode()


@lru_cache(maxsize=64)
def _reply_to_text(address: str) -> bytes:
    """The same for every task of an app: written once."""
    return b'"T":' + _string(address)
