"""Whether a failed task runs again, and when. Comes from the settings of a task, asked by its workers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from typeddingo.contract import ReturnMisfit
from typeddingo.errors import ConfigError, Retry, TimeLimitExceeded

__all__ = ["DEFAULT_RETRY_ON", "NOT_AGAIN", "RetryPolicy", "Verdict"]

DEFAULT_RETRY_ON: tuple[type[BaseException], ...] = (Exception, TimeLimitExceeded)


class Verdict(NamedTuple):
    """What an exception means for the next run, whatever the number of this one."""

    again: bool
    after: float | None = None
    """Seconds that the task itself has asked for."""


NOT_AGAIN = Verdict(False)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Immutable. Raises ``ConfigError`` for a setting that means nothing."""

    retries: int
    """Runs after the first one."""
    retry_on: tuple[type[BaseException], ...] = DEFAULT_RETRY_ON
    give_up_on: tuple[type[BaseException], ...] = ()
    """Wins over ``retry_on``."""
    backoff: float = 1.0
    """Seconds: the pause before the first retry is random, up to this; then up to twice as much, and so on."""
    max_delay: float = 600.0
    """Seconds: no pause is longer."""

    def __post_init__(self) -> None:
        if type(self.retries) is not int or self.retries < 0:
            raise ConfigError("retries: expected a whole number, 0 or more")
        for name in ("backoff", "max_delay"):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ConfigError(f"{name}: expected a number of seconds, 0 or more")
        for name in ("retry_on", "give_up_on"):
            if not _are_exceptions(getattr(self, name)):
                raise ConfigError(f"{name}: expected a tuple of exception types, for example (ConnectionError,)")

    def judge(self, error: BaseException) -> Verdict:
        """What this exception says."""
        if isinstance(error, Retry):
            return Verdict(True, error.after)
        if isinstance(error, (ReturnMisfit, *self.give_up_on)):
            return NOT_AGAIN
        return Verdict(isinstance(error, self.retry_on))

    def pause(self, retries: int, verdict: Verdict, draw: Callable[[], float] = random.random) -> float | None:
        """Seconds until the next run of a task that has been retried so often; None: there is none. ``draw`` gives a
        number from 0 to 1: full jitter, so that what failed together does not come back together."""
        if not verdict.again or retries >= self.retries:
            return None
        if verdict.after is not None:
            return verdict.after
        return draw() * min(self.max_delay, self.backoff * 2.0 ** min(retries, 60))


def _are_exceptions(kinds: object) -> bool:
    if not isinstance(kinds, tuple):
        return False
    members = cast("tuple[object, ...]", kinds)
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in members)
