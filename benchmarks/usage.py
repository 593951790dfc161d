"""What a process and all that it has started cost. Comes from ``stage``; reads ``/proc``, so it is for Linux only."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cpu_seconds", "memory_bytes"]

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time so far, of the process, its descendants, and those of them that have ended."""
    return sum(sum(map(int, fields[11:15])) for fields in map(_stat, _tree(pid)) if fields) / TICKS


def memory_bytes(pid: int) -> int:
    """PSS of the process and its descendants: what they share is counted once."""
    return sum(map(_pss, _tree(pid)))


def _tree(pid: int) -> list[int]:
    parents = {
        int(entry.name): fields for entry in PROC.iterdir() if entry.name.isdigit() and (fields := _stat(entry.name))
    }
    found = [pid]
    for one in found:  # grows while we go through it
        found += [child for child, fields in parents.items() if int(fields[1]) == one]
    return found


def _stat(pid: int | str) -> list[str]:
    """The fields after the program's name, which may hold anything; empty for a process that has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
