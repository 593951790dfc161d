"""What became of one task, for whoever keeps a log. Comes from a worker, goes to ``Runtime.on_task``."""

from __future__ import annotations

from typing import NamedTuple

from typeddingo.message import Status

__all__ = ["TaskRun"]


class TaskRun(NamedTuple):
    """One run of one task; never its values."""

    name: str
    id: str
    status: Status
    """SUCCESS or FAIL."""
    seconds: float
    """From the moment a worker took it to its report."""
    attempt: int
    """How often a worker had been given it, this time included."""
    error: str
    """The type of the exception it failed with; empty when it succeeded."""
    again: float | None = None
    """Seconds until it runs again; None: that was its last run."""
