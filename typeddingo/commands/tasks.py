"""``typeddingo tasks``: what an app can do, as its authors wrote it."""

from __future__ import annotations

import argparse

from typeddingo.commands.locate import load_app
from typeddingo.commands.shown import as_json
from typeddingo.commands.signatures import task_lines

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """One line a task. Needs no server."""
    for line in task_lines(load_app(given.app)):
        label = f"  (queue {line.queue!r})" if line.queue != "default" else ""
        print(as_json(line.to_json()) if given.json else f"{line}{label}")
    return 0
