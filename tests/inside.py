"""Where another thread is at the moment: lets a test go on exactly when it sleeps or blocks."""

from __future__ import annotations

import sys
import threading


def inside(thread: threading.Thread, function: str) -> bool:
    """The thread is in a Python function of this name, or in something that it called."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # documented, in spite of its name
    frame = frames.get(thread.ident or 0)
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None
