"""Calls in this process of which one counts for all its equals. Comes from the local bridge, before it puts a call."""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Mapping

from typeddingo.errors import SendError
from typeddingo.firsts import Firsts
from typeddingo.outcome import CallOutcome
from typeddingo.registry import Entry

__all__ = ["LocalUnique"]


class LocalUnique:
    """Of all tasks of an app. Thread-safe."""

    def __init__(self) -> None:
        self._firsts: Firsts[CallOutcome] = Firsts(time.monotonic)

    def first_of(
        self, entry: Entry, outcome: CallOutcome, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> CallOutcome:
        """The call that stands for this one: itself, unless an equal one was made lately."""
        if (seconds := entry.unique_for) is None:
            return outcome
        key = entry.unique_key(args, kwargs)
        first = self._firsts.claim(entry.name, key, outcome, seconds)
        if first.nok and not first.option.ignore_report:  # of those nobody knows
            self._firsts.free(entry.name, key, first)
            first = self._firsts.claim(entry.name, key, outcome, seconds)
        return first

    def not_sent(
        self, entry: Entry, outcome: CallOutcome, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> None:
        """It stands for nobody; who has been told otherwise hears of it."""
        if entry.unique_for is not None:
            self._firsts.free(entry.name, entry.unique_key(args, kwargs), outcome)
            outcome._close(SendError(f"an equal call of task {entry.name!r}, made at the same time, was not sent"))
