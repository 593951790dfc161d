"""``@app.cron`` and ``@app.every``, typed once for all that collects tasks. Comes from the user's module, goes to
``_schedule`` of the ``App`` or of a ``Tasks`` collection; what comes back is the task's own handle.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

from typeddingo.errors import ConfigError

if TYPE_CHECKING:
    from typeddingo.option import Option
    from typeddingo.result import Result
    from typeddingo.rhythm import CatchUp, Rhythm

__all__ = ["Plan", "Schedulable", "Schedule", "ScheduleDecorator", "Scheduled"]

LONGEST = 90
"""Bytes of a name: with a moment behind it, it is an id."""
CATCH_UP = ("none", "last", "all")


class Schedulable(Protocol):
    """A task that can be called without arguments: it has none, or a default for each."""

    @property
    def name(self) -> str: ...

    def call(self) -> Result[object]: ...


S = TypeVar("S", bound=Schedulable)


class Schedule(NamedTuple):
    """What ``App.schedules`` tells of one schedule."""

    name: str
    """What it is called in every process."""
    task: str
    """The name of the task that it sends."""
    spec: str
    """The line of cron, or ``every 10s``."""
    tz: str
    """The time zone whose clock it goes by."""
    catch_up: CatchUp
    """What becomes of the runs that nobody was there for."""
    next: datetime | None
    """When it is due next, in its time zone; None: never again."""
    last: datetime | None
    """When it was due last, or first seen; UTC. None: never, or the broker does not tell."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule as it was declared."""

    name: str
    """Empty: the task's name, with a number from the second on."""
    task: str
    rhythm: Rhythm
    catch_up: CatchUp
    option: Option | None
    """Of the handle that was decorated; None: the task's own."""


class Scheduled(Protocol):
    """What ``@app.cron(…)`` gives: takes the task, returns the same."""

    def __call__(self, task: S, /) -> S: ...


class ScheduleDecorator(abc.ABC):
    """Base of everything schedules can be declared on."""

    @abc.abstractmethod
    def _schedule(self, plan: Plan) -> None:
        """Take a schedule in. Raises ``ConfigError``."""

    def cron(self, spec: str, /, *, tz: str = "UTC", name: str | None = None, catch_up: CatchUp = "last") -> Scheduled:
        """Send a task whenever a line of cron says so: ``@app.cron("*/5 * * * *", tz="Europe/Berlin")`` above
        ``@app.task`` (Go: none). It needs the package cronsim: ``pip install 'typeddingo[cron]'``.

        ``tz``: the time zone whose clock it goes by. ``name``: what the schedule is called in every process, by default
        like its task. ``catch_up``, when no worker was there: ``"last"`` makes up for all missed runs with one,
        ``"all"`` with each of the latest hundred, ``"none"`` with none. The task must be callable without arguments; it
        may have several schedules. Raises ``ConfigError``.
        """
        from typeddingo.rhythm import Cron  # needs what many apps do without

        return self._decorate(Cron(spec, tz), name, catch_up)

    def every(
        self,
        *,
        seconds: float = 0.0,
        minutes: float = 0.0,
        hours: float = 0.0,
        name: str | None = None,
        catch_up: CatchUp = "last",
    ) -> Scheduled:
        """Send a task again and again: ``@app.every(minutes=5)`` above ``@app.task`` (Go: none). It is due when
        the time since the epoch is a multiple of that, by no process's own start. Otherwise as ``cron``."""
        from typeddingo.rhythm import Every

        for value in (seconds, minutes, hours):
            if isinstance(value, bool) or not isinstance(cast("object", value), (int, float)):
                raise ConfigError("every: expected numbers of seconds, minutes and hours")
        return self._decorate(Every(seconds + 60 * minutes + 3600 * hours), name, catch_up)

    def _decorate(self, rhythm: Rhythm, name: str | None, catch_up: CatchUp) -> Scheduled:
        if catch_up not in CATCH_UP:
            raise ConfigError(f"catch_up: expected {', '.join(map(repr, CATCH_UP))}, got {catch_up!r}")
        if name is not None and (not isinstance(cast("object", name), str) or not name or not name.isprintable()):
            raise ConfigError("name: expected a text that can be printed")

        def decorate(task: S, /) -> S:
            from typeddingo.task import Task  # which comes here for nothing else

            handle = cast("object", task)
            if not isinstance(handle, Task):
                raise ConfigError("a schedule goes above @app.task: what it is put on must be a task")
            option = cast("Task[[], object]", handle)._option  # pyright: ignore[reportPrivateUsage]  # same package
            self._schedule(Plan(name or "", task.name, rhythm, catch_up, option))
            return task

        return decorate
