"""The threads that a test has started and not ended. What earlier tests left behind is theirs to answer for."""

from __future__ import annotations

from typeddingo._io import threads

_before: set[str] = set()


def start_counting() -> None:
    """From now on ``running`` leaves out the threads there are."""
    _before.clear()
    _before.update(threads.running())


def running() -> list[str]:
    """The names of the package's threads that have come since."""
    return [name for name in threads.running() if name not in _before]
