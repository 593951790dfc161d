"""Run one task and tell what came of it. Comes from a pool or a worker, goes to a ``Report`` or the outcome itself.

Compiled once a worker: what is known of the task before a call is not looked up during one.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from typeddingo.cancelled import TaskKey
from typeddingo.context import Slot
from typeddingo.failure import failure_of, not_invoked
from typeddingo.header import Header
from typeddingo.headers import NO_HEADERS
from typeddingo.invoker import DirectInvoker, compile_call
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.outcome import Outcome
from typeddingo.registry import Entry
from typeddingo.retry import NOT_AGAIN, Verdict
from typeddingo.time_limit import Timekeeper, limited, limited_async
from typeddingo.wire import NO_PLAIN_FRAMES, Wire

__all__ = [
    "Course",
    "Life",
    "Local",
    "announce",
    "by_reference",
    "by_reference_async",
    "failed",
    "perform",
    "perform_async",
    "through_wire",
    "through_wire_async",
]

Local: TypeAlias = "tuple[Outcome, Any, Any, Option, Course | None]"
"""A call in this process: its outcome, then the checked arguments and named arguments or, encoded, the wire and the
frame; its option; of an unusual one, what has become of it so far."""


class Course(NamedTuple):
    """What is to be known of a call in this process that expires, was tried before, or has headers."""

    expires: float = math.inf
    """Monotonic seconds."""
    retries: int = 0
    headers: Mapping[str, str] = NO_HEADERS


class Life(Protocol):
    """What may happen to a call in this process beside being run once."""

    cancelled: Mapping[TaskKey, object]
    """Empty but for apps that cancel."""

    def is_over(self, call: Local, /) -> bool:
        """It must not start: its caller has been told."""
        ...

    def failed(self, call: Local, report: Report[object], verdict: Verdict, /) -> Report[object] | None:
        """What its caller is told of a failure; None: it runs again."""


def failed(name: str, id: str, option: Option, failure: Failure) -> Report[object]:
    """A Fail report."""
    return Report(name, id, Status.FAIL, option, failure)


# In this process, by reference


def by_reference(entry: Entry, slot: Slot[Any], keeper: Timekeeper, life: Life) -> Callable[[Local], None]:
    """A sync task whose objects never leave the process: the hot path of ``App("local")``."""
    if entry.hooks.watches:
        return _by_reference_reported(entry, slot, keeper, life)
    fn, judge, cancelled = _injected(entry, slot, keeper), _judge(entry), life.cancelled
    fits, split, join = entry.contract.quick_return(), entry.contract.split_returns, entry.contract.join_returns

    def run(call: Local) -> None:
        outcome, args, kwargs, option, course = call
        if (course is not None or cancelled) and life.is_over(call):
            return
        try:
            if option.monitor_progress:
                announce(outcome, option)
            value = fn(*args, **kwargs) if kwargs else fn(*args)
            if not fits(value):
                value = join(split(value))
        except BaseException as error:  # SystemExit too: it ends the task, not the worker
            report = failed(outcome.name, outcome.id, option, failure_of(error))
            if (last := life.failed(call, report, judge(error))) is not None:
                outcome._deliver(last)
        else:
            outcome._succeed(value)

    return run


def _by_reference_reported(entry: Entry, slot: Slot[Any], keeper: Timekeeper, life: Life) -> Callable[[Local], None]:
    """The same where somebody wants to see every report."""
    work = perform(entry, slot, keeper)

    def run(call: Local) -> None:
        outcome, args, kwargs, option, course = call
        if (course is not None or life.cancelled) and life.is_over(call):
            return
        if option.monitor_progress:
            announce(outcome, option)
        report = work(TaskMessage(outcome.name, outcome.id, args, kwargs, option), None)
        last = report if report.ok else life.failed(call, report, slot.verdict)
        if last is not None:
            outcome._deliver(last)

    return run


def by_reference_async(
    entry: Entry, slot: Slot[Any], keeper: Timekeeper, life: Life
) -> Callable[[Local], Coroutine[object, None, None]]:
    """The same for an ``async def``."""
    work = perform_async(entry, slot, keeper)

    async def run(call: Local) -> None:
        outcome, args, kwargs, option, course = call
        if (course is not None or life.cancelled) and life.is_over(call):
            return
        if option.monitor_progress:
            announce(outcome, option)
        report = await work(TaskMessage(outcome.name, outcome.id, args, kwargs, option), None)
        last = report if report.ok else life.failed(call, report, slot.verdict)
        if last is not None:
            outcome._deliver(last)

    return run


# In this process, through the wire codec


def through_wire(entry: Entry, slot: Slot[Any], keeper: Timekeeper, life: Life) -> Callable[[Local], None]:
    """A sync task of ``Config(marshal_locally=True)``: decoded here, its report encoded and decoded again."""
    fn, contract, work = _injected(entry, slot, keeper), entry.contract, perform(entry, slot, keeper)
    judge, cancelled = _judge(entry), life.cancelled
    fits, split, join, one_slot = (
        contract.quick_return(),
        contract.split_returns,
        contract.join_returns,
        contract.one_slot,
    )
    last: Wire | None = None
    plain = NO_PLAIN_FRAMES

    def run(call: Local) -> None:
        nonlocal last, plain
        outcome, wire, frame, option, course = call
        if (course is not None or cancelled) and life.is_over(call):
            return
        if wire is not last:
            last, plain = wire, wire.plain
        if (args := plain.read_call(frame)) is None:  # progress is not monitored: a plain frame says so
            carefully(call)
            return
        try:
            value = fn(*args)
            values = (value,) if one_slot and fits(value) else split(value)
        except BaseException as error:  # SystemExit too: it ends the task, not the worker
            report = failed(outcome.name, outcome.id, option, failure_of(error))
            if (final := life.failed(call, report, judge(error))) is not None:
                _return(call, final)
            return
        if (written := plain.write_success(outcome.id, values)) is None:
            _return(call, Report(outcome.name, outcome.id, Status.SUCCESS, option, None, values, value))
        elif (loaded := plain.read_success(written)) is None:
            _hand_over(outcome, wire, written)
        else:
            outcome._succeed(loaded[0] if one_slot else join(loaded))

    def carefully(call: Local) -> None:
        report: Report[object] | None
        if isinstance(arrived := _arrived(call), TaskMessage):
            report = work(arrived, call[1])
            if report.failed:
                report = life.failed(call, report, slot.verdict)
        else:
            report = arrived
        if report is not None:
            _return(call, report)

    return carefully if entry.hooks.watches else run


def through_wire_async(
    entry: Entry, slot: Slot[Any], keeper: Timekeeper, life: Life
) -> Callable[[Local], Coroutine[object, None, None]]:
    """The same for an ``async def``."""
    work = perform_async(entry, slot, keeper)

    async def run(call: Local) -> None:
        if (call[4] is not None or life.cancelled) and life.is_over(call):
            return
        report: Report[object] | None
        if isinstance(arrived := _arrived(call), TaskMessage):
            report = await work(arrived, call[1])
            if report.failed:
                report = life.failed(call, report, slot.verdict)
        else:
            report = arrived
        if report is not None:
            _return(call, report)

    return run


def _arrived(call: Local) -> TaskMessage | Report[object]:
    """The task of a frame, or the report that says why there is none."""
    outcome, option = call[0], call[3]
    wire: Wire = call[1]
    frame: bytes = call[2]
    if option.monitor_progress:
        announce(outcome, option)
    try:
        return wire.decode_task(Header.from_bytes(frame), frame)
    except Exception as error:
        return failed(outcome.name, outcome.id, option, not_invoked(error))


def _return(call: Local, report: Report[object]) -> None:
    outcome, wire, *_ = call
    try:
        frame = wire.encode_report(report)
    except Exception as error:
        outcome._close(error)
    else:
        _hand_over(outcome, wire, frame)


def _hand_over(outcome: Outcome, wire: Wire, frame: bytes) -> None:
    """The report in a frame, as its caller reads it."""
    try:
        outcome._deliver(wire.decode_report(Header.from_bytes(frame), frame))
    except Exception as error:
        outcome._close(error)


def announce(outcome: Outcome, option: Option) -> None:
    """The two reports before the final one, for who monitors progress (Go: both right before the call)."""
    outcome._deliver(Report(outcome.name, outcome.id, Status.SENT, option))
    outcome._deliver(Report(outcome.name, outcome.id, Status.PROGRESS, option))


# Anywhere

_DIRECT = DirectInvoker()


def perform(entry: Entry, slot: Slot[Any], keeper: Timekeeper) -> Callable[[TaskMessage, Wire | None], Report[object]]:
    """A sync task, from message to report. Total: whatever happens becomes a report."""
    invoke, contract = _invoke(entry, slot, keeper), entry.contract
    fits, split, one_slot, judge = contract.quick_return(), contract.split_returns, contract.one_slot, _judge(entry)

    def run(task: TaskMessage, wire: Wire | None) -> Report[object]:
        try:
            value = invoke(wire)(task.args, task.kwargs)
            values = (value,) if one_slot and fits(value) else split(value)
        except BaseException as error:
            slot.verdict = judge(error)
            return failed(task.name, task.id, task.option, failure_of(error))
        return Report(task.name, task.id, Status.SUCCESS, task.option, None, values, contract.join_returns(values))

    return entry.hooks.watched(run, slot) if entry.hooks.watches else run


def perform_async(
    entry: Entry, slot: Slot[Any], keeper: Timekeeper
) -> Callable[[TaskMessage, Wire | None], Coroutine[object, None, Report[object]]]:
    """As ``perform``, for an ``async def``. A cancelled coroutine is a failed task."""
    invoke, contract = _invoke(entry, slot, keeper), entry.contract
    fits, split, one_slot, judge = contract.quick_return(), contract.split_returns, contract.one_slot, _judge(entry)

    async def run(task: TaskMessage, wire: Wire | None) -> Report[object]:
        try:
            value = await invoke(wire)(task.args, task.kwargs)
            values = (value,) if one_slot and fits(value) else split(value)
        except BaseException as error:
            slot.verdict = judge(error)
            return failed(task.name, task.id, task.option, failure_of(error))
        return Report(task.name, task.id, Status.SUCCESS, task.option, None, values, contract.join_returns(values))

    return entry.hooks.watched_async(run, slot) if entry.hooks.watches else run


def _judge(entry: Entry) -> Callable[[BaseException], Verdict]:
    """What an exception of this task means for another run."""
    return entry.retry.judge if entry.retry is not None else _never


def _never(error: BaseException) -> Verdict:
    return NOT_AGAIN


def _injected(entry: Entry, slot: Slot[Any], keeper: Timekeeper) -> Callable[..., Any]:
    """The function as a worker calls it: the context, where it wants one, goes in first, its time is limited,
    and middleware stands around it."""
    fn: Callable[..., Any] = entry.fn
    if entry.timeout is not None:
        is_async = entry.contract.is_async
        fn = limited_async(fn, entry.timeout) if is_async else limited(fn, entry.timeout, keeper)
    if entry.context:
        fn = _with_context(fn, slot)
    if entry.hooks.runs:
        fn = entry.hooks.around_async(fn, slot) if entry.contract.is_async else entry.hooks.around(fn, slot)
    return fn


def _with_context(fn: Callable[..., Any], slot: Slot[Any]) -> Callable[..., Any]:
    context = slot.context
    return lambda *args, **kwargs: fn(context(), *args, **kwargs)


def _invoke(
    entry: Entry, slot: Slot[Any], keeper: Timekeeper
) -> Callable[[Wire | None], Callable[[tuple[object, ...], Mapping[str, object]], Any]]:
    """How the function is called: as the marshaller that decoded the arguments says. Compiled when that changes."""
    fn = _injected(entry, slot, keeper)
    last: Wire | None = None
    call = compile_call(_DIRECT, entry.contract, fn)

    def invoke(wire: Wire | None) -> Callable[[tuple[object, ...], Mapping[str, object]], Any]:
        nonlocal last, call
        if wire is not last:
            call = compile_call(wire.invoker if wire else _DIRECT, entry.contract, fn)
            last = wire
        return call

    return invoke
