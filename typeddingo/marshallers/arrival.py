"""Decoded parts put together as a message. Comes from every marshaller's decoder, goes to a worker or a ``Result``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from typeddingo.contract import Contract
from typeddingo.errors import DecodeError
from typeddingo.header import Header
from typeddingo.headers import NO_HEADERS
from typeddingo.journey import Journey
from typeddingo.message import NO_KEYWORDS, Failure, Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.readable import tidy

__all__ = ["arrived_report", "arrived_task"]


def arrived_task(
    contract: Contract,
    header: Header,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    option: Option,
    reply_to: str = "",
    headers: Mapping[str, str] = NO_HEADERS,
    journey: Journey | None = None,
) -> TaskMessage:
    """A task whose arguments make a complete call. Raises ``DecodeError``."""
    contract.check_loaded(args, kwargs)
    return TaskMessage(header.name, header.id, args, kwargs or NO_KEYWORDS, option, reply_to, headers, journey)


def arrived_success(contract: Contract, header: Header, option: Option, values: tuple[object, ...]) -> Report[object]:
    """A report of what the task returned. Raises ``DecodeError`` for a wrong count of values."""
    if len(values) != contract.returns.count:
        raise DecodeError(
            f"task {contract.name!r}: '-> {contract.returns_text}' is {contract.returns.count} return values, "
            f"the report holds {len(values)}"
        )
    return Report(header.name, header.id, Status.SUCCESS, option, None, values, contract.join_returns(values))


def arrived_report(
    contract: Contract,
    header: Header,
    status: Status,
    option: Option,
    failure: Failure | None,
    load: Callable[[], tuple[object, ...]],
    *,
    has_values: bool,
    progress: tuple[float, float | None] | None = None,
) -> Report[object]:
    """A report says one thing: what came back, why it failed, or neither. ``load`` makes the values; it is called for
    a success only. Raises ``DecodeError``."""
    if status is Status.SUCCESS:
        if failure is not None:
            raise DecodeError(f"task {contract.name!r}: a success report holds no error, this one does")
        return arrived_success(contract, header, option, load())
    if has_values:
        raise DecodeError(f"task {contract.name!r}: only a success report holds return values, this is {status.name}")
    if failure is not None and status is not Status.FAIL:
        raise DecodeError(f"task {contract.name!r}: only a fail report holds an error, this is {status.name}")
    if progress is not None and status is not Status.PROGRESS:
        raise DecodeError(f"task {contract.name!r}: only a progress report holds progress, this is {status.name}")
    if failure is not None:  # anybody's text, on its way into logs
        trace = tidy(failure.traceback, keep_tail=True)
        failure = Failure(failure.code, tidy(failure.message), tidy(failure.exception_type), trace, tidy(failure.task))
    return Report(header.name, header.id, status, option, failure, progress=progress)
