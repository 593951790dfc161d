"""Limits over all workers that share a RabbitMQ. Comes from workers that are about to start a task, goes to the server.

The server cannot count for us, but it lends a message to one consumer at a time: for each key there is a queue with one
message, the state of a ``Turnstile``. Who has got it has it for himself, sends what has become of it, and acknowledges
it; when he dies the server hands it on as it was. The clocks are the workers' own, and must agree.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import NamedTuple, TypeAlias, cast

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_channel import Channel, Dialogue
from typeddingo._io.amqp_errand import Getter, Got, run
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message, Route
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_topology import declare_queue
from typeddingo._io.threads import Threads
from typeddingo.errors import ConnectionLost, TypedDingoError
from typeddingo.limits import Limiter, Want
from typeddingo.turnstile import LATE, State, Turnstile

__all__ = ["AmqpLimiter"]

LEASE = 15.0
"""Seconds for which a slot is kept without a sign of life: what a worker holds that dies comes back then."""
CLOSE = 1.0
PAUSE = 0.01
"""Seconds between looks at a state that somebody else has."""
LOST = 2.0
"""Seconds after which a state that nobody gives back is none."""
UNUSED = 24 * 3600.0
"""Seconds after which a state that nobody asks for is forgotten; more than the longest window."""

DECLARED = 3600.0
"""Seconds after which we say again that a queue is wanted."""
MANY = 4096


class _Kept(NamedTuple):
    """A state as it lies in its queue."""

    tag: int
    version: int
    turnstile: Turnstile


Change: TypeAlias = "Callable[[Turnstile, float], float | None]"
"""Of a state, at a time; what is told to whoever wants it."""


class _Errand:
    """Something to be done to the state in a queue."""

    __slots__ = ("change", "done", "error", "queue", "time", "wait")

    def __init__(self, queue: str, change: Change) -> None:
        self.queue = queue
        self.change = change
        self.done = False
        self.wait = 0.0
        self.time = 0.0
        """Of the change."""
        self.error: TypedDingoError | None = None


class AmqpLimiter(Limiter):
    """Thread-safe. One exchange at a time."""

    def __init__(self, link: Link, publisher: Publisher, threads: Threads) -> None:
        self._link = link
        self._publisher = publisher
        self._threads = threads
        self._timeout = link.settings.send_timeout
        self._lock = threading.Lock()
        self._turns = threading.Condition(self._lock)
        self._busy = False
        """Somebody talks to the server."""
        self._held: dict[Want, None] = {}
        self._waiting: list[_Errand] = []
        self._declared: dict[str, float] = {}
        """When we last said that a queue is wanted."""
        self._chores: list[tuple[Want, Change]] = []
        self._wake = threading.Event()
        self._started = False
        self._closed = False
        self._ended = threading.Event()

    def acquire(self, wants: Sequence[Want]) -> Sequence[float]:
        """See ``Limiter.acquire``."""
        waits: list[float] = []
        for want in wants:
            errand = self._change(want, partial(_ask, want))
            waits.append(errand.wait)
            if errand.wait:
                continue
            with self._lock:
                if want.bounds.most is not None:
                    self._held[want] = None
                    self._start()
                if want.bounds.rate is not None and (heard := time.time()) - errand.time > LATE:
                    self._chores.append((want, partial(_move, errand.time, heard)))
                    self._start()
                    self._wake.set()
        return waits

    def release(self, wants: Sequence[Want]) -> None:
        """See ``Limiter.release``: done by a thread of its own."""
        with self._lock:
            released = [want for want in wants if self._held.pop(want, 0) is None]
            self._chores += [(want, partial(_release, want)) for want in released]
        self._wake.set()

    def close(self) -> None:
        """Release what there is, and end the thread. Idempotent; takes a second at most."""
        self._closed = True
        self._wake.set()
        if self._started:
            self._ended.wait(CLOSE)

    def _start(self) -> None:
        """The thread, by whoever has the lock."""
        if not self._started:
            self._started = True
            self._threads.start("limits", self._run)

    def _run(self) -> None:
        try:
            self._keep()
        finally:
            self._ended.set()

    def _keep(self) -> None:
        renewed = time.monotonic()
        while True:
            self._wake.wait(LEASE / 3)
            self._wake.clear()
            with self._lock:
                chores, self._chores = self._chores, []
            self._do(chores)
            if self._closed:
                return
            if time.monotonic() - renewed > LEASE / 3:
                renewed = time.monotonic()
                self._do([(want, partial(_renew, want)) for want in list(self._held)])

    def _do(self, chores: Sequence[tuple[Want, Change]]) -> None:
        """What fails is made good for by the end of the lease, or of the window."""
        for want, change in chores:
            try:
                self._change(want, change)
            except TypedDingoError:
                continue

    def _change(self, want: Want, change: Change) -> _Errand:
        """Whoever talks to the server does so for all who wait for the same state. Raises ``ConnectionLost``."""
        digest = blake2b(f"{want.name}\0{want.key}".encode(), digest_size=16).hexdigest()
        errand = _Errand(f"{self._link.settings.namespace}.limit.{digest}", change)
        together: list[_Errand] = []
        with self._turns:
            self._waiting.append(errand)
            while self._busy and not errand.done:
                self._turns.wait()
            if not errand.done:
                self._busy = True
                together = [each for each in self._waiting if each.queue == errand.queue]
                self._waiting = [each for each in self._waiting if each.queue != errand.queue]
        if together:
            try:
                self._run_all(errand.queue, together)
            except BaseException:  # interrupted: what the others wanted was not noted for certain
                for each in together:
                    each.error = ConnectionLost(f"{self._link.settings.address}: the exchange was interrupted")
                raise
            finally:
                with self._turns:
                    self._busy = False
                    for each in together:
                        each.done = True
                    self._turns.notify_all()
        if errand.error is not None:
            raise ConnectionLost(str(errand.error)) from errand.error
        return errand

    def _run_all(self, queue: str, errands: Sequence[_Errand]) -> None:
        where = self._link.settings.address
        try:
            noted = run(self._link, partial(self._turn, queue, errands), CLOSE if self._closed else self._timeout)
            if not noted:
                raise ConnectionLost(f"{where}: what is running could not be noted")
        except LookupError:
            self._declared.pop(queue, None)
            error: TypedDingoError = ConnectionLost(f"{where}: the queue of a limit was deleted")
        except TypedDingoError as failed:
            error = failed
        else:
            return
        for errand in errands:
            errand.error = error

    def _turn(self, queue: str, errands: Sequence[_Errand], channel: Channel) -> Dialogue[bool]:
        """False: it could not be noted."""
        if time.monotonic() - self._declared.get(queue, -math.inf) > DECLARED:
            if len(self._declared) > MANY:
                self._declared.clear()
            yield from declare_queue(channel, queue, {"x-expires": round(UNUSED * 1000)})
            yield from declare_queue(channel, f"{queue}.made", {"x-expires": round(UNUSED * 1000), **ONE})
            self._declared[queue] = time.monotonic()
        getter, since = Getter(channel), time.monotonic()
        asked = False
        while (kept := (yield from _get(channel, getter, queue))) is None:
            if not asked or time.monotonic() - since > LOST:
                # It was never made, or is in somebody's hands: only one can say that he makes it.
                made = yield from self._store(channel, f"{queue}.made", b"")
                if made is None or time.monotonic() - since > LOST:
                    kept = _Kept(0, 0, Turnstile())
                    break
                asked = True
            yield lambda then: self._link.later(PAUSE, partial(_go_on, channel, then))
        tag, version, turnstile = kept
        now = time.time()
        for errand in errands:
            errand.wait, errand.time = errand.change(turnstile, now) or 0.0, now
        state = json.dumps({"version": version + 1, **turnstile.state()}).encode()
        if (yield from self._store(channel, queue, state)) is not None:
            return False
        if tag:
            channel.basic_ack(tag)
        return True

    def _store(self, channel: Channel, queue: str, body: bytes) -> Dialogue[Exception | None]:
        answer = Answer(1, self._timeout)
        self._publisher.publish([Message(Route("", queue), body, answer)])
        error = yield lambda then: answer.add_done_callback(
            lambda error: self._link.submit(partial(_go_on, channel, then, error))
        )
        return error if isinstance(error, Exception) else None


def _go_on(channel: Channel, then: Callable[[object], None], answer: object = None) -> None:
    """Unless the channel is gone, and the dialogue on it."""
    if channel.is_open:
        then(answer)


def _ask(want: Want, turnstile: Turnstile, now: float) -> float:
    return turnstile.ask(want.id, want.bounds, now, LEASE)


def _move(counted: float, heard: float, turnstile: Turnstile, now: float) -> None:
    turnstile.move(counted, heard)


def _release(want: Want, turnstile: Turnstile, now: float) -> None:
    turnstile.release(want.id, now)


def _renew(want: Want, turnstile: Turnstile, now: float) -> None:
    turnstile.renew(want.id, now + LEASE)


ONE: dict[str, object] = {"x-max-length": 1, "x-overflow": "reject-publish"}


def _get(channel: Channel, getter: Getter, queue: str) -> Dialogue[_Kept | None]:
    """The state; of two, which somebody left who died in between, the later one."""
    latest: _Kept | None = None
    while (got := (yield from getter.get(queue))) is not None:
        kept = _read(got)
        if latest is not None:
            older = min(latest, kept, key=lambda each: each.version)
            channel.basic_ack(older.tag)
            kept = max(latest, kept, key=lambda each: each.version)
        latest = kept
    return latest


def _read(got: Got) -> _Kept:
    try:
        state = json.loads(got.body)
        return _Kept(got.tag, int(state["version"]), Turnstile.restored(cast("State", state)))
    except (ValueError, KeyError, TypeError):  # not ours
        return _Kept(got.tag, 0, Turnstile())
