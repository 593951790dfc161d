"""``typeddingo cancel``: tasks that shall not start any more, by their ids."""

from __future__ import annotations

import argparse

from typeddingo.commands.exits import Exit
from typeddingo.commands.inside import entry, need_remote
from typeddingo.commands.locate import load_app

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """Well when it is on record; what came of it, the results say."""
    app = load_app(given.app)
    need_remote(app, given.app)
    with app:
        name = entry(app, given.name).name
        for id in given.ids:
            app.cancel(name, id)
    print(f"{len(given.ids)} cancelled")
    return Exit.OK
