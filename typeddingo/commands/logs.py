"""How a worker and its supervisor say things, as text or as one JSON object a line. Comes from both, goes to stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from typeddingo.commands.shown import printable

__all__ = ["go_on", "set_up"]

_MEMBERS = (
    "task",
    "id",
    "status",
    "seconds",
    "attempt",
    "again",
    "error",
    "event",
    "room",
    "signature",
    "queue",
    "workers",
    "exit",
)
"""What a record may carry beside its message; also the order in JSON."""


def set_up(log_format: str, level: str) -> None:
    """Everything that this process logs goes to stderr, ours and the user's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def go_on() -> None:
    """The app has been imported. What it has said about logging holds, but for one thing that nobody means: a
    ``dictConfig`` silences every logger there was before, unless it is told not to."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "typeddingo":
            logging.getLogger(name).disabled = False


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
