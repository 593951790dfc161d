"""Locks that every app of a process shares, across a fork. Used where such a lock is made."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["hold_while_forking"]


def hold_while_forking(lock: threading.Lock | threading.RLock) -> None:
    """No other thread is inside the lock when the process forks: in the child nobody would ever leave it."""
    if sys.platform != "win32":
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
