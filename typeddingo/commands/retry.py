"""``typeddingo retry``: tasks that failed for good run again, by their ids."""

from __future__ import annotations

import argparse

from typeddingo.commands.dead import EVERY
from typeddingo.commands.exits import Exit, Stop
from typeddingo.commands.inside import entry, inspector
from typeddingo.commands.locate import load_app

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """Puts their dead letters back into the queue. An id without a dead letter is a no."""
    if bool(given.ids) == given.all:
        raise Stop(Exit.USAGE, "retry: name the ids of tasks, or say --all")
    app = load_app(given.app)
    look = inspector(app, given.app)
    with app:
        name = entry(app, given.name).name
        if given.all:
            count = look.replay(name, None)
        else:
            keys = [letter.key for letter in look.dead(name, EVERY) if letter.id in given.ids]
            count = look.replay(name, keys) if keys else 0
    print(f"{count} put back")
    return Exit.OK if given.all or count >= len(set(given.ids)) else Exit.NO
