"""What a worker hears instead of an outcome. Comes from a ``Seat``, goes to whoever gives the task back."""

from __future__ import annotations

__all__ = ["Abandoned"]


class Abandoned(BaseException):
    """The app was closed, and the deadline for what still runs has passed: the task has no outcome here."""
