"""How one task is sent and reported. Comes from the decorator or ``with_options``, travels with the task."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from typeddingo.errors import ConfigError
from typeddingo.terms import AT_ONCE, MOST_URGENT, Terms

__all__ = ["Option"]


@dataclass(frozen=True, slots=True)
class Option:
    """Frozen and shared between threads (Go: ``Option{IR, MP}``; its setters are ``dataclasses.replace`` here). Raises
    ``ConfigError`` for a value that means nothing.

    The first two are seen by the worker; the others are the broker's, who counts seconds by its own clock.
    """

    ignore_report: bool = False
    """No report is ever sent; ``call()`` returns a result that raises ``ReportsIgnored`` when waited for."""
    monitor_progress: bool = False
    """Sent and Progress reports are sent beside the final one. ``ignore_report`` wins over it."""
    delay: float | None = None
    """Seconds: it does not start earlier (Go: none)."""
    eta: datetime | None = None
    """It does not start earlier; with a time zone. ``delay`` or ``eta``, not both (Go: none)."""
    expires: float | datetime | None = None
    """Seconds, or a time with a zone: it does not start later, but fails with ``ErrorCode.EXPIRED`` (Go: none)."""
    priority: int = 0
    """0 to 9: of the tasks that wait, those with the higher number start first. None waits for ever: an urgent one goes
    ahead of what was sent shortly before it, not of everything (Go: none)."""
    terms: Terms = field(init=False, repr=False, compare=False, default=AT_ONCE)
    """The last four, as a broker wants them."""

    def __post_init__(self) -> None:
        for name in ("ignore_report", "monitor_progress"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"option {name}: expected True or False")
        if self.delay is not None and self.eta is not None:
            raise ConfigError("options delay and eta both say when it may start: give one of them")
        terms = Terms(
            0.0 if self.delay is None else _seconds("delay", self.delay),
            0.0 if self.eta is None else _moment("eta", self.eta),
            *_until(self.expires),
            priority=_priority(self.priority),
        )
        if terms != AT_ONCE:
            object.__setattr__(self, "terms", terms)


def _until(expires: object) -> tuple[float, float]:
    if expires is None:
        return 0.0, 0.0
    if isinstance(expires, datetime):
        return 0.0, _moment("expires", expires)
    if not (seconds := _seconds("expires", expires)):
        raise ConfigError("option expires: expected more than 0 seconds, or a datetime with a time zone")
    return seconds, 0.0


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ConfigError(f"option {name}: expected a number of seconds, 0 or more")
    return float(value)


FIRST_MOMENT = 0.001
"""What lies before the epoch is over in any case, and zero says that nothing was asked."""


def _moment(name: str, value: object) -> float:
    if not isinstance(value, datetime):
        raise ConfigError(f"option {name}: expected a datetime with a time zone")
    if value.utcoffset() is None:
        raise ConfigError(
            f"option {name}: a datetime without a time zone means another moment elsewhere: add tzinfo, for example "
            "datetime.now(UTC) + timedelta(minutes=5)"
        )
    return max(FIRST_MOMENT, value.timestamp())


def _priority(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_URGENT:
        raise ConfigError(f"option priority: expected a whole number from 0 to {MOST_URGENT}, the most urgent")
    return value
