"""Where another thread is at the moment: lets a test go on exactly when it sleeps or blocks."""

from __future__ import annotations

import gc
import sys
import threading
from types import FrameType


def _frames() -> dict[int, FrameType]:
    """Where every thread is. No collection may run meanwhile: Python 3.11 holds a lock that one can want."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # documented, in spite of its name
    finally:
        if collecting:
            gc.enable()


def inside(thread: threading.Thread, function: str) -> bool:
    """The thread is in a Python function of this name, or in something that it called."""
    frames = _frames()
    frame = frames.get(thread.ident or 0)
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None
