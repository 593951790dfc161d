"""Tasks on their way to Redis: whoever waits for an answer writes, for everybody. Comes from ``send``, goes to a link.

One thread at a time is the *leader*: it takes all that is queued, writes it in one exchange and tells everybody what
became of it. A caller who waits becomes the leader if there is none, so a lone call costs no change of threads. One who
goes on calling writes ahead: he leads for as long as it takes to send what is queued, and whoever leads next reads the
answers. What nobody waits for is written by a thread in the background.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from typeddingo._io.redis_server import Unreached
from typeddingo._io.threads import Threads
from typeddingo.broker import Confirmation, Parcel
from typeddingo.errors import ConnectionLost, SendError, SendUnknown

__all__ = ["Sender", "Sending", "Write", "WriteAhead", "Written"]

AT_ONCE = 1000
"""Tasks that one exchange takes, about."""
AHEAD = 128
"""Tasks that a caller writes ahead. Another thread that wrote them would cost more: both share one interpreter."""
AHEAD_BYTES = 128 * 1024
"""Of them, at most: the system takes so much at once, so that nobody waits."""
AHEAD_AGAIN = 32
"""More of them before he looks again whether what was written ahead has been answered."""
MANY = 1000
"""Tasks that wait for a caller to come back before the background writes them."""
LOOK = 0.02
"""Seconds for which the background leaves what is queued to a caller."""
CLOSE_LOOK = 0.005
LINGER = 50
"""Looks at an empty queue before the background goes to sleep."""

Answer: TypeAlias = "BaseException | None"
Callback: TypeAlias = "Callable[[Answer], object]"
Write: TypeAlias = "Callable[[Sequence[Sending], float], Sequence[Answer]]"
"""Stores the tasks of all within so many seconds; returns the answer to each. Raises ``Unreached`` (not stored),
``ConnectionLost`` (may be stored, may be written again) or an error that holds for all."""
WriteAhead: TypeAlias = "Callable[[Sequence[Sending]], Written | None]"
"""Begins to store them. None: not now. Raises as ``Write``; does not block."""


class _Waiter:
    """A thread that waits for an answer, or to lead."""

    __slots__ = ("bell", "leads")

    def __init__(self) -> None:
        self.leads = False
        self.bell = threading.Lock()
        self.bell.acquire()


class Sending(Confirmation):
    """One batch on its way, and its answer. But for ``wait`` and ``add_done_callback`` it is the sender's."""

    __slots__ = ("callbacks", "done", "due", "error", "instead", "parcels", "sender", "tried", "waiters")

    def __init__(self, sender: Sender, parcels: Sequence[Parcel], due: float) -> None:
        self.sender = sender
        self.parcels = parcels
        self.due = due
        """When it must be known what became of it."""
        self.tried = False
        """It may be stored."""
        self.done = False
        self.error: Answer = None
        self.instead = ""
        self.waiters: list[_Waiter] | None = None
        self.callbacks: list[Callback] | None = None

    def wait(self, timeout: float | None = None) -> None:
        """See ``Confirmation.wait``; without a timeout it ends when the send timeout is over."""
        if not self.done and not self.sender.wait_for(self, timeout):
            raise SendUnknown(f"no answer from Redis within {timeout} seconds: the task may or may not be stored")
        if self.error is not None:
            raise self.error

    def add_done_callback(self, callback: Callback) -> None:
        """See ``Confirmation.add_done_callback``."""
        if not self.sender.wants(self, callback):
            callback(self.error)


class Written(NamedTuple):
    """What was written ahead."""

    is_answered: Callable[[], bool]
    """To read the answers takes no time."""
    read: Callable[[float], Sequence[Answer]]
    """See ``Write``. Once."""


