"""What is asked of a broker for one task, beside storing it. Comes from a call's ``Option``, goes to the adapter.

Whatever is counted in seconds is counted by the broker's clock.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AT_ONCE", "MOST_URGENT", "Terms"]

MOST_URGENT = 9


class Terms(NamedTuple):
    """Immutable; zero or empty is "nothing asked"."""

    delay: float = 0.0
    """Seconds from when it is stored: not handed out earlier."""
    eta: float = 0.0
    """Unix time: not handed out earlier."""
    lifetime: float = 0.0
    """Seconds from when it is stored, after which it is handed out as ``Delivery.expired``."""
    expires: float = 0.0
    """Unix time, the same."""
    priority: int = 0
    """0 to ``MOST_URGENT``: the more urgent comes first, and the others come too."""
    unique: str = ""
    """While another task of this name with this key was sent less than ``unique_for`` seconds ago, it is not stored:
    ``Confirmation.instead`` tells which is."""
    unique_for: float = 0.0


AT_ONCE = Terms()
"""Of nearly every call; always this object."""
