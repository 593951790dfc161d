"""How a command ends, as a number that scripts and probes can act on. Used by every command; stands in docs/cli.md."""

from __future__ import annotations

import enum

__all__ = ["Exit", "Stop"]


class Exit(enum.IntEnum):
    """The exit codes; a second signal ends a worker with 128 + its number, as shells count."""

    OK = 0
    NO = 1
    """The answer is no: the task failed, something does not answer, running tasks were cut off."""
    USAGE = 2
    """Nothing was tried: a wrong argument, an app that cannot be imported or is set up wrongly."""
    UNREACHABLE = 3
    """The broker or the backend could not be reached in time."""
    NO_ANSWER = 4
    """Sent, and no answer in time: it may still come."""
    LIFESPAN = 5
    """What the workers need to live could not be had: the app's lifespan raised."""


class Stop(Exception):
    """Ends a command with a code and one line for the user."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
