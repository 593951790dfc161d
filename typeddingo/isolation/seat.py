"""A worker's place for its child process. Comes from the worker, with a task in a frame; goes to the child and back."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from typeddingo._io.threads import Deadline
from typeddingo.cancelled import TaskKey
from typeddingo.errors import ErrorCode, TimeLimitExceeded
from typeddingo.isolation.abandoned import Abandoned
from typeddingo.isolation.frames import Frame, Kind
from typeddingo.isolation.job import Job
from typeddingo.isolation.process import END_SECONDS, Child
from typeddingo.message import Failure
from typeddingo.registry import Entry
from typeddingo.retry import NOT_AGAIN, Verdict

__all__ = ["AFTER", "Answer", "Seat"]

START_SECONDS = 60.0
"""A child that has not imported the program by then never will."""
LOOK_SECONDS = 0.1
"""A child that has been idle for so long is looked at before it is relied upon."""
AFTER = struct.Struct(">d")
"""Seconds in a VERDICT frame."""


class Answer(NamedTuple):
    """What became of a task."""

    report: bytes = b""
    """Its final report, in a frame."""
    failure: Failure | None = None
    """Why there is none."""
    verdict: Verdict = NOT_AGAIN


class _Unfit(Exception):
    """The child cannot run this task."""


class _Run:
    """One task that runs here. Changed under the seat's lock."""

    def __init__(self, keys: Sequence[TaskKey], number: int) -> None:
        self.keys = keys
        self.number = number
        self.end: Answer | None = None
        """Why the child was killed."""
        self.abandoned = False


class Seat:
    """At most one child, started when it is first needed and again after one has died. ``run`` belongs to the worker's
    thread; everything else may come from any."""

    def __init__(self, entry: Entry, job: Job) -> None:
        self._entry = entry
        self._job = job
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._run: _Run | None = None
        self._number = 0
        self._idle_since = 0.0
        self._closed = False

    def run(
        self, keys: Sequence[TaskKey], frame: bytes, attempt: int, on_progress: Callable[[bytes], object]
    ) -> Answer:
        """Run one task, which may be killed as any of ``keys``. Raises ``Abandoned``."""
        with self._lock:
            if self._closed:
                raise Abandoned
            self._number += 1
            run = self._run = _Run(keys, self._number)
        try:
            child = self._started(run)
            answer = self._exchange(child, run, Frame(Kind.TASK, frame, run.number, attempt), on_progress)
        except _Unfit as unfit:
            answer = Answer(failure=Failure(ErrorCode.INVOKE, str(unfit)))
            self._drop()
        except EOFError:
            answer = self._died(self._drop())
        except TimeoutError:
            self._kill()
            self._drop()
            answer = self._too_long()
        except OSError as error:
            answer = self._died(f"it could not be started: {error}")
        except BaseException:
            self._kill()
            self._drop()
            raise
        with self._lock:
            self._run = None
        self._idle_since = monotonic()
        if run.abandoned or run.end is not None:
            self._drop()
        if answer.report:
            return answer
        if run.abandoned:
            raise Abandoned
        return run.end or answer

    def kill(self, key: TaskKey, failure: Failure) -> bool:
        """End this task with its process; False: it does not run here. It fails as ``failure`` says, unless it has
        ended just now."""
        with self._lock:
            if (run := self._run) is None or key not in run.keys:
                return False
            run.end = Answer(failure=failure)
            self._kill_locked()
            return True

    def cancel(self) -> None:
        """Tell the task that runs here, if one does, that it should end."""
        with self._lock:
            run, child = self._run, self._child
        if run is not None and child is not None:
            try:
                child.send(Frame(Kind.CANCEL, number=run.number))
            except (EOFError, TimeoutError):
                return

    def close(self) -> Callable[[Deadline], object] | None:
        """Start no more. A task that runs is killed; returns what waits for an idle child."""
        with self._lock:
            self._closed = True
            if self._run is not None:
                self._run.abandoned = True
                self._kill_locked()
                return None
            child, self._child = self._child, None
        if child is None:
            return None
        child.ask_to_end()
        return child.reap

    def let_go(self) -> None:
        """In a fork of this process: the child is not ours."""
        if self._child is not None:
            self._child.let_go()

    def _started(self, run: _Run) -> Child:
        """The child, which has imported the program."""
        if self._child is not None:
            if monotonic() - self._idle_since < LOOK_SECONDS or not self._child.channel.is_cut():
                return self._child
            self._drop()  # it has died while it had nothing to do: no task has anything to do with that
        child = Child(self._job)
        with self._lock:
            self._child = child
            if run.end is not None or run.abandoned:
                self._kill_locked()
        child.channel.limit(START_SECONDS)
        try:
            first = child.channel.receive()
        except TimeoutError:
            self._kill()
            raise _Unfit(f"its process has not imported the program within {START_SECONDS:g} s") from None
        if first.kind != Kind.READY:
            raise _Unfit(first.body.decode())
        child.channel.limit(None)
        return child

    def _exchange(self, child: Child, run: _Run, task: Frame, on_progress: Callable[[bytes], object]) -> Answer:
        """Send the task; hear what it says until it ends."""
        channel, seconds, verdict = child.channel, self._entry.hard_timeout, NOT_AGAIN
        deadline = None if seconds is None else monotonic() + seconds
        if seconds is not None:
            channel.limit(seconds)
        channel.send(task)
        while True:
            if deadline is not None:
                if (left := deadline - monotonic()) <= 0:
                    raise TimeoutError
                channel.limit(left)
            kind, body, number, again = channel.receive()
            if number != run.number:  # of a thread that an earlier task has left behind
                continue
            if kind == Kind.REPORT:
                return Answer(body, None, verdict)
            if kind == Kind.PROGRESS:
                on_progress(body)
            elif kind == Kind.VERDICT:
                verdict = Verdict(bool(again), AFTER.unpack(body)[0] if body else None)

    def _died(self, how: str) -> Answer:
        error = ChildProcessError(f"the process that ran it died: {how}")
        return Answer(
            failure=Failure(ErrorCode.CHILD_DIED, str(error), "ChildProcessError"), verdict=self._judge(error)
        )

    def _too_long(self) -> Answer:
        text = f"it ran for longer than its hard time limit of {self._entry.hard_timeout:g} s; its process was killed"
        failure = Failure(ErrorCode.HARD_TIME_LIMIT, text, "typeddingo.errors.TimeLimitExceeded")
        return Answer(failure=failure, verdict=self._judge(TimeLimitExceeded(text)))

    def _judge(self, error: BaseException) -> Verdict:
        return NOT_AGAIN if self._entry.retry is None else self._entry.retry.judge(error)

    def _kill(self) -> None:
        with self._lock:
            self._kill_locked()

    def _kill_locked(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _drop(self) -> str:
        """The child has died or is about to: nobody kills it from here on. Says how it ended."""
        with self._lock:
            child, self._child = self._child, None
        return "it had not started" if child is None else child.reap(Deadline(END_SECONDS))
