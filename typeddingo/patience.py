"""Something that is sent until it is stored. Used by what carries reports and the next steps of pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from typeddingo._io.backoff import Backoff
from typeddingo._io.threads import Deadline
from typeddingo.errors import BrokerBlocked, ConnectionLost, QueueFull, SendUnknown
from typeddingo.runtime import Runtime

__all__ = ["may_pass", "patiently"]

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds for which it is tried again before its task goes back to run again: longer than a server restarts."""


def patiently(runtime: Runtime, work: Callable[[], T]) -> T:
    """Do ``work`` until it is done, refused for good, or has failed for long; then raises what it raised. What may have
    been stored is sent again."""
    deadline, backoff = Deadline(PATIENCE), Backoff()
    while True:
        try:
            return work()
        except Exception as error:
            if not may_pass(error) or deadline.passed or (runtime.closing and backoff.failures):
                raise
        runtime.stop.wait(backoff.next_pause())


def may_pass(error: Exception) -> bool:
    """It was not the fault of what was sent: the same may be stored a little later."""
    return isinstance(error, (BrokerBlocked, ConnectionLost, QueueFull, SendUnknown)) or isinstance(
        error.__cause__, ConnectionLost
    )
