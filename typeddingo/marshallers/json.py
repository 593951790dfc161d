"""Marshaller 1, and what DEFAULT means: one compact JSON document a frame, readable by Go dingo.

    task     {"O":{"IR":false,"MP":false},"A":[…]}
    report   {"S":3,"E":null,"O":{"IR":false,"MP":false},"R":[…]}

Comes from the bridge, goes to a broker or backend; and back. What both ends of this package write is recognised by its
first bytes, and the values are loaded from where they lie; everything else is read with care.
"""

from __future__ import annotations

import re
from functools import partial

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import DecodeError
from typeddingo.header import Header, frame_bytes
from typeddingo.invoker import DirectInvoker
from typeddingo.journey import Journey
from typeddingo.marshallers import envelope
from typeddingo.marshallers.arrival import arrived_report, arrived_success, arrived_task
from typeddingo.marshallers.departure import check_names, check_size, need_depth, unreturnable, unsendable
from typeddingo.marshallers.guard import check_arrival, check_json, need_shallow
from typeddingo.marshallers.plain import SUCCESS_HEAD, TASK_HEAD, PlainFrames
from typeddingo.message import NO_KEYWORDS, Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.row import Row, Unfit

__all__ = ["JSONMarshaller"]

_PLAIN = Option()
_ENVELOPE = 4  # objects around a named argument: payload, option, X, K
_TASK_FRONT = re.compile(
    rb'\{"O":(\{"IR":(?:true|false),"MP":(?:true|false))(?:,"X":\{"T":"([ !#-\[\]-~]*+)"\})?\},"A":'
)


