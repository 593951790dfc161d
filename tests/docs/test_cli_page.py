"""docs/cli.md is a terminal session, run from top to bottom against a real Redis; its snippets name real commands."""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.commands import environment
from tests.docs.console import check, session, start
from tests.docs.pages import ROOT, blocks
from tests.servers import RedisServer
from tests.servers.fixtures import started
from typeddingo.cli import parser
from typeddingo.commands.exits import Exit

PAGE = ROOT / "docs" / "cli.md"
BLOCKS = blocks(PAGE)


@pytest.mark.servers
def test_the_page_is_a_session_that_goes_as_shown(tmp_path: Path) -> None:
    for block in BLOCKS:
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    with ExitStack() as running:
        server = running.enter_context(started(lambda: RedisServer(aof=True)))  # without, workers warn
        env = environment({"SHOP_URL": server.url()})
        for block in BLOCKS:
            for shown in session(block) if block.language == "console" else ():
                if shown.stays:
                    running.enter_context(start(shown, tmp_path, env))
                else:
                    check(shown, tmp_path, env)


def commands() -> Iterator[list[str]]:
    """In the snippets for systemd and Kubernetes."""
    for block in BLOCKS:
        if block.language == "ini":
            unit = configparser.ConfigParser()
            unit.read_string(block.text)
            yield shlex.split(unit["Service"]["ExecStart"])
        if block.language == "yaml":
            for line in re.findall(r"command: (\[.*\])", block.text):
                yield json.loads(line)


def test_the_snippets_hold_commands_that_there_are() -> None:
    found = list(commands())
    assert len(found) == 3
    for program, *arguments in found:
        assert program.endswith("typeddingo")
        assert parser().parse_args(arguments).app == "shop:app"


def test_every_option_of_the_worker_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    options = re.findall(r"^  (--[a-z-]+)", parser_help("worker"), flags=re.MULTILINE)
    assert len(options) == 9
    assert [option for option in options if f"`{option}" not in text] == []


def parser_help(command: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    return out.getvalue()


def test_the_table_of_exit_codes_is_complete() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Exit codes")[2]
    shown = [int(code) for row in re.findall(r"^\| ([\d, ]+) \|", text, flags=re.MULTILINE) for code in row.split(",")]
    assert shown == [*map(int, Exit), 130, 143]
