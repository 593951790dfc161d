"""``typeddingo schedule``: what an app does by itself, when next, and when it did it last."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import UTC, datetime

from typeddingo.commands.exits import Exit
from typeddingo.commands.locate import load_app
from typeddingo.commands.shown import as_json, columns
from typeddingo.scheduling import Schedule

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """One action: ``list``. Asks the server when each has fired."""
    app = load_app(given.app)
    with closing(app):  # entering it would start the schedules of a local one
        schedules = app.schedules()
    if given.json:
        for schedule in schedules:
            print(as_json(_members(schedule)))
    elif schedules:
        heading = ("name", "spec", "tz", "next", "next (UTC)", "last (UTC)", "task")
        print(columns([heading, *map(_row, schedules)]))
    return Exit.OK


def _row(schedule: Schedule) -> tuple[str, ...]:
    here = _moment(schedule.next)
    return (
        schedule.name,
        schedule.spec,
        schedule.tz,
        here,
        _moment(schedule.next and schedule.next.astimezone(UTC)),
        _moment(schedule.last),
        schedule.task,
    )


def _members(schedule: Schedule) -> dict[str, object]:
    return {
        "name": schedule.name,
        "spec": schedule.spec,
        "tz": schedule.tz,
        "catch_up": schedule.catch_up,
        "next": schedule.next and schedule.next.isoformat(),
        "next_utc": schedule.next and _utc(schedule.next),
        "last_utc": schedule.last and _utc(schedule.last),
        "task": schedule.task,
    }


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else moment.replace(tzinfo=None).isoformat(" ", timespec="seconds")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
