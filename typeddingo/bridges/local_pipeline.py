"""A pipeline in this process: what one step gives is put into the pool of the next. Comes from ``LocalBridge``, goes to
the pools and, at last, into the caller's result.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias, cast

from typeddingo.cancelled import TaskKey
from typeddingo.entries import list_of
from typeddingo.failure import not_invoked
from typeddingo.headers import NO_HEADERS
from typeddingo.journey import Journey
from typeddingo.message import NO_KEYWORDS, Failure, Report
from typeddingo.option import Option
from typeddingo.outcome import Home, Outcome, cancelled_report
from typeddingo.registry import Entry, Registry
from typeddingo.runtime import Runtime
from typeddingo.steps import fail_report, handed_on

__all__ = ["LocalPipeline"]

Put: TypeAlias = "Callable[[Entry, Outcome, tuple[object, ...], Mapping[str, object], Option, Mapping[str, str]], None]"
"""Into the pool of a task."""


class LocalPipeline:
    """One call of a pipeline; thread-safe. The ``Home`` of its result: to cancel it is to cancel its steps."""

    def __init__(
        self, runtime: Runtime, registry: Registry, journey: Journey, outcome: Outcome, option: Option, put: Put
    ) -> None:
        self._runtime = runtime
        self._registry = registry
        self._journey = journey
        self._outcome = outcome
        self._option = option
        self._put = put
        self.headers: Mapping[str, str] = NO_HEADERS
        """What middleware has set before the first step: all of them have it."""
        self._lock = threading.Lock()
        self._open: set[TaskKey] = set()
        self._values: list[object] = []
        self._missing = 0
        self._cancelled = False

    def background(self, callback: Callable[[], None]) -> None:
        """See ``Home``."""
        self._runtime.handlers.run(callback)

    def cancel(self, name: str, id: str) -> None:
        """See ``Home``."""
        self._cancelled = True
        with self._lock:
            running = list(self._open)
        for key in running:
            self._runtime.cancelled.add(*key)

    def forget(self, name: str, id: str) -> None:
        """Nothing is kept but what the caller holds."""

    def begin(self, journey: Journey, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Start a step, its arguments checked."""
        entry = self._registry.get(journey.step.name)
        if not journey.step.each:
            self._start(entry, journey, args, kwargs)
            return
        values = list(cast("list[object]", args[0]))  # the caller's own may change meanwhile
        self._values, self._missing = list[object](values), len(values)
        if not values:
            self._go_on(journey, [])
        for index, value in enumerate(values):
            self._start(entry, journey.member(index, len(values)), (value,), NO_KEYWORDS)

    def ended(self, journey: Journey, value: object) -> None:
        """A step, or a run for one value of its list, has given this."""
        if journey.step.each:
            with self._lock:
                self._values[journey.index] = value
                self._missing -= 1
                if self._missing:
                    return
            value = self._values
        self._go_on(journey, value)

    def failed(self, journey: Journey, failure: Failure) -> None:
        """The first failure ends it."""
        self._outcome._deliver(fail_report(journey, self._option, failure))

    def told(self, report: Report[object]) -> None:
        """What a step says before it has ended."""
        self._outcome._deliver(replace(report, name=self._journey.name, id=self._journey.id))

    def closed(self, error: Exception) -> None:
        """No more will be heard of it."""
        self._outcome._close(error)

    def over(self, key: TaskKey) -> None:
        """This call has ended."""
        with self._lock:
            self._open.discard(key)

    def _start(self, entry: Entry, journey: Journey, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        step = _StepOutcome(self, journey)
        with self._lock:
            self._open.add((step.name, step.id))
        option = self._option
        if journey.at:
            option = replace(entry.option, ignore_report=option.ignore_report, monitor_progress=option.monitor_progress)
        self._put(entry, step, args, kwargs, option, self.headers)

    def _go_on(self, journey: Journey, value: object) -> None:
        if journey.is_last:
            self._outcome._succeed(value)
            return
        if self._cancelled:
            self._outcome._deliver(cancelled_report(self._journey.name, self._journey.id, self._option))
            return
        following = journey.next()
        try:
            here, there = self._entry(journey), self._entry(following)
            args, kwargs = there.contract.bind(handed_on(here.contract, there.contract, value), {})
            self.begin(following, args, kwargs)
        except Exception as error:
            self.failed(following, not_invoked(error))

    def _entry(self, journey: Journey) -> Entry:
        entry = self._registry.get(journey.step.name)
        return list_of(entry) if journey.step.each else entry


class _StepOutcome:
    """See ``Outcome``: of one step, whose end is the beginning of the next."""

    __slots__ = ("_home", "_journey", "_pipeline", "id", "name")

    def __init__(self, pipeline: LocalPipeline, journey: Journey) -> None:
        self._home: Home | None = pipeline
        self._pipeline = pipeline
        self._journey = journey
        self.name: str = journey.step.name
        self.id: str = journey.call_id

    def _succeed(self, value: object, /) -> None:
        self._pipeline.over((self.name, self.id))
        self._pipeline.ended(self._journey, value)

    def _deliver(self, report: Report[object], /) -> None:
        if not report.done:
            self._pipeline.told(report)
            return
        self._pipeline.over((self.name, self.id))
        if report.ok:
            self._pipeline.ended(self._journey, report.value)
        else:
            self._pipeline.failed(self._journey, report.failure or Failure())

    def _close(self, error: Exception, /) -> None:
        self._pipeline.over((self.name, self.id))
        self._pipeline.closed(error)
