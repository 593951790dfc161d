"""Python's search for cyclic garbage, put off while a worker starts. Comes from ``worker``, ended by ``child``.

To load an app makes a hundred thousand objects and hardly any garbage, and the search goes through them again and
again: a tenth of the time of a start.
"""

from __future__ import annotations

import gc

__all__ = ["Postponed"]

SELDOM = 100_000
"""New objects before a search: not never, because nobody knows what an app does while it is imported."""


class Postponed:
    """From the beginning until ``end``, once."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()
        gc.set_threshold(SELDOM, *self._before[1:])

    def end(self) -> None:
        """As it was before; what is there counts as old, and is not gone through at once. What the app has set up
        itself stays."""
        if gc.get_threshold()[0] == SELDOM:
            gc.set_threshold(*self._before)
        if gc.isenabled() and not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
