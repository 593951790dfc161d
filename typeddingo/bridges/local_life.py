"""What may happen to a call in this process beside being run once: it expires, is cancelled, or runs again.

Comes from the pools' workers, goes to the caller's result or, later, back to the pool.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Mapping

from typeddingo._io.timer import Timer
from typeddingo.cancelled import TaskKey
from typeddingo.events import EventCode, EventLevel
from typeddingo.execute import Course, Local
from typeddingo.message import Report
from typeddingo.outcome import cancelled_report, expired_report
from typeddingo.registry import Entry
from typeddingo.retry import Verdict
from typeddingo.role import Role
from typeddingo.runtime import Runtime

__all__ = ["LocalLife"]


class LocalLife:
    """Of the calls of one task. Thread-safe. See ``Life``."""

    def __init__(self, runtime: Runtime, entry: Entry, later: Timer[Local]) -> None:
        self.cancelled: Mapping[TaskKey, object] = runtime.cancelled.keys
        self._runtime = runtime
        self._entry = entry
        self._later = later

    def is_over(self, call: Local) -> bool:
        """See ``Life``."""
        outcome, _, _, option, course = call
        if (outcome.name, outcome.id) in self.cancelled:
            self._runtime.cancelled.forget(outcome.name, outcome.id)
            outcome._deliver(cancelled_report(outcome.name, outcome.id, option))
            return True
        if course is not None and course.expires <= time.monotonic():
            outcome._deliver(expired_report(outcome.name, outcome.id, option))
            return True
        return False

    def failed(self, call: Local, report: Report[object], verdict: Verdict) -> Report[object] | None:
        """See ``Life``."""
        outcome, _, _, option, course = call
        if self.cancelled and (outcome.name, outcome.id) in self.cancelled:
            self._runtime.cancelled.forget(outcome.name, outcome.id)
            return cancelled_report(outcome.name, outcome.id, option)
        if (policy := self._entry.retry) is None:
            return report
        so_far = course or Course()
        pause = policy.pause(so_far.retries, verdict)
        if pause is None or not self._later.put((*call[:4], so_far._replace(retries=so_far.retries + 1)), pause):
            message = f"task {outcome.name!r} failed for good after {so_far.retries} retries"
            self._tell(EventLevel.ERROR, EventCode.DEAD_LETTER, message, outcome.name, outcome.id)
            return report
        message = f"task {outcome.name!r} failed and runs again in {pause:.3g} s"
        self._tell(EventLevel.INFO, EventCode.RETRY, message, outcome.name, outcome.id)
        return None

    def _tell(self, level: EventLevel, code: EventCode, message: str, name: str, id: str) -> None:
        self._runtime.publish(Role.WORKER, level, code, message, task=name, id=id)