class JSONMarshaller(DirectInvoker):
    """Go: ``JsonMarshaller``. Thread-safe; the values it decodes are typed already, so it calls functions directly."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._unchecked = min(limits.depth, limits.digits)  # bytes that hold nothing for check_json but objects

    def prepare(self, contract: Contract, /) -> None:
        """Nothing to prepare: the contract is compiled (Go: ``Prepare``)."""

    def plain_frames(self, contract: Contract, /) -> PlainFrames:
        """The usual frames of one task in one step each, equal to what the other methods write and read."""
        return PlainFrames(contract, self._limits)

    def encode_task(self, contract: Contract, task: TaskMessage, /) -> bytes:
        """Go: ``EncodeTask``. Raises ``PayloadTooLarge``, ``ConfigError`` for a name or id over its limit."""
        check_names(task.name, task.id, self._limits)
        try:
            # Nothing is null here, not []: Go's nil slice.
            args = contract.arguments.dump_json(task.args) if task.args else b"null"
            extra = envelope.task_extra(contract, task)
            if extra or len(args) > self._limits.depth:
                need_depth(args, self._limits, around=1)
                need_depth(extra, self._limits, around=1)
        except Unfit as err:
            raise unsendable(contract, err) from None
        if extra or (task.option is not _PLAIN and task.option != _PLAIN):
            option = envelope.option_text(task.option, extra)
            frame = frame_bytes(task.id, task.name, b'{"O":', option, b',"A":', args, b"}")
        else:
            frame = frame_bytes(task.id, task.name, TASK_HEAD, args, b"}")
        check_size(task.name, frame, self._limits)
        return frame

    def decode_task(self, contract: Contract, header: Header, frame: bytes, /) -> TaskMessage:
        """Go: ``DecodeTask``. Raises ``WireError``."""
        check_arrival(contract.name, header, frame, self._limits)
        start = header.length
        at, option, reply_to = _task_front(frame, start)
        if at and frame.endswith(b"}"):
            args = self._ours(contract, contract.arguments, frame[at:-1])
            if args is not None:
                return arrived_task(contract, header, args, NO_KEYWORDS, option, reply_to)
        members = self._members(contract, frame[start:])
        option, extra = envelope.read_option(members.get("O"))
        kwargs, reply_to, headers = envelope.read_task_extra(contract, extra)
        journey = envelope.read_journey(contract.name, extra)
        args = contract.arguments.load_json(self._listed(contract, members.get("A")))
        return arrived_task(contract, header, args, kwargs, option, reply_to, headers, journey)

    def option_in(self, contract: Contract, header: Header, frame: bytes, /) -> Option:
        """See ``OptionReader``. Raises ``WireError``."""
        check_arrival(contract.name, header, frame, self._limits)
        return envelope.read_option(self._members(contract, frame[header.length :]).get("O"))[0]

    def journey_in(self, contract: Contract, header: Header, frame: bytes, /) -> Journey | None:
        """See ``JourneyReader``. Raises ``WireError``."""
        check_arrival(contract.name, header, frame, self._limits)
        return envelope.read_journey(
            contract.name,
            envelope.read_option(self._members(contract, frame[header.length :]).get("O"))[1],
        )

    def encode_report(self, contract: Contract, report: Report[object], /) -> bytes:
        """Go: ``EncodeReport``. Raises ``PayloadTooLarge``."""
        returned = report.status is Status.SUCCESS
        try:
            values = contract.returns.dump_json(report.values) if returned else b"null"
            if len(values) > self._limits.depth:
                need_depth(values, self._limits, around=1)
        except Unfit as err:
            raise unreturnable(contract, err) from None
        option = envelope.option_text(report.option, envelope.report_extra(report))
        if returned:
            frame = frame_bytes(report.id, report.name, b'{"S":3,"E":null,"O":', option, b',"R":', values, b"}")
        else:
            head = b'{"S":%d,"E":%b,"O":' % (report.status, envelope.failure_text(report.failure))
            frame = frame_bytes(report.id, report.name, head, option, b',"R":null}')
        check_size(report.name, frame, self._limits)
        return frame

    def decode_report(self, contract: Contract, header: Header, frame: bytes, /) -> Report[object]:
        """Go: ``DecodeReport``. Raises ``WireError``."""
        check_arrival(contract.name, header, frame, self._limits)
        start = header.length
        if frame.startswith(SUCCESS_HEAD, start) and frame.endswith(b"}"):
            values = self._ours(contract, contract.returns, frame[start + len(SUCCESS_HEAD) : -1])
            if values is not None:
                return arrived_success(contract, header, _PLAIN, values)
        members = self._members(contract, frame[start:])
        option, extra = envelope.read_option(members.get("O"))
        failure = envelope.read_failure(members.get("E"), extra)
        status = envelope.read_status(members.get("S"))
        listed = self._listed(contract, members.get("R"))
        load = partial(contract.returns.load_json, listed)
        far = envelope.read_progress(extra)
        return arrived_report(contract, header, status, option, failure, load, has_values=listed != b"[]", progress=far)

    def _ours(self, contract: Contract, row: Row, listed: bytes) -> tuple[object, ...] | None:
        """The values between our own first and last bytes. None when that is not one array after all: then something
        else stands there too, and the careful way finds out what."""
        if len(listed) > self._unchecked or b"{" in listed:
            check_json(contract.name, listed, self._limits, around=1)
        try:
            return row.load_json(listed if listed != b"null" else b"[]")
        except DecodeError as err:
            if err.misfits and err.misfits[0].kind != "json_invalid":
                raise
            return None

    def _members(self, contract: Contract, payload: bytes) -> dict[str, bytes]:
        """The careful way: all of it is well-formed JSON, then it is cut at the top level."""
        check_json(contract.name, payload, self._limits, around=_ENVELOPE, whole=True)
        return envelope.members_of(payload)

    def _listed(self, contract: Contract, text: bytes | None) -> bytes:
        """Missing or null is Go's nil slice: nothing listed."""
        if text is None or text == b"null":
            return b"[]"
        need_shallow(contract.name, text, self._limits, around=1)
        return text


def _task_front(frame: bytes, start: int) -> tuple[int, Option, str]:
    """Where the arguments begin, and what stands before them, when it is what ``encode_task`` writes for a call
    without named arguments; else 0. A reply-to address of other than plain ASCII is left to the careful way."""
    if frame.startswith(TASK_HEAD, start):
        return start + len(TASK_HEAD), _PLAIN, ""
    if (front := _TASK_FRONT.match(frame, start)) is None:
        return 0, _PLAIN, ""
    option, reply_to = front.groups(b"")
    return front.end(), envelope.OPTIONS[option + b"}"], reply_to.decode()
