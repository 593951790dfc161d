"""A program that forks after its app is connected, and sends from both sides (F36)."""

from __future__ import annotations

import os
import sys

from tests.faults.plan import Plan
from tests.faults.tasks import build
from typeddingo import Result
from typeddingo.testing import Ledger

CALLS = 50


def main() -> None:
    plan = Plan.from_environment()
    app, ledger = build(plan), Ledger(plan.ledger)
    ledger.sent(app.call("note", 0.0).id)
    child = os.fork()
    results: list[Result[str]] = []
    for _ in range(CALLS):
        results.append(app.call("note", 0.0))
        ledger.sent(results[-1].id)
    got = [result.get(20) for result in results]
    assert got == [result.id for result in results]
    app.close()
    if child:
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
