"""The parent of the worker processes. Comes from ``typeddingo worker``; starts, restarts, stops and kills them.

It does not import the app: a task that kills its process, or a mistake in a module, does not end the command.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from typing import NamedTuple

from typeddingo._io.backoff import Backoff
from typeddingo.commands.exits import Exit
from typeddingo.commands.link import FarEnd, Job, NearEnd
from typeddingo.commands.process import Process
from typeddingo.commands.signals import ENDING, Signals, wait_readable
from typeddingo.commands.sources import Watch

__all__ = ["Begun", "Supervisor"]

_log = logging.getLogger("typeddingo.supervisor")

KILL_SECONDS = 1.0
"""After the deadline a process is killed."""
STEADY_SECONDS = 10.0
"""A process that has worked for so long is not one of those that die at once."""
LOOK_SECONDS = 0.5
"""How often the sources are looked at."""


class Begun(NamedTuple):
    """What a process that has just begun is to do. Of its supervisor it has nothing else."""

    job: Job
    link: FarEnd


class _Seat:
    """The place of one process, which several may hold one after the other."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.due: float | None = None
        """When the next one starts; None: it runs, or it is not wanted."""
        self.process: Process | None = None
        self.link: NearEnd | None = None
        self.started = 0.0
        self.kill_at: float | None = None
        self.replaced = False
        """It was asked to end because a source has changed."""
        self.backoff = Backoff(first=0.1, longest=10.0)


class Supervisor:
    """For the main thread of a process that does nothing else."""

    def __init__(self, job: Job, processes: int) -> None:
        self._job = job
        self._seats = [_Seat(number) for number in range(processes)]
        self._watch = Watch()
        self._looked = 0.0
        self._been_ready = False
        self._announced = False
        self._signal = 0
        """The one that ends the command; 0: none yet."""
        self._ending = False
        self._code: int = Exit.OK

    def run(self) -> int | Begun:
        """Until a signal, or until trying again makes no sense: the exit code. In each of the processes that begin
        meanwhile: what it is to do."""
        with Signals(*ENDING, signal.SIGCHLD) as signals:
            self._seats[0].due = 0.0  # the others follow when it is ready: one mistake is told once
            try:
                while not self._ending or any(seat.process for seat in self._seats):
                    if (begun := self._step(signals)) is not None:
                        return begun
            finally:
                for seat in self._seats:
                    self._kill(seat)
        return self._code

    def _step(self, signals: Signals) -> Begun | None:
        now = time.monotonic()
        for seat in self._seats:
            if seat.due is not None and seat.due <= now and (begun := self._start(seat)) is not None:
                return begun
            if seat.kill_at is not None and seat.kill_at <= now:
                _log.warning("process %d did not end in time: killed", seat.process.pid if seat.process else 0)
                self._kill(seat)
        wait_readable([signals, *(seat.link for seat in self._seats if seat.link)], self._pause(now))
        for number in signals.take():
            if number != signal.SIGCHLD:
                self._on_signal(number)
        for seat in self._seats:
            self._listen(seat)
            if seat.process is not None and (code := seat.process.poll()) is not None:
                self._on_end(seat, code)
        if self._job.watch:
            self._look(time.monotonic())
        return None

    def _pause(self, now: float) -> float | None:
        """How long there is nothing to do."""
        moments = [moment for seat in self._seats for moment in (seat.due, seat.kill_at) if moment is not None]
        if self._job.watch:
            moments.append(self._looked + LOOK_SECONDS)
        return max(0.0, min(moments) - now) if moments else None

    # one process

    def _start(self, seat: _Seat) -> Begun | None:
        near, far = socket.socketpair()
        near.setblocking(False)
        try:
            process = Process.begin()
        except OSError as error:  # no memory, no more processes: the others go on
            near.close()
            far.close()
            pause = seat.backoff.next_pause()
            _log.error("a process could not be started, trying again in %.1f s: %s", pause, error)
            seat.due = time.monotonic() + pause
            return None
        if process is None:
            near.close()
            self._let_go()
            return Begun(self._job._replace(announce=seat.number == 0 and not self._announced), FarEnd(far))
        far.close()
        seat.process, seat.link, seat.due, seat.started = process, NearEnd(near), None, time.monotonic()
        return None

    def _let_go(self) -> None:
        """In a new process: the others are not ours."""
        for seat in self._seats:
            if seat.link is not None:
                seat.link.close()
        self._seats.clear()

    def _listen(self, seat: _Seat) -> None:
        if seat.link is None:
            return
        link, is_open = seat.link, seat.link.read()
        self._watch.add(link.files)
        self._announced = self._announced or (link.ready and not seat.replaced)
        if link.ready and not self._been_ready:
            self._been_ready = True
            for other in self._seats[1:]:
                other.due = None if self._ending else 0.0
        if not is_open:
            link.close()
            seat.link = None

    def _on_end(self, seat: _Seat, code: int) -> None:
        """A process has ended: what now?"""
        assert seat.process is not None
        self._listen(seat)  # its last words
        pid, lived = seat.process.pid, time.monotonic() - seat.started
        if seat.link is not None:
            seat.link.close()
        seat.process, seat.link, seat.kill_at = None, None, None
        if self._ending:
            ended_well = code in (Exit.OK, -signal.SIGTERM)  # killed by it: it had not begun yet
            self._code = self._code or (Exit.OK if ended_well else Exit.NO)
        elif seat.replaced:
            seat.replaced, seat.due = False, 0.0
        elif code == Exit.USAGE and self._job.watch and len(self._watch):
            _log.info("waits until a source changes")
        elif code == Exit.USAGE or (code in (Exit.UNREACHABLE, Exit.LIFESPAN) and not self._been_ready):
            self._end(code)
        else:
            if lived >= STEADY_SECONDS:
                seat.backoff.reset()
            pause = seat.backoff.next_pause()
            seat.due = time.monotonic() + pause
            _log.warning(
                "process %d %s; a new one starts in %.1f s", pid, _ended_how(code), pause, extra={"exit": code}
            )

    def _kill(self, seat: _Seat) -> None:
        seat.kill_at = None
        if seat.process is not None:
            seat.process.kill()

    # all of them

    def _on_signal(self, number: int) -> None:
        if self._signal:
            _log.warning("second signal: ends at once")
            for seat in self._seats:
                self._kill(seat)
                seat.process = None
            self._code = 128 + number
            return
        self._signal = number
        if not self._ending:
            self._end(Exit.OK)

    def _end(self, code: int) -> None:
        self._ending, self._code = True, code
        for seat in self._seats:
            seat.due = None
            self._ask_to_end(seat)

    def _ask_to_end(self, seat: _Seat) -> None:
        if seat.process is not None and seat.kill_at is None:
            seat.kill_at = time.monotonic() + self._job.deadline + KILL_SECONDS
            seat.process.ask_to_end()

    def _look(self, now: float) -> None:
        """Has a source changed?"""
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if not (changed := self._watch.changed()) or self._ending:
            return
        _log.info("%s changed: starts again", ", ".join(os.path.relpath(file) for file in changed))
        self._announced = False  # what runs may be another thing now
        for seat in self._seats[: None if self._been_ready else 1]:
            if seat.process is None:
                seat.due = 0.0
            else:
                seat.replaced = True
                self._ask_to_end(seat)


def _ended_how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
