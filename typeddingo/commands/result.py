"""``typeddingo result``: what a task has returned, by the id of its call. Printed as ``typeddingo call`` does."""

from __future__ import annotations

import argparse
import sys
import time

from typeddingo.commands.call import returned_as_json
from typeddingo.commands.exits import Exit, Stop
from typeddingo.commands.inside import entry, need_remote, result_of
from typeddingo.commands.locate import load_app
from typeddingo.commands.reach import need_reachable
from typeddingo.errors import ResultClosed, ResultExpired, ResultTimeout
from typeddingo.message import Status

__all__ = ["run"]

PATIENCE = 5.0
"""Seconds for the server to answer at all."""


def run(given: argparse.Namespace) -> int:
    """Prints the result as JSON, or the failure to stderr."""
    app = load_app(given.app)
    need_remote(app, given.app)
    with app:
        task = entry(app, given.name)
        need_reachable(app, PATIENCE, _pause)
        try:
            report = result_of(app, task, given.id).wait(given.wait)
        except ResultTimeout:
            raise Stop(Exit.NO_ANSWER, f"no result in {given.wait:g} s: the task waits, runs or is not known") from None
        except (ResultExpired, ResultClosed) as error:
            raise Stop(Exit.NO, str(error)) from None
        if report.status is Status.SUCCESS:
            sys.stdout.write(returned_as_json(task.contract, report.value) + "\n")
            sys.stdout.flush()
        if given.forget:
            app.forget(given.name, given.id)
        if report.error is not None:
            raise Stop(Exit.NO, str(report.error))
        return Exit.OK


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False
