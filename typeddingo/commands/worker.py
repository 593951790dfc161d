"""``typeddingo worker``: from the command line to a supervisor and its processes."""

from __future__ import annotations

import argparse

from typeddingo.commands.garbage import Postponed
from typeddingo.commands.link import Job
from typeddingo.commands.logs import set_up
from typeddingo.commands.supervisor import Supervisor

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """Blocks until the workers have ended. Goes on in each of their processes, too, until its own have."""
    set_up(given.log_format, given.log_level)
    job = Job(
        where=given.app,
        tasks=given.tasks,
        queues=given.queues,
        concurrency=given.concurrency,
        processes=given.processes,
        deadline=given.deadline,
        connect_deadline=given.connect_deadline,
        log_format=given.log_format,
        log_level=given.log_level,
        watch=given.reload,
    )
    outcome = Supervisor(job, given.processes).run()
    if isinstance(outcome, int):
        return outcome
    garbage = Postponed()
    from typeddingo.commands import child  # it loads the app, which the supervisor must not

    return child.main(*outcome, garbage)
