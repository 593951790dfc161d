"""What a worker says of tasks and events, to people and to machines; and how the other commands print."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from typeddingo import Event, EventCode, EventLevel, Role, Status
from typeddingo.commands.logs import set_up
from typeddingo.commands.shown import columns, printable
from typeddingo.commands.signals import wait_readable
from typeddingo.commands.telling import log_event, log_task
from typeddingo.task_run import TaskRun

HOSTILE = "x\x1b[31m\nERROR forged\u202e"
HARMLESS = "x\\x1b[31m\\nERROR forged\\u202e"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # pytest uses it
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_what_comes_from_a_frame_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("text", "info")
    log_event(Event(Role.CONSUMER, EventLevel.ERROR, EventCode.UNDECODABLE, HOSTILE, task=HOSTILE, id=HOSTILE))
    log_task(TaskRun("shop.greet", HOSTILE, Status.FAIL, 0.25, 3, "ValueError"))
    event, task = said(capsys).splitlines()
    assert event.endswith(
        f"ERROR   {event.split()[2]} typeddingo.worker: UNDECODABLE {HARMLESS} id={HARMLESS}: {HARMLESS}"
    )
    assert task.endswith(f"typeddingo.task: shop.greet id={HARMLESS} FAIL in 0.250 s, attempt 3, ValueError")


def test_in_json_an_event_has_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "info")
    log_event(Event(Role.CONSUMER | Role.NAMED_CONSUMER, EventLevel.WARNING, EventCode.CONNECTION, "lost"))
    log_event(Event(Role.WORKER, EventLevel.ERROR, EventCode.DEAD_LETTER, HOSTILE, task="shop.greet", id="7"))
    first, second = map(json.loads, said(capsys).splitlines())
    assert (first["level"], first["event"], first["room"]) == ("WARNING", "CONNECTION", "CONSUMER|NAMED_CONSUMER")
    assert "task" not in first
    assert (second["task"], second["id"], second["message"]) == (
        "shop.greet",
        "7",
        f"DEAD_LETTER shop.greet id=7: {HOSTILE}",
    )


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_events_keep_their_level(capsys: pytest.CaptureFixture[str], level: str, shown: int) -> None:
    set_up("text", level)
    for each in EventLevel:
        log_event(Event(Role.WORKER, each, EventCode.GENERIC, "something"))
    assert said(capsys).count("\n") == shown


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_users_own_lines_are_left_as_they_are(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    set_up(log_format, "info")
    try:
        raise KeyError("k")
    except KeyError:
        logging.getLogger("shop").exception("first\nsecond")
    text = said(capsys)
    if log_format == "json":
        line = json.loads(text)
        assert (line["logger"], line["message"]) == ("shop", "first\nsecond")
        assert line["traceback"].endswith("KeyError: 'k'")
    else:
        assert "shop: first\nsecond\nTraceback (most recent call last):\n" in text


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    rows = [("queue", "waiting"), ("a", 5), ("long name", 12345)]
    assert columns(rows) == "queue      waiting\na                5\nlong name    12345"


def test_a_cell_cannot_steer_the_terminal() -> None:
    assert columns([("reason",), (HOSTILE,)]) == f"reason\n{HARMLESS}"
    assert printable("Grüße, 你好") == "Grüße, 你好"


def test_the_supervisor_is_small() -> None:
    """It lives beside its processes all the time, and needs nothing that an app needs."""
    heavy = "{'pydantic_core', 'asyncio', 'inspect', 'redis', 'pika'}"
    code = f"import sys, typeddingo.commands.worker; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_in_json_a_task_that_runs_again_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "info")
    log_task(TaskRun("shop.greet", "7", Status.FAIL, 0.25, 1, "ValueError", 1.5))
    (line,) = map(json.loads, said(capsys).splitlines())
    assert (line["attempt"], line["again"]) == (1, 1.5)


def test_a_wait_of_years_is_a_long_wait_and_no_error() -> None:
    read, write = os.pipe()
    os.write(write, b"x")
    with open(read, "rb") as source:
        wait_readable([source], 1e9)
    os.close(write)


def test_an_app_that_sets_logging_up_anew_does_not_silence_the_worker() -> None:
    code = (
        "import logging, logging.config, typeddingo.commands.child\n"
        "from typeddingo.commands.logs import go_on, set_up\n"
        "set_up('text', 'info')\n"
        "logging.config.dictConfig({'version': 1})\n"
        "go_on()\n"
        "print([logging.getLogger(name).disabled for name in ('typeddingo.worker', 'typeddingo')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[False, False]"
