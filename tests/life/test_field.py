"""What users of other queues report most, by their number in the survey of the field: each is shown not to happen here.

1, 2, 16 (visibility timeouts and ETA, reconnects, lost tasks) and 3, 5 (RabbitMQ's own time limit, quorum queues) stand
with their servers; 19 with the pipelines, 22 with the time limits.
"""

from __future__ import annotations

import threading
import time

from tests.life.test_retries import start
from tests.unit.by_hand import SECONDS
from typeddingo import App


def test_17_a_task_has_no_time_limit_that_nobody_has_set(app: App) -> None:
    """saq ends a task after 10 seconds, arq after 300: here it runs for as long as it likes, and once. The lease of the
    Redis that this runs on is 2 seconds."""
    runs: list[str] = []

    @app.task(name="patient")
    def patient(seconds: float) -> str:
        runs.append(threading.current_thread().name)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
        return "done"

    @app.task(name="patient too")
    async def patient_too(seconds: float) -> str:
        import asyncio

        runs.append("coroutine")
        await asyncio.sleep(seconds)
        return "done"

    start(app, "patient", "patient too")
    results = [patient.call(5.0), patient_too.call(5.0)]
    assert [result.get(SECONDS) for result in results] == ["done", "done"]
    assert len(runs) == 2