class Sender:
    """Thread-safe."""

    def __init__(self, write: Write, write_ahead: WriteAhead | None, seconds: float, threads: Threads) -> None:
        self._write = write
        self._begin = write_ahead
        self._seconds = seconds
        self._threads = threads
        self._lock = threading.Lock()
        self._queue: deque[Sending] = deque()
        self._queued = 0
        self._waiters: dict[_Waiter, Sending] = {}  # in the order in which they came
        self._led = False
        self._written: tuple[list[Sending], Written] | None = None
        """The leader's."""
        self._ahead_at = AHEAD
        self._closed = False
        self._started = False
        self._asleep = True
        self._alarmed = False
        self._urgent = False
        self._alarm = threading.Event()

    def send(self, parcels: Sequence[Parcel]) -> Sending:
        """Queue a batch. Raises ``SendError`` once closed."""
        sending = Sending(self, parcels, time.monotonic() + self._seconds)
        with self._lock:
            if self._closed:
                raise SendError("this RedisBroker is closed: nothing was sent; send before close()")
            if not parcels:
                sending.done = True
                return sending
            self._queue.append(sending)
            self._queued += len(parcels)
            ahead = self._queued >= self._ahead_at and not self._led and self._begin is not None
            self._led = self._led or ahead
            if self._asleep or (self._queued > MANY and not (self._led or self._alarmed)):
                self._wake()
        if ahead:
            self._lead_ahead()
        return sending

    def wait_for(self, sending: Sending, timeout: float | None) -> bool:
        """Until it is done, leading if nobody does. False: not within ``timeout`` seconds."""
        end = sending.due if timeout is None else min(sending.due, time.monotonic() + timeout)
        while True:
            with self._lock:
                if sending.done:
                    return True
                waiter = self._waiter_of(sending) if self._led else None
                self._led = True
            if waiter is None or self._wait(waiter, sending, end):
                self._lead(sending, end)
            if time.monotonic() >= end:
                return self._give_up(sending)

    def wants(self, sending: Sending, callback: Callback) -> bool:
        """False: the answer is known already."""
        with self._lock:
            if sending.done:
                return False
            sending.callbacks = [*(sending.callbacks or ()), callback]
            self._urgent = True
            if not self._led:
                self._wake()
        return True

    def close(self, seconds: float) -> None:
        """Write what is queued, for at most so many seconds; what is left then gets its answer."""
        end = time.monotonic() + seconds
        with self._lock:
            self._closed = True
        while not self._lead_if_free(end) and time.monotonic() < end:
            time.sleep(CLOSE_LOOK)  # somebody writes, and goes on until all is written or he has his own answer
        with self._lock:
            left = list(self._queue)
            self._queue.clear()
            self._alarm.set()
        self._answer([(sending, _given_up(sending)) for sending in left])

    # Who leads.

    def _waiter_of(self, sending: Sending) -> _Waiter:
        """The caller holds the lock."""
        waiter = _Waiter()
        self._waiters[waiter] = sending
        sending.waiters = [*(sending.waiters or ()), waiter]
        return waiter

    def _wait(self, waiter: _Waiter, sending: Sending, end: float) -> bool:
        """Until it is answered or the time is over; or True: until it must lead."""
        try:
            waiter.bell.acquire(timeout=max(0.0, end - time.monotonic()))
        except BaseException:
            if self._forget(waiter, sending):
                self._pass_on()
            raise
        return self._forget(waiter, sending)

    def _forget(self, waiter: _Waiter, sending: Sending) -> bool:
        with self._lock:
            self._waiters.pop(waiter, None)
            if sending.waiters and waiter in sending.waiters:
                sending.waiters.remove(waiter)
            return waiter.leads

    def _lead(self, own: Sending | None, end: float) -> None:
        """Write until ``own`` is done (None: until nothing is queued), then let somebody else lead."""
        try:
            self._read(end)
            while not (own is not None and own.done) and time.monotonic() < end and (batch := self._next()):
                self._exchange(batch, partial(self._store, batch), end)
        finally:
            self._pass_on()

    def _lead_ahead(self) -> None:
        """Write what is queued and do not wait, if what was written before is answered."""
        try:
            if self._written is not None and self._written[1].is_answered():
                self._read(self._written[0][0].due)
            if self._written is None and (batch := self._next(AHEAD_BYTES)):
                self._write_ahead(batch)
        finally:
            self._pass_on(comes_back=True)

    def _lead_if_free(self, end: float) -> bool:
        with self._lock:
            if self._led:
                return False
            self._led = True
        self._lead(None, end)
        return True

    def _pass_on(self, *, comes_back: bool = False) -> None:
        """Somebody who waits leads now; or nobody, and what is left is the background's: at once, unless who has led
        comes back for it."""
        with self._lock:
            if waiter := next(iter(self._waiters), None):
                del self._waiters[waiter]
                waiter.leads = True
                waiter.bell.release()
                return
            self._led = False
            self._ahead_at = max(AHEAD, self._queued + AHEAD_AGAIN)
            if self._urgent or (self._queue and not comes_back):
                self._wake()

    def _give_up(self, sending: Sending) -> bool:
        """The time is over. True: so it is for good, and the answer is known."""
        with self._lock:
            if sending.done or sending.due > time.monotonic():
                return sending.done
            if sending in self._queue:
                self._queue.remove(sending)
                self._queued -= len(sending.parcels)
            else:  # being written
                sending.tried = True
        self._answer([(sending, _given_up(sending))])
        return True

    # What the leader does.

    def _next(self, most_bytes: int | None = None) -> list[Sending]:
        batch: list[Sending] = []
        size = weight = 0
        with self._lock:
            while self._queue and size < AT_ONCE:
                parcels = self._queue[0].parcels
                if most_bytes is not None:
                    weight += sum([len(parcel.body) for parcel in parcels])
                    if weight > most_bytes:
                        break
                size += len(parcels)
                batch.append(self._queue.popleft())
            self._queued -= size
            self._urgent = self._urgent and (bool(self._queue) or most_bytes is not None)
        return batch

    def _write_ahead(self, batch: list[Sending]) -> None:
        try:
            written = self._begin(batch) if self._begin is not None else None
        except BaseException as error:
            self._failed(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        if written is None:
            self._put_back(batch)
        else:
            self._written = batch, written

    def _read(self, end: float) -> None:
        """The answers to what was written ahead."""
        if self._written is not None:
            (batch, written), self._written = self._written, None
            self._exchange(batch, written.read, end)

    def _exchange(self, batch: list[Sending], ask: Callable[[float], Sequence[Answer]], end: float) -> None:
        """All answered, or queued again if there is still time for them."""
        try:
            answers = list(zip(batch, ask(min(end, batch[0].due) - time.monotonic()), strict=True))
        except BaseException as error:
            self._failed(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        self._answer(answers)

    def _store(self, batch: Sequence[Sending], seconds: float) -> Sequence[Answer]:
        if seconds <= 0:
            raise Unreached("the time was over before it could be sent")
        return self._write(batch, seconds)

    def _failed(self, batch: list[Sending], error: BaseException) -> None:
        if isinstance(error, ConnectionLost):
            now = time.monotonic()
            answers: list[tuple[Sending, Answer]] = []
            for sending in batch:
                sending.tried = sending.tried or not isinstance(error, Unreached)
                if sending.due <= now or self._closed:
                    answers.append((sending, _given_up(sending, error)))
            self._put_back([sending for sending in batch if sending.due > now])
            self._answer(answers)
        elif isinstance(error, Exception):
            self._answer([(sending, error) for sending in batch])
        else:
            for sending in batch:  # interrupted: whoever waits for the others goes on with them
                sending.tried = True
            self._put_back(batch)

    def _put_back(self, batch: list[Sending]) -> None:
        with self._lock:
            again = [sending for sending in batch if not sending.done and not self._closed]
            self._queue.extendleft(reversed(again))
            self._queued += sum(len(sending.parcels) for sending in again)

    def _answer(self, answers: Sequence[tuple[Sending, Answer]]) -> None:
        """The first answer to each counts."""
        heard: list[tuple[Callback, Answer]] = []
        with self._lock:
            for sending, error in answers:
                if sending.done:
                    continue
                sending.error = error
                sending.done = True
                sending.parcels = ()
                for waiter in sending.waiters or ():
                    if self._waiters.pop(waiter, None) is not None:  # else it leads now, and looks by itself
                        waiter.bell.release()
                heard += [(callback, error) for callback in sending.callbacks or ()]
        for callback, error in heard:
            with contextlib.suppress(Exception):  # whoever listens must not break whoever sends
                callback(error)

    # The background.

    def _wake(self) -> None:
        """The background must look. The caller holds the lock."""
        if not self._started:
            self._started = True
            self._threads.start("sender", self._background)
        self._asleep = False
        self._alarmed = True
        self._alarm.set()

    def _background(self) -> None:
        """Write what stays queued although nobody leads."""
        looks, last = 0, None
        while True:
            urgent = self._alarm.wait(None if looks > LINGER else LOOK)
            with self._lock:
                self._alarm.clear()
                self._alarmed = False
                if self._closed:
                    return
                first = self._written or (self._queue[0] if self._queue else None)
                wanted = first is not None and not self._led
                wanted = wanted and (first is last or self._urgent or self._queued > MANY)
                self._led = self._led or wanted
                last, looks = first, looks + 1 if first is None and not urgent else 0
                self._asleep = looks > LINGER
            if wanted:
                self._lead(None, time.monotonic() + self._seconds)


def _given_up(sending: Sending, cause: Answer = None) -> Exception:
    error: Exception
    if sending.tried:
        error = SendUnknown("Redis did not answer in time: the task may or may not be stored")
    else:
        error = SendError("Redis could not be reached in time: the task was not sent")
    error.__cause__ = cause or ConnectionLost("Redis cannot be reached")
    return error
