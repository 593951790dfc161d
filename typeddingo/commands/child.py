"""One worker process. Comes from ``worker``, with the ``Job`` of its supervisor; goes to the app's workers.

It is asked to end by SIGTERM (or SIGINT), any number of times, or by the end of its supervisor.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import closing
from functools import partial

from typeddingo.app import App
from typeddingo.commands.exits import Exit, Stop
from typeddingo.commands.garbage import Postponed
from typeddingo.commands.inside import entries, entry, log_as, need_remote, of_queues, on_event, on_task, workers_of
from typeddingo.commands.link import FarEnd, Job
from typeddingo.commands.locate import LoadError, load_app
from typeddingo.commands.logs import go_on
from typeddingo.commands.reach import need_reachable
from typeddingo.commands.signals import ENDING, Signals, wait_readable
from typeddingo.commands.signatures import task_lines
from typeddingo.commands.sources import files_behind, own_files
from typeddingo.commands.telling import log_event, log_task
from typeddingo.errors import ConnectionLost, LifespanError, TypedDingoError
from typeddingo.events import Event, EventCode
from typeddingo.registry import Entry

__all__ = ["main"]

_log = logging.getLogger("typeddingo.worker")

LOOK_SECONDS = 0.5
"""How often a process looks for what nobody tells it: that its app was closed, that more files were imported."""
KILL_SECONDS = 2.0
"""After the deadline: the supervisor kills before; this is for one that is gone."""


def main(job: Job, link: FarEnd, garbage: Postponed) -> int:
    """``garbage``: until the workers have started. Returns the exit code."""
    if job.watch:
        sys.dont_write_bytecode = True
    with closing(link), Signals(*ENDING) as signals:
        try:
            return _Process(job, link, signals, garbage).run()
        except Stop as stop:
            if job.watch and isinstance(stop, LoadError):
                link.say_files([*own_files(), *files_behind(stop.cause)])
            _log.error("%s", stop)
            return stop.code
        except ConnectionLost as error:
            _log.error("%s", error)
            return Exit.UNREACHABLE
        except LifespanError as error:
            _log.error("%s", error, exc_info=error.__cause__)
            return Exit.LIFESPAN
        except TypedDingoError as error:
            _log.error("%s", error)
            return Exit.USAGE


class _Process:
    def __init__(self, job: Job, link: FarEnd, signals: Signals, garbage: Postponed) -> None:
        self._job = job
        self._link = link
        self._signals = signals
        self._garbage = garbage
        self._told_to_end = False
        self._cut_off = 0

    def run(self) -> int:
        job, link = self._job, self._link
        app = load_app(job.where)
        go_on()
        if job.watch:
            link.say_files(own_files())
        need_remote(app, job.where)
        chosen = [entry(app, name) for name in job.tasks] or of_queues(app, job.queues)
        if not chosen:
            raise Stop(Exit.USAGE, f"{job.where} has no tasks: decorate a function with @app.task")
        log_as(app, job.log_format, job.log_level)
        on_event(app, self._on_event)
        if _log.isEnabledFor(logging.WARNING):
            on_task(app, log_task)
        with app:
            need_reachable(app, job.connect_deadline, self._ends_within)
            if not self._told_to_end:
                self._work(app, chosen)
            self._drain(app)
        return Exit.NO if self._cut_off else Exit.OK

    def _work(self, app: App, chosen: list[Entry]) -> None:
        """Start the workers, then wait for the end."""
        for task in chosen:
            count = self._job.concurrency or workers_of(app, task)
            if missing := app.allocate(task.name, count):
                _log.warning("%s: %d of %d workers could not be started", task.name, missing, count)
        if self._job.announce:
            self._announce(app, chosen)
        else:
            _log.info("is ready")
        self._garbage.end()
        self._link.say_ready()
        while not self._ends_within(LOOK_SECONDS) and not app.closed:
            if self._job.watch:
                self._link.say_files(own_files())

    def _announce(self, app: App, chosen: list[Entry]) -> None:
        job, names = self._job, {task.name for task in chosen}
        times = f"{job.processes} processes" if job.processes > 1 else "1 process"
        _log.info("%s: %d of %d tasks, %s", job.where, len(chosen), len(entries(app)), times)
        for line in task_lines(app):
            if line.name in names:
                workers = job.concurrency or workers_of(app, entry(app, line.name))
                members: dict[str, object] = {
                    "task": line.name,
                    "signature": line.signature,
                    "queue": line.queue,
                    "workers": workers,
                }
                label = f" of {line.queue!r}" if line.queue != "default" else ""
                each = f", queue {line.name!r}{label}, {workers} worker{'s' if workers > 1 else ''} a process"
                _log.info("runs %s%s", line, each, extra=members)

    def _drain(self, app: App) -> None:
        deadline = self._job.deadline
        _log.info("takes no more tasks; those that run have %g s", deadline)
        seconds = min(deadline + KILL_SECONDS, threading.TIMEOUT_MAX)
        timer = threading.Timer(seconds, partial(os._exit, Exit.NO))
        timer.daemon = True
        timer.start()
        app.close(deadline)

    def _ends_within(self, seconds: float) -> bool:
        """Wait; True as soon as the process is to end."""
        if not self._told_to_end:
            wait_readable((self._signals, self._link), seconds)
            self._told_to_end = bool(self._signals.take()) or self._link.is_cut()
        return self._told_to_end

    def _on_event(self, event: Event) -> None:
        self._cut_off += event.code == EventCode.SHUTDOWN and event.task != ""
        log_event(event)
