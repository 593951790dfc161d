"""An account of what was sent and what ran that does not trust the queue under test.

Comes from callers and tasks of any process (one append-only file each or together), goes to ``audit``. One event is
one line, written by one ``write`` to a file opened with ``O_APPEND``: lines of many processes never mix, and what a
killed process had written stays.

    S id        ``call()`` has returned: the task must run
    U id        ``SendUnknown``: the task may run
    B id pid    the task's function has begun
    E id pid    the task's function has ended
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Audit", "Ledger", "audit"]

MAX_LINE = 4096
"""Bytes of a line: what a local file system appends in one piece."""


class Ledger:
    """One writer of the account. Thread-safe; opens and closes the file for each line, so it survives a fork."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)

    def sent(self, id: str) -> None:
        """``call()`` has returned. On disk before this returns: the promise is checked even after a crash."""
        self._write("S", id, sync=True)

    def unknown(self, id: str) -> None:
        """``call()`` raised ``SendUnknown``."""
        self._write("U", id, sync=True)

    def begun(self, id: str) -> None:
        """The function has begun, in this process."""
        self._write("B", id, str(os.getpid()))

    def ended(self, id: str) -> None:
        """The function has ended, in this process."""
        self._write("E", id, str(os.getpid()))

    def _write(self, *words: str, sync: bool = False) -> None:
        line = (" ".join(words) + "\n").encode()
        if len(line.split()) != len(words) or len(line) > MAX_LINE:
            raise ValueError(f"ledger: expected an id without white space and a line below {MAX_LINE} bytes")
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.write(file, line) != len(line):
                raise OSError(f"ledger: {self.path} took only a part of a line; is the disk full?")
            if sync:
                os.fsync(file)
        finally:
            os.close(file)


@dataclass(frozen=True, slots=True)
class Audit:
    """What the account says, and the laws it must obey."""

    sent: frozenset[str]
    unknown: frozenset[str]
    begun: Counter[str]
    completed: frozenset[str]
    dead: frozenset[str] = frozenset()

    @property
    def lost(self) -> frozenset[str]:
        """Broken law 1: sent, but neither completed nor dead-lettered."""
        return self.sent - self.completed - self.dead

    @property
    def invented(self) -> frozenset[str]:
        """Broken law 2: begun, completed or dead-lettered, but never sent."""
        return (self.completed | self.dead | frozenset(self.begun)) - self.sent - self.unknown

    @property
    def duplicates(self) -> int:
        """How many starts there were beyond the first of each id."""
        return sum(starts - 1 for starts in self.begun.values())

    def check(self, *, duplicates: int = 0) -> None:
        """Raises ``AssertionError`` unless nothing is lost (L1), nothing is invented (L2), and there are at most
        ``duplicates`` starts too many (L3)."""
        broken: list[str] = []
        if self.lost:
            broken.append(f"L1: {len(self.lost)} sent and lost, for example {_some(self.lost)}")
        if self.invented:
            broken.append(f"L2: {len(self.invented)} never sent, for example {_some(self.invented)}")
        if self.duplicates > duplicates:
            twice = [id for id, starts in self.begun.items() if starts > 1]
            broken.append(f"L3: {self.duplicates} starts too many, {duplicates} allowed, for example {_some(twice)}")
        if broken:
            raise AssertionError("; ".join(broken) + f" ({self})")

    def __str__(self) -> str:
        return (
            f"sent {len(self.sent)}, unknown {len(self.unknown)}, completed {len(self.completed)}, "
            f"dead {len(self.dead)}, duplicates {self.duplicates}"
        )


def _some(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)[:5])


def audit(*paths: str | os.PathLike[str], dead: Iterable[str] = ()) -> Audit:
    """Read ledgers; ``dead`` are the ids found dead-lettered. Raises ``ValueError`` for a line that is none."""
    ids: dict[str, list[str]] = {kind: [] for kind in "SUBE"}
    for path in paths:
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            kind, *words = line.split()
            if kind not in ids or len(words) != (2 if kind in "BE" else 1):
                raise ValueError(f"ledger: line {number} of {path} is not 'S id', 'U id', 'B id pid' or 'E id pid'")
            ids[kind].append(words[0])
    return Audit(
        sent=frozenset(ids["S"]),
        unknown=frozenset(ids["U"]),
        begun=Counter(ids["B"]),
        completed=frozenset(ids["E"]),
        dead=frozenset(dead),
    )
