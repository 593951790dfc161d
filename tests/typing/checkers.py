"""Runs mypy and pyright as ``scripts/check`` does and reads what they say. Comes from the typing tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict, cast

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Complaint:
    """One error: its code and its message."""

    code: str
    text: str


Complaints = dict[int, list[Complaint]]
"""By line."""


class _Position(TypedDict):
    line: int


class _Range(TypedDict):
    start: _Position


class _Diagnostic(TypedDict):
    severity: str
    message: str
    rule: NotRequired[str]
    range: _Range


def run(module: str, *arguments: str) -> str:
    """What a checker prints; whether it found errors is for the caller to read."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def mypy(file: Path) -> Complaints:
    """The errors of mypy --strict in one file."""
    found: Complaints = defaultdict(list)
    cache = ROOT / ".mypy_cache" / "refused"
    out = run("mypy", "--no-pretty", "--no-error-summary", f"--cache-dir={cache}", str(file))
    for line in out.splitlines():  # its cache remembers the folder of an earlier run
        if match := re.fullmatch(rf".*{re.escape(file.name)}:(\d+): error: (.*)  \[([\w-]+)\]", line):
            found[int(match[1])].append(Complaint(match[3], match[2]))
        else:
            assert ": error: " not in line, line
    return found


def pyright(file: Path) -> Complaints:
    """The errors of pyright strict in one file."""
    found: Complaints = defaultdict(list)
    out = cast("dict[str, list[_Diagnostic]]", json.loads(run("pyright", "--outputjson", str(file))))
    for diagnostic in out["generalDiagnostics"]:
        if diagnostic["severity"] == "error":
            line = diagnostic["range"]["start"]["line"] + 1
            found[line].append(Complaint(diagnostic.get("rule", ""), diagnostic["message"]))
    return found
