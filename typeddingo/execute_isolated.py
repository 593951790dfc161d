"""Run one task in a child process and tell what came of it. Comes from a pool or a worker, as ``execute``; goes to the
seat of that worker and, from the child's report, to a ``Report`` or the outcome itself."""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from typeddingo.cancelled import TaskKey
from typeddingo.context import Slot
from typeddingo.desk import Arrival
from typeddingo.errors import ErrorCode
from typeddingo.execute import Life, Local, announce, failed
from typeddingo.header import Header
from typeddingo.isolation.abandoned import Abandoned
from typeddingo.isolation.children import Children
from typeddingo.isolation.seat import Seat
from typeddingo.message import Failure, Report, Status, TaskMessage
from typeddingo.outcome import shutdown_report
from typeddingo.registry import Entry
from typeddingo.wire import Wire

__all__ = ["in_child", "through_child"]


def in_child(
    entry: Entry, slot: Slot[Arrival], children: Children
) -> Callable[[TaskMessage, Wire | None], Report[object]]:
    """As ``execute.perform``, for tasks that came from a broker: the child gets the frame as it came. Raises
    ``Abandoned``, and nothing else."""
    seat = children.seat(entry)

    def run(task: TaskMessage, wire: Wire | None) -> Report[object]:
        assert wire is not None
        assert slot.job is not None
        return _run(seat, slot, wire, task.name, task.id, slot.job[2].body, task.cancelled_as)

    return run


def through_child(entry: Entry, slot: Slot[Any], children: Children, life: Life) -> Callable[[Local], None]:
    """As ``execute.through_wire``: the frame goes to the child."""
    seat, cancelled = children.seat(entry), life.cancelled

    def run(call: Local) -> None:
        outcome, wire, frame, option, course = call
        if (course is not None or cancelled) and life.is_over(call):
            return
        if option.monitor_progress:
            announce(outcome, option)
        try:
            report = _run(seat, slot, wire, outcome.name, outcome.id, frame, ((outcome.name, outcome.id),))
        except Abandoned:
            outcome._deliver(shutdown_report(outcome.name, outcome.id, option))
            return
        last = life.failed(call, report, slot.verdict) if report.failed else report
        if last is not None:
            outcome._deliver(last)

    return run


def _run(
    seat: Seat, slot: Slot[Any], wire: Wire, name: str, id: str, frame: bytes, keys: Sequence[TaskKey]
) -> Report[object]:
    context = slot.context()

    def on_progress(body: bytes) -> None:
        with contextlib.suppress(Exception):  # it is no more than a hint
            context._emit(wire.decode_report(Header.from_bytes(body), body))

    answer = seat.run(keys, frame, context.attempt, on_progress)
    slot.verdict = answer.verdict
    if answer.failure is not None:
        return failed(name, id, context.option, answer.failure)
    if (values := wire.plain.read_success(answer.report, id)) is not None:
        return Report(name, id, Status.SUCCESS, context.option, None, values, wire.join_returns(values))
    try:
        return wire.decode_report(Header.from_bytes(answer.report), answer.report)
    except Exception as error:
        what = f"the report of the process that ran it cannot be read: {error}"
        return failed(name, id, context.option, Failure(ErrorCode.RETURN, what))
