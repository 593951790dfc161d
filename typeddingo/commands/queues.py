"""``typeddingo queues``: what waits, runs and was put aside."""

from __future__ import annotations

import argparse

from typeddingo.commands.inside import entries, inspector
from typeddingo.commands.locate import load_app
from typeddingo.commands.shown import as_json, columns

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """One line a queue."""
    app = load_app(given.app)
    look = inspector(app, given.app)
    with app:
        states = [look.queue(entry.name) for entry in entries(app)]
    if given.json:
        for state in states:
            print(as_json(state._asdict()))
    else:
        print(columns([("queue", "waiting", "running", "dead", "workers", "later"), *states]))
    return 0
