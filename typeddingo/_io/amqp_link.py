"""One connection to RabbitMQ that comes back, and the thread it lives on. Used by publishers, consumers and stores.

Everything of pika runs on that thread and nothing else does: other threads hand work over with ``submit``. The loop
outlives its connections, so that what waits for one is looked after while there is none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from pika import SelectConnection
from pika.adapters.select_connection import IOLoop
from pika.exceptions import (
    AuthenticationError,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from typeddingo._io.amqp_services import Services
from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo._io.amqp_stream import Stream
from typeddingo._io.backoff import Backoff
from typeddingo._io.threads import Deadline, Threads
from typeddingo.errors import ConfigError
from typeddingo.events import EventLevel

__all__ = ["Guest", "Link", "Tell"]

Tell: TypeAlias = Callable[[EventLevel, str], object]
"""Says what happened to the connection; must not block."""

STABLE_SECONDS = 1.0
"""A connection that lived shorter counts as one more failed try."""
OPENING_SECONDS = 0.5
"""What a connection that is being opened gets to be closed."""
CUT_SECONDS = 0.5
"""What a connection that was cut gets to say so."""
REFUSED_PAUSE = 5.0
"""Seconds until a server that refused us is asked again: somebody may have corrected it."""
_NOT_ALLOWED = (402, 403, 404, 530)
_log = logging.getLogger("pika")
_log.addHandler(logging.NullHandler())
if _log.level == logging.NOTSET:
    _log.setLevel(logging.CRITICAL)  # what it would say of a lost connection, the events say; once, and calmly


class Guest(Protocol):
    """Somebody who uses a link. Both methods run on its thread."""

    def opened(self, connection: SelectConnection) -> None:
        """A connection is there."""

    def refused(self, error: ConfigError) -> None:
        """The server does not let us in, and will not for the same credentials."""

    def unblocked(self) -> None:
        """The server takes messages again."""


class Link:
    """Thread-safe where it says so. Opens no socket before the first ``submit``."""

    def __init__(self, settings: AmqpSettings, side: str, threads: Threads, tell: Tell) -> None:
        self.settings = settings
        self.blocked = False
        """The server takes no messages at the moment."""
        self.silent = False
        """Somebody has waited in vain for the server, since it was connected last: others need not."""
        self.connection: SelectConnection | None = None
        """The open connection."""
        self._loop: IOLoop | None = None
        self._services: Services | None = None
        self._side = side
        self._threads = threads
        self._tell = tell
        self._guests: list[Guest] = []
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._work: deque[Callable[[], object]] = deque()
        self._last: list[Callable[[], object]] = []
        self._when_written: list[Callable[[], object]] = []
        self._in_round = False
        self._awake = False
        self._thread: threading.Thread | None = None
        self._closing = False
        self._ended = False
        self._attempt: SelectConnection | None = None
        self._backoff = Backoff()
        self._opened_at = 0.0
        self._was_up = False
        self._is_down = False
        self.refusal: ConfigError | None = None
        """Why the server has refused us, until it lets us in."""

    # From any thread.

    def submit(self, work: Callable[[], object]) -> bool:
        """Run ``work`` on the link's thread, soon, in the order of submission; connected or not. Many share one
        wake-up. False once the link is closed: it will never run."""
        with self._lock:
            if self._ended or self._process != os.getpid():
                return False
            self._work.append(work)
            if (loop := self._loop) is None:
                loop = self._loop = IOLoop()
                self._services = Services(loop)
                self._thread = self._threads.start(self._side, partial(self._run, loop))
            if self._awake:
                return True
            self._awake = True
        loop.add_callback_threadsafe(self._do_work)
        return True

    def submit_written(self, work: Callable[[], object]) -> bool:
        """As ``submit``, for the link's own thread: ``work`` runs when what was sent before has been given to the
        system, so that it arrives even if this process ends there and then."""
        if not self._in_round:
            return self.submit(work)
        self._when_written.append(work)
        return True

    @property
    def stream(self) -> Stream | None:
        """What the newest connection reads and writes."""
        return self._services.stream if self._services is not None else None

    @property
    def alive(self) -> bool:
        """Its thread runs, in this process."""
        return self._loop is not None and not self._ended and self._process == os.getpid()

    @property
    def is_current(self) -> bool:
        """The caller runs on the link's thread."""
        return threading.current_thread() is self._thread

    @property
    def server_version(self) -> tuple[int, ...]:
        """Of the server we are connected to; empty when it is not known."""
        properties = (self.connection.server_properties if self.connection is not None else None) or {}
        version = properties.get("version", "")
        text = version.decode("ascii", "replace") if isinstance(version, bytes) else str(version)
        return tuple(int(part) for part in text.split(".")[:2] if part.isascii() and part.isdigit())

    @property
    def closed(self) -> bool:
        return self._closing

    def flush(self, seconds: float) -> None:
        """Wait at most so long until all work that was handed over so far is done."""
        done = threading.Event()
        if self._thread is not None and not self.is_current and self.submit(done.set):
            done.wait(seconds)

    def close(self, deadline: Deadline) -> None:
        """Close the connection in peace if the server answers in time, else cut it. Idempotent."""
        with self._lock:
            first, self._closing = not self._closing, True
            if self._thread is None or self._process != os.getpid():  # a connection of the process we were forked from
                self._ended = True
                return
        if first:
            left = deadline.left or 0.0
            self.submit(lambda: self._begin_close(left))
        if not self.is_current:
            self._thread.join(None if deadline.left is None else deadline.left + 1.0)

    # On the link's thread.

    def add(self, guest: Guest) -> None:
        """From now on the guest hears of connections; of the one that is there, at once."""
        self._guests.append(guest)
        if self.connection is not None:
            guest.opened(self.connection)
        elif self.refusal is not None:
            guest.refused(self.refusal)

    def remove(self, guest: Guest) -> None:
        with contextlib.suppress(ValueError):
            self._guests.remove(guest)

    def at_end_of_round(self, work: Callable[[], object]) -> bool:
        """Run ``work`` after all that was handed over before this round of the loop. False: never."""
        if self._in_round:
            self._last.append(work)
            return True
        return self.submit(work)

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Run ``work`` after so many seconds, unless the link is closed by then."""
        assert self._loop is not None
        self._loop.call_later(seconds, partial(self._guarded, work))

    def _run(self, loop: IOLoop) -> None:
        self._connect()
        while not self._ended:
            try:
                loop.start()
            except Exception as error:  # a bug, of ours or of pika: the link goes on with a new connection
                if not self._closing:  # pika has one when it is closed while it connects
                    self._tell(EventLevel.ERROR, f"the connection to {self.settings.address} failed: {error!r}")
                self.cut()
                self.later(CUT_SECONDS, partial(self._give_up, self._attempt, error))
        self._do_work()  # what was handed over since: it finds no connection
        loop.close()

    def _do_work(self) -> None:
        self._awake = False
        if (stream := self.stream) is not None:
            stream.hold()
        self._in_round = True
        for _ in range(len(self._work)):
            self._guarded(self._work.popleft())
        while self._last:
            last, self._last = self._last, []
            for work in last:
                self._guarded(work)
        self._in_round = False
        if stream is not None:
            stream.release()
        written, self._when_written = self._when_written, []
        for work in written:
            if stream is None or not stream.get_write_buffer_size() or not self.submit(work):
                self._guarded(work)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self._tell(EventLevel.ERROR, f"the adapter failed, this is a bug: {error!r}")

    def _give_up(self, attempt: SelectConnection | None, error: Exception) -> None:
        """A connection in which pika has failed may never say that it has ended."""
        if attempt is not None and attempt is self._attempt:
            self._on_close(attempt, error)

    def _connect(self) -> None:
        services = self._services
        if self._closing or self._attempt is not None or services is None:
            return
        try:
            parameters = self.settings.parameters(self._side)
        except ConfigError as error:
            self._refuse(error)
            return
        try:
            self._attempt = SelectConnection(parameters, self._on_open, self._on_open_error, self._on_close, services)
        except Exception as error:  # whatever it was, the next try may work
            self._retry(f"{self.settings.address} cannot be reached ({_reason(error)}); trying again")
            return
        self._attempt.add_on_connection_blocked_callback(lambda _, __: self._set_blocked(True))
        self._attempt.add_on_connection_unblocked_callback(lambda _, __: self._set_blocked(False))

    def _on_open(self, connection: SelectConnection) -> None:
        if connection is not self._attempt:  # given up since
            connection.close()
            return
        if self._closing:  # while it was opening
            connection.close()
            return
        self.connection = connection
        self.refusal = None
        self.silent = False
        self._opened_at = time.monotonic()
        if self._is_down:
            self._tell(EventLevel.INFO, f"the connection to {self.settings.address} is back")
        self._is_down, self._was_up = False, True
        self.settings.address.tell_dangers(partial(self._tell, EventLevel.WARNING))
        for guest in list(self._guests):
            self._guarded(partial(guest.opened, connection))

    def _on_open_error(self, connection: SelectConnection, error: BaseException) -> None:
        if connection is not self._attempt:
            return
        self._attempt = None
        if self._closing:
            self._end()
        elif not self._was_up and (refusal := self._refusal_in(error)) is not None:
            self._refuse(refusal)
        else:
            self._retry(f"{self.settings.address} cannot be reached ({_reason(error)}); trying again")

    def _on_close(self, connection: SelectConnection, error: BaseException) -> None:
        if connection is not self._attempt:
            return
        self._attempt = self.connection = None
        self.blocked = False
        if self._closing:
            self._end()
            return
        if time.monotonic() - self._opened_at >= STABLE_SECONDS:
            self._backoff.reset()
        self._retry(f"the connection to {self.settings.address} was lost ({_reason(error)}); connecting again")

    def _retry(self, what: str) -> None:
        if not self._is_down:
            self._is_down = True
            self._tell(EventLevel.WARNING, what)
        self.later(self._backoff.next_pause(), self._connect)

    def _refusal_in(self, error: BaseException) -> ConfigError | None:
        where = self.settings.address
        if isinstance(error, (AuthenticationError, ProbableAuthenticationError)):
            return ConfigError(f"{where} refuses our credentials: check user and password")
        if isinstance(error, ProbableAccessDeniedError):
            return ConfigError(
                f"{where} refuses us this virtual host: check that it exists and that the user may use it"
            )
        if isinstance(error, ConnectionClosedByBroker) and error.reply_code in _NOT_ALLOWED:
            return ConfigError(f"{where} refuses us: {error.reply_text}")
        return where.distrusted(error)

    def _refuse(self, refusal: ConfigError) -> None:
        if self.refusal is None:
            self._tell(EventLevel.ERROR, str(refusal))
        self.refusal = refusal
        self._is_down = True
        for guest in list(self._guests):
            self._guarded(partial(guest.refused, refusal))
        self.later(REFUSED_PAUSE, self._connect)

    def _set_blocked(self, blocked: bool) -> None:
        if blocked != self.blocked:
            self.blocked = blocked
            level = EventLevel.WARNING if blocked else EventLevel.INFO
            how = "takes no messages at the moment: memory or disk alarm" if blocked else "takes messages again"
            self._tell(level, f"{self.settings.address} {how}")
            if not blocked:
                for guest in list(self._guests):
                    self._guarded(guest.unblocked)

    def _begin_close(self, seconds: float) -> None:
        if self._attempt is None:
            self._end()
            return
        self.later(seconds, self.cut)
        self.later(seconds + 0.5, self._end)
        if self.connection is None:
            self.later(OPENING_SECONDS, self._end)  # nothing of ours is under way on it
        if not self._attempt.is_closing and not self._attempt.is_closed:
            self._attempt.close()

    def cut(self) -> None:
        """End the connection without asking the server."""
        # A server that has blocked us does not read our good-bye.
        if self._attempt is not None and self.stream is not None:
            self.stream.abort()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
        if self._loop is not None:
            self._loop.stop()


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionClosedByBroker):
        return f"{error.reply_code} {error.reply_text}"
    return type(error).__name__
