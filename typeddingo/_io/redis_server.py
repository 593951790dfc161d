"""The connections of one broker or backend to its Redis. Made by the adapters, gives them ``RedisLink``s.

Links that wait in a blocking read belong to whoever waits; the others are shared: taken for one exchange and put back.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from typeddingo._io.redis_checks import check_server
from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_pace import Pace
from typeddingo._io.redis_posted import Posted
from typeddingo._io.redis_reply import Refused
from typeddingo._io.redis_settings import RedisSettings
from typeddingo._io.threads import Deadline
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.role import Role

__all__ = ["RedisServer", "Unreached"]

T = TypeVar("T")

NOT_NOW = 0.1
"""Seconds until a server is asked again that answers, but cannot serve: it loads its data, or is a replica."""
LEAST = 1.0
"""Seconds that every try to connect gets, if the settings do not say less."""
KEPT = 8
"""Idle links that are kept."""


class Unreached(ConnectionLost):
    """Nothing was ever sent: the server has certainly not done it."""


class RedisServer:
    """Thread-safe. Opens no connection before the first is needed."""

    def __init__(self, settings: RedisSettings, origin: Role, events: EventSource) -> None:
        self.settings = settings
        self.closing = threading.Event()
        self._where = str(settings.address)
        self._origin = origin
        self._events = events
        self._pace = Pace()
        self._lock = threading.Lock()
        self._idle: list[RedisLink] = []
        self._opening: set[RedisLink] = set()
        self._posted: set[RedisLink] = set()
        self._checked = not settings.check
        self._lost = False
        self._complained = False
        self._greeted = False
        self._pid = os.getpid()

    @property
    def is_lost(self) -> bool:
        """A connection was lost, and none has been made since."""
        return self._lost

    @property
    def is_forked(self) -> bool:
        """This is a child of the process that made it: its connections are not ours."""
        return os.getpid() != self._pid

    def run(self, work: Callable[[RedisLink], T], seconds: float | None = None, *, again: bool = True) -> T:
        """Do ``work``, within ``seconds`` (None: the send timeout), on new connections when it is lost; ``again``: also
        what may have been done already. Raises ``Unreached``, ``ConnectionLost`` or ``ConfigError``."""
        deadline = Deadline(self.settings.send_timeout if seconds is None else seconds)
        sent: ConnectionLost | None = None
        while True:
            try:
                link = self._take(deadline)
            except ConnectionLost as error:
                raise sent or Unreached(str(error)) from error
            link.deadline = deadline
            try:
                result = work(link)
            except ConnectionLost as error:
                self.lost(error)
                if not again or deadline.passed or self.closing.is_set():
                    raise
                sent = error
                continue
            except Refused as refused:
                self._give(link)
                refusal = refused.error()
                if not isinstance(refusal, ConnectionLost):
                    raise refusal from refused
                if deadline.passed or self.closing.wait(NOT_NOW):
                    raise sent or Unreached(str(refusal)) from refused
            except BaseException:
                link.close()
                raise
            else:
                self._give(link)
                return result

    def post(self, commands: Sequence[Command]) -> Posted | None:
        """Send on a connection that is idle, and go on: the answers are read later. None: there is none. Raises
        ``ConnectionLost``: they may have been carried out."""
        if self.is_forked or (link := self._pop()) is None:
            return None
        try:
            link.post(commands)
        except ConnectionLost as error:
            self.lost(error)
            raise
        self._posted.add(link)
        return Posted(link, commands, self._answered)

    def has_idle(self) -> bool:
        """A connection is free."""
        return bool(self._idle)

    def greet(self) -> None:
        """Connect once, unless that has been done: raises ``ConfigError`` when the server does not let us in or is not
        fit for tasks. One that cannot be reached is left to whoever needs it next."""
        if not self._greeted:
            with contextlib.suppress(ConnectionLost):
                self._give(self.connect(Deadline(self.settings.connect_timeout), once=True))
                self._greeted = True

    def connect(
        self,
        deadline: Deadline,
        *,
        once: bool = False,
        over: Callable[[], bool] = lambda: False,
        share: bool = False,
    ) -> RedisLink:
        """A new link, tried for until the deadline or until the server is being closed; or until it is ``over``: looked
        at when a listener is removed, and if it is to ``share`` also when a link is put back. The caller closes it.
        Raises ``Unreached`` or ``ConfigError``."""
        if self.is_forked:
            raise ConfigError("this object was made before the process forked: make a new one in the child")
        while True:
            if not self._pace.wait(deadline, lambda: self.closing.is_set() or over(), share=share):
                raise Unreached(f"{self._where}: the server cannot be reached")
            link = RedisLink(self.settings, self._patience(deadline))
            self._opening.add(link)
            try:
                link.open()
                if self._lost:
                    link.call(("PING",))  # one that still loads its data lets us in and does nothing for us
                self._check(link)
            except Refused as refused:
                error = refused.error()
            except (ConnectionLost, ConfigError) as failed:
                error = failed
            except BaseException:
                link.close()
                raise
            else:
                self._found()
                return link
            finally:
                self._opening.discard(link)
            link.close()
            self._pace.failed()
            if not isinstance(error, ConnectionLost):
                raise error
            self.lost(error)
            if once or deadline.passed or self.closing.is_set() or over():
                raise Unreached(str(error)) from error

    def add_listener(self) -> None:
        """Somebody wants a connection of his own for as long as he listens."""
        self._pace.add()

    def remove_listener(self) -> None:
        """He wants it no more, and does not wait for it."""
        self._pace.remove()

    def lost(self, error: ConnectionLost) -> None:
        """Somebody's connection was lost. Told once, until the server is found again."""
        self._pace.lost()
        with self._lock:
            idle, self._idle = self._idle, []
            told, self._lost = self._lost, True
        for link in idle:
            link.close()
        if not told:
            self.tell(EventLevel.WARNING, EventCode.CONNECTION, f"{error}: trying again until it is back")

    def complain(self, error: ConfigError) -> None:
        """Somebody who goes on trying was turned away. Told once, until the server lets us in."""
        with self._lock:
            told, self._complained = self._complained, True
        if not told:
            self.tell(EventLevel.ERROR, EventCode.CONNECTION, str(error))

    def tell(self, level: EventLevel, code: EventCode, message: str, task: str = "", id: str = "") -> None:
        if self._events.active:
            self._events.publish(Event(self._origin, level, code, message, task=task, id=id))

    def close(self) -> None:
        """Close what is idle; who waits for a connection gets none. Idempotent."""
        self.closing.set()
        self._pace.wake()
        with self._lock:
            idle, self._idle = self._idle, []
        for link in (*idle, *self._opening.copy(), *self._posted.copy()):
            link.close()

    def _take(self, deadline: Deadline) -> RedisLink:
        """An idle link, or a new one: whichever can be had first."""
        while True:
            if not self.is_forked and (link := self._pop()) is not None:
                return link
            try:
                return self.connect(deadline, over=self.has_idle, share=True)
            except Unreached:
                if not self._idle:
                    raise

    def _pop(self) -> RedisLink | None:
        if self._idle:
            with contextlib.suppress(IndexError):
                return self._idle.pop()
        return None

    def _answered(self, link: RedisLink, error: ConnectionLost | None) -> None:
        self._posted.discard(link)
        if error is None:
            self._give(link)
        else:
            self.lost(error)

    def _give(self, link: RedisLink) -> None:
        with self._lock:
            keep = not (link.broken or self._lost or self.closing.is_set() or len(self._idle) >= KEPT)
            if keep:
                self._idle.append(link)
        if keep:
            self._pace.put_back()
        else:
            link.close()

    def _patience(self, deadline: Deadline) -> float:
        """For a connection tried for by who has so much time left; a moment too long rather than none at all."""
        return min(self.settings.connect_timeout, max(LEAST, _least(self.settings.connect_timeout, deadline.left)))

    def _check(self, link: RedisLink) -> None:
        if not self._checked:
            check_server(link, self._where, self._warn)
            self.settings.address.tell_dangers(self._warn)
            self._checked = True

    def _warn(self, text: str) -> None:
        self.tell(EventLevel.WARNING, EventCode.CONNECTION, text)

    def _found(self) -> None:
        self._pace.worked()
        with self._lock:
            told, self._lost = self._lost, False
            self._complained = False
        if told:
            self.tell(EventLevel.INFO, EventCode.CONNECTION, f"{self._where}: connected again")


def _least(seconds: float, left: float | None) -> float:
    return seconds if left is None else max(0.0, min(seconds, left))
