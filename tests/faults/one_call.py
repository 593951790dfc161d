"""A caller program that sends one task and then ends badly: killed (F24), or without ``close`` (F30).

Comes from the tests; says the id of its call when ``call()`` has returned.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.faults.plan import Plan
from tests.faults.tasks import build
from typeddingo.testing import Ledger


def main() -> None:
    plan = Plan.from_environment()
    app = build(plan)
    result = app.call("note", 0.0)
    Ledger(plan.ledger).sent(result.id)
    print(result.id, flush=True)
    if "killed" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
