"""Is it a class that attrs has made? Asked of every annotation, of which most are none.

attrs is imported when there is such a class and not before: a process without one saves some 15 ms and a megabyte.
"""

from __future__ import annotations

import sys

__all__ = ["is_attrs"]


def is_attrs(cls: object) -> bool:
    """Whoever made such a class has imported attrs, by the older of its two names at least."""
    if "attr" not in sys.modules or not isinstance(cls, type):
        return False
    import attrs

    return attrs.has(cls)
