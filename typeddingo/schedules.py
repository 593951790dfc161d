"""The schedules of one app, and who fires them. Comes from ``@app.cron`` and ``@app.every``, goes to the scheduler."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from typeddingo._io.threads import Deadline
from typeddingo.bridge import Bridge
from typeddingo.broker import Parcel
from typeddingo.errors import ArgumentError, ConfigError
from typeddingo.registry import Entry, Registry
from typeddingo.runtime import Runtime
from typeddingo.scheduling import LONGEST, Plan, Schedule

if TYPE_CHECKING:
    from typeddingo.scheduler import Planned, Scheduler

__all__ = ["Schedules"]

CLOSE_SECONDS = 0.5


class Schedules:
    """Thread-safe. An app without schedules has one of these and nothing behind it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._plans: dict[str, Plan] = {}
        self._served: set[str] = set()
        self._serves_all = False
        self._runtime: Runtime | None = None
        self._bridge: Bridge | None = None
        self._scheduler: Scheduler | None = None

    def start_over(self, runtime: Runtime, bridge: Bridge) -> None:
        """At first, and in a forked child: nobody here has workers yet."""
        self._lock = threading.Lock()
        self._runtime, self._bridge, self._scheduler = runtime, bridge, None
        self._served, self._serves_all = set(), False

    def add(self, plan: Plan) -> None:
        """Raises ``ConfigError`` for a task that cannot be called without arguments and for a name that is taken."""
        entry = self._registry.find(plan.task)
        if entry is None:
            raise ConfigError(
                f"task {plan.task!r} belongs to no app yet, or to another one: a schedule is declared where its task is"
            )
        try:
            entry.contract.bind((), {})
        except ArgumentError as error:
            raise ConfigError(
                f"task {plan.task!r} cannot have a schedule, which calls it without arguments: give every parameter a "
                "default, or schedule a task of its own that calls this one"
            ) from error
        with self._lock:
            plan = replace(plan, name=plan.name or self._free_name(plan.task))
            if len(plan.name.encode()) > LONGEST:
                raise ConfigError(
                    f"schedule {plan.name[:40]!r}…: its name is longer than {LONGEST} bytes; give it name="
                )
            if plan.name in self._plans:
                raise ConfigError(f"a schedule called {plan.name!r} is there already: give one of them another name=")
            self._plans[plan.name] = plan
        if self._serves_all or plan.task in self._served:
            self._serve([plan])

    def serve(self, task: str) -> None:
        """There are workers of this task here. Raises ``ConfigError``: the broker cannot remember what has fired."""
        self._served.add(task)
        if plans := [plan for plan in list(self._plans.values()) if plan.task == task]:
            self._serve(plans)

    def serve_all(self) -> None:
        """Every task runs here, whenever it is called."""
        self._serves_all = True
        if self._plans:
            self._serve(list(self._plans.values()))

    def listing(self) -> list[Schedule]:
        """See ``App.schedules``."""
        from typeddingo.timetable import ScheduleKey

        assert self._bridge is not None
        plans = sorted(self._plans.values(), key=lambda plan: plan.name)
        if not plans:
            return []
        lasts = self._bridge.timetable().last_fired([ScheduleKey(plan.name, plan.task) for plan in plans])
        now = datetime.now(UTC).timestamp()
        return [_told(plan, now, last) for plan, last in zip(plans, lasts, strict=True)]

    def close(self) -> None:
        """Fire no more. Idempotent; does not wait for a server that does not answer."""
        with self._lock:
            scheduler = self._scheduler
        if scheduler is not None:
            scheduler.close()
            scheduler.join(Deadline(CLOSE_SECONDS))

    def join(self, deadline: Deadline) -> None:
        """After ``close``, once the adapters are closed too."""
        if self._scheduler is not None:
            self._scheduler.join(deadline)

    def _serve(self, plans: Sequence[Plan]) -> None:
        from typeddingo.scheduler import Scheduler  # an app without schedules does without

        runtime, bridge = self._runtime, self._bridge
        assert runtime is not None
        assert bridge is not None
        with self._lock:
            if runtime.closing:
                return
            if (scheduler := self._scheduler) is None:
                scheduler = self._scheduler = Scheduler(runtime, bridge.timetable)
        scheduler.serve([self._planned(bridge, plan) for plan in plans])

    def _planned(self, bridge: Bridge, plan: Plan) -> Planned:
        from typeddingo.scheduler import Planned
        from typeddingo.timetable import ScheduleKey

        entry = self._registry.get(plan.task)
        return Planned(
            ScheduleKey(plan.name, plan.task), plan.rhythm, plan.catch_up, partial(_parcel, bridge, entry, plan)
        )

    def _free_name(self, task: str) -> str:
        """The caller holds the lock."""
        name, number = task, 1
        while name in self._plans:
            number += 1
            name = f"{task}-{number}"
        return name


def _parcel(bridge: Bridge, entry: Entry, plan: Plan, id: str) -> Parcel:
    option = replace(plan.option or entry.option, ignore_report=True, monitor_progress=False)
    return bridge.parcel(entry, id, option)


def _told(plan: Plan, now: float, last: float | None) -> Schedule:
    from zoneinfo import ZoneInfo

    zone = UTC if plan.rhythm.tz == "UTC" else ZoneInfo(plan.rhythm.tz)
    due = plan.rhythm.after(now)
    return Schedule(
        plan.name,
        plan.task,
        plan.rhythm.spec,
        plan.rhythm.tz,
        plan.catch_up,
        None if due is None else datetime.fromtimestamp(due, zone),
        None if last is None else datetime.fromtimestamp(last, UTC),
    )
