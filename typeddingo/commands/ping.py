"""``typeddingo ping``: do broker, backend and workers answer? For probes of Kubernetes, Docker and the like."""

from __future__ import annotations

import argparse
import time

from typeddingo._io.threads import Deadline
from typeddingo.commands.exits import Exit
from typeddingo.commands.inside import entries, inspector, need_remote
from typeddingo.commands.locate import load_app
from typeddingo.commands.reach import ask, servers
from typeddingo.commands.shown import columns
from typeddingo.inspection import QueueState

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """One line a part; whatever answers is named, too. Never longer than the timeout, imports aside."""
    app = load_app(given.app)
    need_remote(app, given.app)
    deadline = Deadline(given.timeout)
    rows: list[tuple[str, str, str]] = []
    for server in servers(app):
        started = time.perf_counter()
        error = ask(server.ping, deadline)
        took = f"{(time.perf_counter() - started) * 1000:.0f} ms"
        rows.append((server.part, "ok" if error is None else "NO ANSWER", took if error is None else str(error)))
    if given.workers:
        states: list[QueueState] = []
        look = inspector(app, given.app)
        error = ask(lambda: states.extend(look.queue(entry.name) for entry in entries(app)), deadline)
        if error is not None:
            rows.append(("workers", "NO ANSWER", str(error)))
        for state in states if error is None else ():
            enough = "ok" if state.workers >= given.workers else "TOO FEW"
            rows.append(("workers", enough, f"{state.name}: {state.workers}"))
    print(columns(rows))
    app.close(0)
    return Exit.OK if all(answer == "ok" for _, answer, _ in rows) else Exit.NO
