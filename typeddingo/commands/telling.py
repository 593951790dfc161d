"""What a worker process tells of its tasks and of what happens to it. Comes from task runs and events, goes to the log.

No line holds a task's values.
"""

from __future__ import annotations

import logging

from typeddingo.events import Event, EventCode, EventLevel
from typeddingo.message import Status
from typeddingo.task_run import TaskRun

__all__ = ["log_event", "log_task"]

_app_log = logging.getLogger("typeddingo.worker")
_task_log = logging.getLogger("typeddingo.task")
_LEVEL_OF = {
    EventLevel.DEBUG: logging.DEBUG,
    EventLevel.INFO: logging.INFO,
    EventLevel.WARNING: logging.WARNING,
    EventLevel.ERROR: logging.ERROR,
}


def log_task(run: TaskRun) -> None:
    """One line a task. Not through ``Logger.log``, which looks for its caller first: half of what a line costs, and
    some workers write thousands a second."""
    ok = run.status is Status.SUCCESS
    level = logging.INFO if ok else logging.WARNING
    if _task_log.isEnabledFor(level):
        record = logging.LogRecord(_task_log.name, level, "", 0, _TASK, run[:2] + _tail(run), None)
        members = vars(record)
        members["task"], members["id"], members["status"] = run.name, run.id, _status(run)
        members["seconds"], members["attempt"] = round(run.seconds, 6), run.attempt
        if run.error:
            members["error"] = run.error
        if run.again is not None:
            members["again"] = round(run.again, 6)
        _task_log.handle(record)


_TASK = "%s id=%s %s in %.3f s, attempt %d%s"


def _tail(run: TaskRun) -> tuple[object, ...]:
    error = f", {run.error}" if run.error else ""
    again = f", again in {run.again:.3g} s" if run.again is not None else ""
    return _status(run), run.seconds, run.attempt, error + again


def _status(run: TaskRun) -> str:
    return run.status.name if run.again is None else "RETRY"


def log_event(event: Event) -> None:
    """One line an event, at its own level."""
    level = _LEVEL_OF.get(event.level, logging.ERROR)
    if _app_log.isEnabledFor(level):
        code = EventCode(event.code).name
        about = f"{event.task} id={event.id}: " if event.task else ""
        members: dict[str, object] = {"event": code, "room": event.origin.name}
        if event.task:
            members.update(task=event.task, id=event.id)
        _app_log.log(level, "%s %s%s", code, about, event.message, extra=members)
