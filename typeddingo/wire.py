"""One task's marshallers joined with its contract: messages to frames and back.

Comes from the registry, used by both bridges (calls out, reports in) and by workers (calls in, reports out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError, DecodeError, ErrorCode
from typeddingo.failure import failure_of
from typeddingo.header import Header
from typeddingo.headers import NO_HEADERS
from typeddingo.invoker import DirectInvoker, Invoker, invoker_of
from typeddingo.journey import Journey
from typeddingo.marshaller import JourneyReader, Marshaller, OptionReader, carries_journeys
from typeddingo.message import NO_KEYWORDS, Failure, Report, Status, TaskMessage
from typeddingo.option import Option

__all__ = ["NO_PLAIN_FRAMES", "UsualFrames", "Wire"]

Correct: TypeAlias = Callable[[Callable[..., object], tuple[object, ...]], tuple[object, ...]]


class Wire:
    """Immutable; made anew when a marshaller of the task is set."""

    __slots__ = ("_contract", "_correct", "_reports", "_tasks", "invoker", "journeys", "plain", "prompt", "signed")

    def __init__(self, contract: Contract, tasks: Marshaller, reports: Marshaller) -> None:
        self._contract = contract
        self._tasks = tasks
        self._reports = reports
        self.invoker: Invoker = invoker_of(tasks)
        """How decoded arguments reach the function: as the marshaller that decoded them says."""
        self.signed: bool = getattr(tasks, "signs", False)
        """Calls prove where they come from: what stands beside a frame proves nothing, and is not looked at."""
        self.journeys: bool = carries_journeys(tasks)
        """A call may be a step of a pipeline."""
        self._correct: Correct | None = None
        if type(returned := invoker_of(reports)).returns is not DirectInvoker.returns:
            self._correct = returned.returns
        """How decoded return values become the annotated types, where the marshaller does not see to it itself."""

        self.plain: UsualFrames = _plain_frames(contract, tasks, reports)
        """The short way for usual calls; it answers None to everything where the marshallers have none."""
        returns = contract.returns
        self.prompt: bool = self.plain is not NO_PLAIN_FRAMES and (not returns.count or returns.gate is not None)
        """To decode a report runs no code of the user's: our own marshaller, and scalars alone."""

    def encode_task(self, task: TaskMessage) -> bytes:
        """Raises ``PayloadTooLarge`` or ``ArgumentError``."""
        if (
            not (
                task.kwargs
                or task.reply_to
                or task.headers
                or task.option.ignore_report
                or task.option.monitor_progress
            )
            and task.journey is None
            and (frame := self.plain.write_call(task.id, task.args)) is not None
        ):
            return frame
        return self._tasks.encode_task(self._contract, task)

    def decode_task(self, header: Header, frame: bytes) -> TaskMessage:
        """Raises ``WireError``."""
        if (args := self.plain.read_call(frame)) is not None:
            return TaskMessage(header.name, header.id, args, NO_KEYWORDS, PLAIN, "", NO_HEADERS)
        return self._tasks.decode_task(self._contract, header, frame)

    def option_in(self, header: Header, frame: bytes) -> Option:
        """Of a call that could not be decoded: how it wants to be reported. Total: as usual where nothing tells."""
        if not isinstance(self._tasks, OptionReader):
            return Option()
        try:
            return self._tasks.option_in(self._contract, header, frame)
        except Exception:
            return Option()

    def journey_in(self, header: Header, frame: bytes) -> Journey | None:
        """Of a call that could not be decoded: the pipeline it is a step of. Total: None when that cannot be told."""
        if not isinstance(self._tasks, JourneyReader):
            return None
        try:
            return self._tasks.journey_in(self._contract, header, frame)
        except Exception:
            return None

    def encode_report(self, report: Report[object]) -> bytes:
        """Total: a report that cannot be encoded (too large, say) becomes the Fail report that says so, because its
        caller waits for one."""
        if (
            report.status is Status.SUCCESS
            and not (report.option.ignore_report or report.option.monitor_progress)
            and (frame := self.plain.write_success(report.id, report.values)) is not None
        ):
            return frame
        try:
            return self._reports.encode_report(self._contract, report)
        except Exception as error:
            reason = f"the task ended, and its outcome cannot be reported: {failure_of(error).message}"
            lesser = Report[object](
                report.name, report.id, Status.FAIL, report.option, Failure(ErrorCode.RETURN, reason)
            )
            return self._reports.encode_report(self._contract, lesser)

    @property
    def join_returns(self) -> Callable[[tuple[object, ...]], object]:
        """From return values to what the function returned."""
        return self._contract.join_returns

    def decode_report(self, header: Header, frame: bytes) -> Report[object]:
        """Raises ``WireError``."""
        if (values := self.plain.read_success(frame)) is not None:
            result = self._contract.join_returns(values)
            return Report(header.name, header.id, Status.SUCCESS, PLAIN, None, values, result)
        report = self._reports.decode_report(self._contract, header, frame)
        if self._correct is None or report.status is not Status.SUCCESS:
            return report
        try:
            values = self._correct(self._contract.fn, report.values)
        except ArgumentError as error:
            raise DecodeError(str(error), misfits=error.misfits) from None
        result = self._contract.join_returns(values)
        return Report(report.name, report.id, report.status, report.option, None, values, result)


PLAIN = Option()


class Read(Protocol):
    """From a frame to the values in it; ``id``: only if it is the frame's."""

    def __call__(self, frame: bytes, id: str | None = None, /) -> tuple[object, ...] | None: ...


class UsualFrames(Protocol):
    """What a marshaller may have for the frames of nearly every call: each function answers None for any other."""

    @property
    def write_call(self) -> Callable[[str, tuple[object, ...]], bytes | None]: ...

    @property
    def read_call(self) -> Read: ...

    @property
    def write_success(self) -> Callable[[str, tuple[object, ...]], bytes | None]: ...

    @property
    def read_success(self) -> Read: ...


class _NoFrames:
    def write_call(self, id: str, args: tuple[object, ...]) -> bytes | None:
        return None

    def read_call(self, frame: bytes, id: str | None = None, /) -> tuple[object, ...] | None:
        return None

    write_success, read_success = write_call, read_call


NO_PLAIN_FRAMES: UsualFrames = _NoFrames()
"""There is no short way."""


def _plain_frames(contract: Contract, tasks: Marshaller, reports: Marshaller) -> UsualFrames:
    from typeddingo.marshallers.json import JSONMarshaller  # the marshallers load when first used

    if tasks is reports and type(tasks) is JSONMarshaller:
        return tasks.plain_frames(contract)
    return NO_PLAIN_FRAMES
