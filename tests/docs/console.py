"""Shell sessions in Markdown pages: run as shown, compared with what is shown. Ids, times and pids differ each time."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.cli.commands import Worker
from tests.docs.pages import Block
from typeddingo.testing import eventually

DIFFERS = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "<moment>"),
    (re.compile(r"\b\d{13}-[0-9a-f]+\b"), "<key>"),
    (re.compile(r"(<time> [A-Z]+ +)\d+"), r"\1<pid>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), r"<\2>"),
    (re.compile(r"  +"), "  "),
)
"""What is not the same twice, and what is compared instead."""


LOOKS = ("ls ", "typeddingo queues ", "typeddingo dead list ", "typeddingo ping ")
"""What only looks, and may look again until it sees what is shown: a server counts a moment later."""


class Shown(NamedTuple):
    """One command of a session and what stands below it."""

    command: str
    output: str

    @property
    def stays(self) -> bool:
        """It runs until it is told to end."""
        return self.command.startswith("typeddingo worker")


def session(block: Block) -> Iterator[Shown]:
    """The commands of one console block; a long one may go on after a backslash."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, output = re.match(r"((?:.*\\\n)*.*)\n((?s:.*))", part).groups()  # type: ignore[union-attr]  # always fits
        yield Shown(command.replace("\\\n", " "), output)


def alike(text: str) -> str:
    for pattern, instead in DIFFERS:
        text = pattern.sub(instead, text)
    return text


def argv(command: str) -> list[str]:
    """Of one simple command: our own program and Python are those of this environment."""
    words = shlex.split(command)
    programs = {"typeddingo": [sys.executable, "-m", "typeddingo"], "python": [sys.executable]}
    return [*programs.get(words[0], [words[0]]), *words[1:]]


def output_of(command: str, folder: Path, env: Mapping[str, str]) -> str:
    """Both streams, as a terminal shows them."""
    done = subprocess.run(
        argv(command),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def check(shown: Shown, folder: Path, env: Mapping[str, str]) -> None:
    """Type a command; what comes is what is shown."""
    printed: list[str] = []

    def is_as_shown() -> bool:
        printed.append(output_of(shown.command, folder, env))
        return alike(printed[-1]) == alike(shown.output)

    if shown.command.startswith(LOOKS):
        with contextlib.suppress(AssertionError):
            eventually(is_as_shown)
    elif is_as_shown():
        return
    assert alike(printed[-1]) == alike(shown.output), shown.command


def start(shown: Shown, folder: Path, env: Mapping[str, str]) -> Worker:
    """Start a worker; it says what is shown."""
    worker = Worker(folder, *argv(shown.command)[4:], env=env)
    for line in shown.output.splitlines():
        worker.until(line.split(": ", 1)[1])
    assert alike("".join(worker.lines)) == alike(shown.output)
    return worker
