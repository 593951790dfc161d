"""All child processes of one app. Comes from the runtime, used by bridges and workers."""

from __future__ import annotations

import threading

from typeddingo._io.threads import Deadline
from typeddingo.cancelled import Cancelled, TaskKey
from typeddingo.config import Limits
from typeddingo.errors import ConfigError, ErrorCode
from typeddingo.isolation.job import Job
from typeddingo.isolation.place import place_of
from typeddingo.isolation.process import END_SECONDS
from typeddingo.isolation.seat import Seat
from typeddingo.message import Failure
from typeddingo.registry import Entry

__all__ = ["Children"]


class Children:
    """Thread-safe."""

    def __init__(self, limits: Limits, cancelled: Cancelled, log: tuple[str, str] | None = None) -> None:
        self._limits = limits
        self._log = log
        self._lock = threading.Lock()
        self._seats: list[Seat] = []
        cancelled.watch(self._cancelled)

    def seat(self, entry: Entry) -> Seat:
        """For one worker."""
        if (place := place_of(entry.fn)) is None:
            raise ConfigError(f"task {entry.name!r} cannot be found by a child process")
        seat = Seat(entry, Job.of(entry, place, self._limits, self._log))
        with self._lock:
            self._seats.append(seat)
        return seat

    def kill(self, key: TaskKey, failure: Failure) -> bool:
        """End this task, wherever it runs, with its process. True: it ran here, and fails as ``failure`` says."""
        killed = [seat.kill(key, failure) for seat in self._all()]  # several may run a part of it
        return any(killed)

    def cancel_all(self) -> None:
        """The app is closing: ``Context.cancelled`` says so in the children as well."""
        for seat in self._all():
            seat.cancel()

    def close(self) -> None:
        """The deadline for running tasks has passed: kill what runs, ask the idle to end, wait for them."""
        waits = [wait for seat in self._all() if (wait := seat.close()) is not None]
        deadline = Deadline(END_SECONDS)
        for wait in waits:
            wait(deadline)

    def let_go(self) -> None:
        """In a fork of this process: close our copies of the sockets, so that a child still sees its worker's end."""
        for seat in self._seats:
            seat.let_go()

    def _cancelled(self, key: TaskKey) -> None:
        self.kill(key, Failure(ErrorCode.CANCELLED, "the task was cancelled; its process was killed"))

    def _all(self) -> list[Seat]:
        with self._lock:
            return list(self._seats)
