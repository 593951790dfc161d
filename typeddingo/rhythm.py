"""When something that comes again and again is due: every so often, or by a cron line. Comes from ``@app.every`` and
``@app.cron``, asked by the scheduler. A moment is a number of seconds since the epoch; nothing here looks at a clock.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from typeddingo.errors import ConfigError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["CatchUp", "Cron", "Every", "Rhythm", "chosen", "missed", "spelled"]

CatchUp: TypeAlias = Literal["none", "last", "all"]
"""What becomes of the runs whose time came while no worker was there."""

MICROSECONDS = 1_000_000
SHORTEST = 0.1
LONGEST = 10 * 366 * 24 * 3600.0
FRESH = 60.0
"""Seconds: a run that is no later than this has not been missed."""
MOST = 100
"""Missed runs that are made up for, at most."""
FIRST_LOOK = 60.0


class Rhythm(abc.ABC):
    """Immutable, thread-safe: the same moments in every process, whoever asks and since when."""

    @abc.abstractmethod
    def after(self, moment: float) -> float | None:
        """The first moment that is later than this one; None: there is none."""

    @property
    @abc.abstractmethod
    def spec(self) -> str:
        """As its author wrote it."""

    @property
    def tz(self) -> str:
        """The time zone whose clock it goes by."""
        return "UTC"


class Every(Rhythm):
    """The multiples of a number of seconds, counted from the epoch: no process needs to know when another started."""

    def __init__(self, seconds: float) -> None:
        if isinstance(seconds, bool) or not isinstance(cast("object", seconds), (int, float)):
            raise ConfigError("every: expected numbers of seconds, minutes and hours")
        if not SHORTEST <= seconds <= LONGEST:
            raise ConfigError(
                f"every: expected at least {SHORTEST} seconds and at most ten years, for example every(minutes=5)"
            )
        self._period = round(seconds * MICROSECONDS)

    def after(self, moment: float) -> float:
        """See ``Rhythm.after``. In whole microseconds: what was returned once is never returned again after itself."""
        return (round(moment * MICROSECONDS) // self._period + 1) * self._period / MICROSECONDS

    @property
    def spec(self) -> str:
        """For example ``every 90s``."""
        return f"every {self._period / MICROSECONDS:g}s"


class Cron(Rhythm):
    """The five fields of a line of cron, or six with seconds first, by the clock of a time zone."""

    def __init__(self, spec: str, tz: str = "UTC") -> None:
        if not isinstance(cast("object", spec), str) or not isinstance(cast("object", tz), str):
            raise ConfigError('cron: expected a line of text and the name of a time zone, cron("0 9 * * *", tz="UTC")')
        try:
            from cronsim import CronSim, CronSimError
        except ImportError as error:
            raise ConfigError("cron needs the package cronsim: pip install 'typeddingo[cron]'") from error
        self._spec, self._tz = " ".join(spec.split()), tz
        self._zone = _zone(tz)
        self._simulate = CronSim
        self._seconds: Sequence[int] = ()
        try:
            simulated = CronSim(spec, datetime.now(UTC))
        except CronSimError as error:
            raise ConfigError(
                f"cron({spec!r}): {str(error).lower()}; expected minute, hour, day of the month, month and day of the "
                'week, for example "*/5 * * * *"'
            ) from error
        fields = self._spec.split()
        if len(fields) == 6 and not (fields[1].startswith("*") or fields[2].startswith("*")):
            # The parser minds clocks that are put forward and back for lines of five fields only.
            self._seconds = sorted(simulated.seconds)
        if self.after(datetime.now(UTC).timestamp()) is None:
            raise ConfigError(f"cron({spec!r}): this moment never comes")

    def after(self, moment: float) -> float | None:
        """See ``Rhythm.after``. In the hour that a clock goes through twice the parser names the first of the two,
        which may lie before ``moment``: then the one that follows is meant."""
        if self._seconds:
            minutes = self._spec.partition(" ")[2]
            for found in self._simulate(minutes, datetime.fromtimestamp(math.floor(moment) - 60, self._zone)):
                for second in self._seconds:
                    if (due := found.timestamp() + second) > moment:
                        return due
            return None
        for found in self._simulate(self._spec, datetime.fromtimestamp(math.floor(moment), self._zone)):
            if (due := found.timestamp()) > moment:
                return due
        return None

    @property
    def spec(self) -> str:
        """The line itself."""
        return self._spec

    @property
    def tz(self) -> str:
        """As it was named."""
        return self._tz


def missed(rhythm: Rhythm, last: float, now: float, most: int) -> list[float]:
    """The latest moments after ``last`` and not after ``now``, in their order, at most so many. Looks back no further
    than it must: a year of seconds is not gone through for the last of them."""
    span = FIRST_LOOK
    while True:
        start = max(last, now - span)
        found = list(_until(rhythm, start, now))
        if len(found) >= most or start <= last:
            return found[-most:]
        span *= 4


def chosen(rhythm: Rhythm, last: float, now: float, catch_up: CatchUp) -> tuple[float, list[float]] | None:
    """What is due after ``last``: the moment up to which it is settled now, and those to run. None: nothing yet."""
    moments = missed(rhythm, last, now, MOST if catch_up == "all" else 1)
    if not moments:
        return None
    latest = moments[-1]
    if catch_up == "none" and now - latest > FRESH:
        return latest, []
    return latest, moments


def spelled(moment: float) -> str:
    """A moment as a part of an id: the same text in every process, and no shorter than it must be."""
    text = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat()
    return f"{text}Z"


def _until(rhythm: Rhythm, start: float, end: float) -> Iterator[float]:
    moment = rhythm.after(start)
    while moment is not None and moment <= end:
        yield moment
        moment = rhythm.after(moment)


def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ConfigError(
            f"cron(tz={name!r}): there is no such time zone here; expected a name like 'Europe/Berlin'. A system "
            "without time zones gets them with pip install tzdata"
        ) from error
