"""What a child process is told when it starts. Comes from a worker, goes to ``commands.isolated``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any, NamedTuple

from typeddingo.config import Limits
from typeddingo.isolation.place import Place, place_of_app
from typeddingo.registry import Entry

__all__ = ["BOOTSTRAP", "Job"]

BOOTSTRAP = (
    "import json, sys; job = json.loads(sys.argv[1]); sys.path[:] = job['path']; sys.argv[:] = job['argv']; "
    "from typeddingo.commands.isolated import main; main(job)"
)
"""The child's own program: finds modules where its parent does."""


class Job(NamedTuple):
    """Immutable; JSON."""

    place: Place
    task: str
    settings: dict[str, Any]
    """Of a task that is not registered when its module is imported: an app that a function makes, say."""
    usual: bool
    """These say all; else the child must find the task registered."""
    limits: dict[str, Any]
    path: list[str]
    argv: list[str]
    app: Place | None = None
    """The place of the app that the task belongs to; None: it is nobody's global."""
    log: tuple[str, str] | None = None
    """Format and level of what the worker logs; None: that is its program's business."""
    work: int = -1
    """The number of the file descriptor of the channel ..."""
    line: int = -1
    """... and of the one that tells, when it closes, that the worker is gone."""

    @classmethod
    def of(cls, entry: Entry, place: Place, limits: Limits, log: tuple[str, str] | None = None) -> Job:
        """What the child of any worker of this task is told."""
        ids = [value for value in (entry.marshaller, entry.report_marshaller) if isinstance(value, int) and value < 4]
        settings = {
            "context": entry.context,
            "strict": entry.contract.strict,
            "timeout": entry.timeout,
            "marshaller": ids[0] if ids else 0,
            "report_marshaller": ids[-1] if ids else 0,
        }
        usual = len(ids) == 2 and entry.contract.converter is None and entry.retry is None
        app, path, argv = place_of_app(entry), list(sys.path), list(sys.argv)
        return cls(place, entry.name, settings, usual, asdict(limits), path, argv, app, log)

    def to_json(self, work: int, line: int) -> str:
        """With the descriptors of one child."""
        return json.dumps(self._replace(work=work, line=line)._asdict())

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Job:
        job = cls(**told)
        return job._replace(place=Place(*job.place), app=job.app and Place(*job.app))  # JSON has lists only
