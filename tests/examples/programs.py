"""Runs an example as a newcomer would: as a file, in a process of its own. A warning is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run_example(name: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def output_of(name: str, *arguments: str) -> str:
    """What the example prints; it must end well and complain of nothing."""
    done = run_example(name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
