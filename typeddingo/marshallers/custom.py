"""Every value its own chunk of bytes, made by a ``Codec``: the marshaller to build on for other formats.

    task     argument … argument, option
    report   return value … return value, status, error, option

Comes from the bridge, goes to a broker or backend; and back. The header's registry holds the chunks' lengths; what
stands around the values is JSON, and readable by Go dingo.
"""

from __future__ import annotations

from functools import partial

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import DecodeError, WireError
from typeddingo.header import Header, compose_bytes, decompose_bytes
from typeddingo.invoker import DirectInvoker
from typeddingo.journey import Journey
from typeddingo.marshaller import Codec
from typeddingo.marshallers import envelope
from typeddingo.marshallers.arrival import arrived_report, arrived_task
from typeddingo.marshallers.departure import check_names, check_size, need_depth, unreturnable, unsendable
from typeddingo.marshallers.guard import check_arrival, check_json
from typeddingo.message import Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.row import Unfit

__all__ = ["CustomMarshaller"]

_ENVELOPE = 3  # objects around a named argument: option, X, K


class CustomMarshaller(DirectInvoker):
    """Go: ``CustomMarshaller``. Thread-safe as far as its codec is. It calls functions with what the codec decodes; one
    that does not know the annotated types is combined with an invoker that does:
    ``class Mine(CustomMarshaller, GenericInvoker)``."""

    def __init__(self, codec: Codec, limits: Limits | None = None) -> None:
        self._codec = codec
        self._limits = limits or Limits()

    def prepare(self, contract: Contract, /) -> None:
        """Passed on to the codec (Go: ``Prepare``)."""
        self._codec.prepare(contract)

    def encode_task(self, contract: Contract, task: TaskMessage, /) -> bytes:
        """Go: ``EncodeTask``. Raises ``PayloadTooLarge``, ``ConfigError`` for a name or id over its limit, and what the
        codec raises."""
        check_names(task.name, task.id, self._limits)
        try:
            chunks = self._codec.encode_arguments(contract, task.args)
            extra = envelope.task_extra(contract, task)
            need_depth(extra, self._limits, around=1)
        except Unfit as err:
            raise unsendable(contract, err) from None
        return self._frame(task.id, task.name, [*chunks, envelope.option_text(task.option, extra)])

    def decode_task(self, contract: Contract, header: Header, frame: bytes, /) -> TaskMessage:
        """Go: ``DecodeTask``. Raises ``WireError``."""
        *chunks, option_text = self._chunks(contract, header, frame, least=1)
        option, extra = envelope.read_option(self._checked(contract, option_text))
        kwargs, reply_to, headers = envelope.read_task_extra(contract, extra)
        journey = envelope.read_journey(contract.name, extra)
        args = self._arguments(contract, chunks)
        return arrived_task(contract, header, args, kwargs, option, reply_to, headers, journey)

    def option_in(self, contract: Contract, header: Header, frame: bytes, /) -> Option:
        """See ``OptionReader``. Raises ``WireError``."""
        option_text = self._chunks(contract, header, frame, least=1)[-1]
        return envelope.read_option(self._checked(contract, option_text))[0]

    def journey_in(self, contract: Contract, header: Header, frame: bytes, /) -> Journey | None:
        """See ``JourneyReader``. Raises ``WireError``."""
        option_text = self._chunks(contract, header, frame, least=1)[-1]
        return envelope.read_journey(contract.name, envelope.read_option(self._checked(contract, option_text))[1])

    def encode_report(self, contract: Contract, report: Report[object], /) -> bytes:
        """Go: ``EncodeReport``. Raises ``PayloadTooLarge``, and what the codec raises."""
        returned = report.status is Status.SUCCESS
        try:
            chunks = self._codec.encode_returns(contract, report.values) if returned else []
        except Unfit as err:
            raise unreturnable(contract, err) from None
        failure = envelope.failure_text(report.failure)
        option = envelope.option_text(report.option, envelope.report_extra(report))
        return self._frame(report.id, report.name, [*chunks, b"%d" % report.status, failure, option])

    def decode_report(self, contract: Contract, header: Header, frame: bytes, /) -> Report[object]:
        """Go: ``DecodeReport``. Raises ``WireError``."""
        *chunks, status_text, failure_text, option_text = self._chunks(contract, header, frame, least=3)
        option, extra = envelope.read_option(self._checked(contract, option_text))
        failure = envelope.read_failure(self._checked(contract, failure_text), extra)
        status = envelope.read_status(status_text)
        load = partial(self._returns, contract, chunks)
        far = envelope.read_progress(extra)
        return arrived_report(contract, header, status, option, failure, load, has_values=bool(chunks), progress=far)

    def _frame(self, id: str, name: str, chunks: list[bytes]) -> bytes:
        frame = compose_bytes(id, name, chunks)
        check_size(name, frame, self._limits)
        return frame

    def _chunks(self, contract: Contract, header: Header, frame: bytes, *, least: int) -> list[bytes]:
        check_arrival(contract.name, header, frame, self._limits)
        if len(header.registry) < least:
            raise DecodeError(f"task {contract.name!r}: expected at least {least} chunks, got {len(header.registry)}")
        return decompose_bytes(header, frame)

    def _checked(self, contract: Contract, text: bytes) -> bytes:
        if text not in envelope.OPTIONS and text != b"null":
            check_json(contract.name, text, self._limits, around=_ENVELOPE, whole=True)
        return text

    def _arguments(self, contract: Contract, chunks: list[bytes]) -> tuple[object, ...]:
        try:
            return self._codec.decode_arguments(contract, chunks)
        except WireError:
            raise
        except Exception as err:  # the bytes are anybody's, and the codec is not ours
            raise _refused(contract, "arguments", err) from err

    def _returns(self, contract: Contract, chunks: list[bytes]) -> tuple[object, ...]:
        try:
            return self._codec.decode_returns(contract, chunks)
        except WireError:
            raise
        except Exception as err:
            raise _refused(contract, "return values", err) from err


def _refused(contract: Contract, what: str, error: Exception) -> DecodeError:
    return DecodeError(f"task {contract.name!r}: the codec could not decode the {what} ({type(error).__name__})")
