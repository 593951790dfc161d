"""``typeddingo schedule list``: when, and when last; on a server, and for an app that has none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.commands import Worker, run

MODULE = """
from __future__ import annotations

import os

from typeddingo import App

app = App(os.environ.get("CLOCK_URL", "local"))


@app.cron("30 9 * * mon-fri", tz="Europe/Berlin", name="report", catch_up="none")
@app.every(seconds=0.2)
@app.task(name="tidy")
def tidy() -> None: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clock.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=["redis_url", "amqp_url"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def test_a_local_app_says_when_it_is_due(folder: Path) -> None:
    done = run(folder, "schedule", "list", "clock:app")
    assert (done.code, done.err) == (0, "")
    heading, report, tidy = done.out.splitlines()
    assert heading.split() == ["name", "spec", "tz", "next", "next", "(UTC)", "last", "(UTC)", "task"]
    assert report.startswith("report  30 9 * * mon-fri  Europe/Berlin  2")
    assert " 09:30:00 " in report
    assert report.endswith("  -           tidy")
    assert tidy.startswith("tidy    every 0.2s        UTC")


def test_a_program_can_read_it(folder: Path) -> None:
    done = run(folder, "schedule", "list", "clock:app", "--json")
    report, tidy = (json.loads(line) for line in done.out.splitlines())
    assert report | {"next": "", "next_utc": ""} == {
        "name": "report",
        "spec": "30 9 * * mon-fri",
        "tz": "Europe/Berlin",
        "catch_up": "none",
        "next": "",
        "next_utc": "",
        "last_utc": None,
        "task": "tidy",
    }
    due = datetime.fromisoformat(report["next"])
    assert (due.hour, due.minute) == (9, 30)
    assert datetime.fromisoformat(report["next_utc"]) == due > datetime.now(UTC)
    assert tidy["catch_up"] == "last"


def test_an_app_without_schedules_has_none(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("from typeddingo import App\napp = App('local')\n", encoding="utf-8")
    assert run(tmp_path, "schedule", "list", "none:app") == (0, "", "")


@pytest.mark.servers
def test_the_server_knows_when_each_was_last_due(folder: Path, url: str) -> None:
    env = {"CLOCK_URL": url}

    def last(name: str) -> str | None:
        done = run(folder, "schedule", "list", "clock:app", "--json", env=env)
        assert (done.code, done.err) == (0, "")
        found = {line["name"]: line["last_utc"] for line in map(json.loads, done.out.splitlines())}
        moment: str | None = found[name]
        return moment

    assert last("tidy") is None
    with Worker(folder, "clock:app", env=env) as worker:
        worker.until("id=tidy@")
    moment = last("tidy")
    assert moment is not None
    assert abs((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()) < 60


def test_a_server_that_is_away_is_exit_code_3(folder: Path) -> None:
    done = run(folder, "schedule", "list", "clock:app", env={"CLOCK_URL": "redis://localhost:1/0?send_timeout=0.5"})
    assert done.code == 3
    assert done.err.startswith("typeddingo: ")
    assert done.err.count("\n") == 1
