"""What a worker process says, as text or as one JSON object a line. Comes from events and task runs, goes to stderr.

No line holds a task's values.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from typeddingo.commands.shown import printable
from typeddingo.events import Event, EventCode, EventLevel
from typeddingo.message import Status
from typeddingo.task_run import TaskRun

__all__ = ["FORMATS", "LEVELS", "log_event", "log_task", "set_up"]

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

_app_log = logging.getLogger("typeddingo.worker")
_task_log = logging.getLogger("typeddingo.task")
_LEVEL_OF = {
    EventLevel.DEBUG: logging.DEBUG,
    EventLevel.INFO: logging.INFO,
    EventLevel.WARNING: logging.WARNING,
    EventLevel.ERROR: logging.ERROR,
}
_MEMBERS = ("task", "id", "status", "seconds", "attempt", "error", "event", "room", "signature", "workers", "exit")
"""What a record may carry beside its message; also the order in JSON."""


def set_up(log_format: str, level: str) -> None:
    """Everything that this process logs goes to stderr, ours and the user's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def log_task(run: TaskRun) -> None:
    """One line a task. Not through ``Logger.log``, which looks for its caller first: half of what a line costs, and
    some workers write thousands a second."""
    ok = run.status is Status.SUCCESS
    level = logging.INFO if ok else logging.WARNING
    if _task_log.isEnabledFor(level):
        record = logging.LogRecord(_task_log.name, level, "", 0, _TASK, run[:2] + _tail(run), None)
        members = vars(record)
        members["task"], members["id"], members["status"] = run.name, run.id, run.status.name
        members["seconds"], members["attempt"] = round(run.seconds, 6), run.attempt
        if run.error:
            members["error"] = run.error
        _task_log.handle(record)


_TASK = "%s id=%s %s in %.3f s, attempt %d%s"


def _tail(run: TaskRun) -> tuple[object, ...]:
    return run.status.name, run.seconds, run.attempt, f", {run.error}" if run.error else ""


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


class _Text(logging.Formatter):
    """``time level pid logger: message``."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if "id" in vars(record) or "event" in vars(record):  # parts of it may come from anybody's frame
            text = printable(text)
        line = f"{_moment(record)} {record.levelname:<7} {record.process} {record.name}: {text}"
        return f"{line}\n{trace}" if (trace := _trace(self, record)) else line


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        members: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "pid": os.getpid(),
        }
        carried: Mapping[str, object] = vars(record)
        members.update((name, carried[name]) for name in _MEMBERS if name in carried)
        if trace := _trace(self, record):
            members["traceback"] = trace
        return _encode(members)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
