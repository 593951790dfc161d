"""``python -m benchmarks.peers NAME``: the caller's process. Comes from ``stage``, one JSON request a line.

What libraries print goes to stderr; only answers go to stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from importlib.metadata import version
from typing import Any

from benchmarks.peers.driver import Driver
from benchmarks.peers.workloads import Workloads


def main(name: str) -> None:
    """Until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    driver: Driver = importlib.import_module(f"benchmarks.peers.{name}").Peer()
    workloads = Workloads(driver)
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answers.write(json.dumps(answer(driver, workloads, request)) + "\n")
    driver.close()


def answer(driver: Driver, workloads: Workloads, request: dict[str, Any]) -> dict[str, Any]:
    """What was measured, or what went wrong."""
    what = request.pop("do")
    try:
        if what == "hello":
            versions = {package: version(package) for package in driver.packages}
            return {"worker": driver.worker(), "settings": driver.settings, "versions": versions}
        return dict(getattr(workloads, what)(**request))
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1])
