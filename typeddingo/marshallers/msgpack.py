"""Marshaller 2, in the seat of Go's gob: compact, binary, typed. Not for Go peers.

    task     [flags, arguments]   or  [flags, arguments, named arguments, reply-to address]
             or  [flags, arguments, named arguments, reply-to address, headers]
             and of a step of a pipeline, sixth, the others (see ``journey``)
    report   [status, flags, return values]   or  [status, flags, [], [code, message, exception type, traceback]]
             and of a pipeline, fifth in the last list, the step that failed

Flags are 1 for ignore_report, 2 for monitor_progress. Comes from the bridge, goes to a broker or backend; and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import DecodeError, ErrorCode
from typeddingo.header import Header, frame_bytes
from typeddingo.headers import NO_HEADERS
from typeddingo.invoker import DirectInvoker
from typeddingo.journey import Journey, journey_of, tree_of
from typeddingo.marshallers.arrival import arrived_report, arrived_task
from typeddingo.marshallers.departure import check_names, check_size, unreturnable, unsendable
from typeddingo.marshallers.envelope import headers_of, progress_of
from typeddingo.marshallers.guard import check_arrival
from typeddingo.marshallers.packed import pack, unpack
from typeddingo.message import NO_KEYWORDS, Failure, Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.row import Unfit

__all__ = ["MsgpackMarshaller"]

_ENVELOPE = 2  # lists around a value: payload, arguments
_OPTIONS = (Option(), Option(ignore_report=True), Option(monitor_progress=True), Option(True, True))
_STATUSES = {int(status): status for status in Status}
_CODES = {int(code): code for code in ErrorCode}


class MsgpackMarshaller(DirectInvoker):
    """Thread-safe; the values it decodes are typed already, so it calls functions directly."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def prepare(self, contract: Contract, /) -> None:
        """Nothing to prepare: the contract is compiled."""

    def encode_task(self, contract: Contract, task: TaskMessage, /) -> bytes:
        """Raises ``PayloadTooLarge``, ``ArgumentError`` for what cannot travel, ``ConfigError`` for a name or an id
        over its limit."""
        check_names(task.name, task.id, self._limits)
        try:
            tree: list[object] = [_flags(task.option), contract.arguments.dump_tree(task.args)]
            more = task.headers or task.journey is not None
            if task.kwargs or task.reply_to or more:
                tree += [contract.keywords.dump_tree(task.kwargs), task.reply_to]
            if more:
                tree.append(dict(task.headers))
            if task.journey is not None:
                tree.append(tree_of(task.journey))
            frame = frame_bytes(task.id, task.name, pack(tree, self._limits, around=_ENVELOPE))
        except Unfit as err:
            raise unsendable(contract, err) from None
        check_size(task.name, frame, self._limits)
        return frame

    def decode_task(self, contract: Contract, header: Header, frame: bytes, /) -> TaskMessage:
        """Raises ``WireError``."""
        tree = self._tree(contract, header, frame)
        headers: Mapping[str, str] = NO_HEADERS
        if len(tree) == 2:
            flags, args = tree
            kwargs, reply_to = NO_KEYWORDS, ""
        elif len(tree) in (4, 5, 6):
            flags, args, named, address = tree[:4]
            if len(tree) >= 5:
                headers = headers_of(tree[4])
            kwargs = contract.keywords.load_tree(_map(contract, named))
            reply_to = _text(contract, address)
        else:
            raise _shapeless(contract)
        values = contract.arguments.load_tree(_list(contract, args))
        journey = _journey(contract, tree)
        return arrived_task(contract, header, values, kwargs, _option(contract, flags), reply_to, headers, journey)

    def journey_in(self, contract: Contract, header: Header, frame: bytes, /) -> Journey | None:
        """See ``JourneyReader``. Raises ``WireError``."""
        return _journey(contract, self._tree(contract, header, frame))

    def encode_report(self, contract: Contract, report: Report[object], /) -> bytes:
        """Raises ``PayloadTooLarge``, ``ReturnMisfit`` for a value that cannot travel."""
        returned = report.status is Status.SUCCESS
        try:
            values = contract.returns.dump_tree(report.values) if returned else []
            tree: list[object] = [int(report.status), _flags(report.option), values]
            if (failure := report.failure) is not None:
                texts: tuple[str, ...] = (failure.message, failure.exception_type, failure.traceback)
                texts += (failure.task,) if failure.task else ()
                tree.append([int(failure.code), *(text.encode("utf-8", "replace").decode() for text in texts)])
            elif report.progress is not None:
                tree.append(list(report.progress))
            frame = frame_bytes(report.id, report.name, pack(tree, self._limits, around=_ENVELOPE))
        except Unfit as err:
            raise unreturnable(contract, err) from None
        check_size(report.name, frame, self._limits)
        return frame

    def decode_report(self, contract: Contract, header: Header, frame: bytes, /) -> Report[object]:
        """Raises ``WireError``."""
        tree = self._tree(contract, header, frame)
        if len(tree) not in (3, 4):
            raise _shapeless(contract)
        status, flags, values = (
            _STATUSES.get(_whole(contract, tree[0])),
            _option(contract, tree[1]),
            _list(contract, tree[2]),
        )
        if status is None:
            raise DecodeError(f"task {contract.name!r}: the report's status must be 1, 2, 3 or 4")
        last = tree[3] if len(tree) == 4 else None
        far = progress_of(last) if last is not None and status is Status.PROGRESS else None
        failure = _failure(contract, last) if last is not None and far is None else None
        load = partial(contract.returns.load_tree, values)
        return arrived_report(contract, header, status, flags, failure, load, has_values=bool(values), progress=far)

    def _tree(self, contract: Contract, header: Header, frame: bytes) -> list[object]:
        check_arrival(contract.name, header, frame, self._limits)
        return _list(contract, unpack(contract.name, frame[header.length :], self._limits, around=_ENVELOPE))


def _journey(contract: Contract, tree: list[object]) -> Journey | None:
    return journey_of(tree[5], contract.name) if len(tree) == 6 else None


def _flags(option: Option) -> int:
    return option.ignore_report | option.monitor_progress << 1


def _option(contract: Contract, flags: object) -> Option:
    number = _whole(contract, flags)
    if not 0 <= number < len(_OPTIONS):
        raise DecodeError(f"task {contract.name!r}: the option's flags must be 0, 1, 2 or 3")
    return _OPTIONS[number]


def _failure(contract: Contract, item: object) -> Failure:
    parts = _list(contract, item)
    if len(parts) not in (4, 5):
        raise _shapeless(contract)
    code = _whole(contract, parts[0])
    if not -(1 << 31) <= code < 1 << 31:
        raise DecodeError(f"task {contract.name!r}: the error's code must be a whole number of 32 bits")
    return Failure(_CODES.get(code, code), *(_text(contract, part) for part in parts[1:]))


def _whole(contract: Contract, item: object) -> int:
    if isinstance(item, int) and not isinstance(item, bool):
        return item
    raise _shapeless(contract)


def _text(contract: Contract, item: object) -> str:
    if isinstance(item, str):
        return item
    raise _shapeless(contract)


def _list(contract: Contract, item: object) -> list[object]:
    if isinstance(item, list):
        return cast("list[object]", item)
    raise _shapeless(contract)


def _map(contract: Contract, item: object) -> dict[str, object]:
    if isinstance(item, dict):  # unpack lets string keys pass, no others
        return cast("dict[str, object]", item)
    raise _shapeless(contract)


def _shapeless(contract: Contract) -> DecodeError:
    return DecodeError(f"task {contract.name!r}: the payload is not the array that this marshaller writes")
