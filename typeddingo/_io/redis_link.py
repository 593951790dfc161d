"""One connection to Redis, for one thread at a time. Comes from ``RedisServer.connect``, used by brokers and backends.

redis-py connects. Commands go out and replies come in as the protocol has them, below its clients: those answer in a
shape that depends on their version and how they were made, some send a command again that the server may have carried
out, and all take several times as long.
"""

from __future__ import annotations

import contextlib
import hashlib
import selectors
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from typeddingo._io.redis_reply import Refused, Replies, Reply
from typeddingo._io.redis_settings import RedisSettings
from typeddingo._io.redis_tls import TLSConnection
from typeddingo._io.threads import Deadline
from typeddingo.errors import ConfigError, ConnectionLost

__all__ = ["Call", "Command", "RedisLink", "Script", "packed"]

Argument: TypeAlias = "str | bytes | int | float"


class Script:
    """A Lua script that the server runs as one step."""

    def __init__(self, text: str, *, always: bool = False) -> None:
        """``always``: it runs on a server without free memory, too, because it is what frees memory."""
        flags = " flags=allow-oom" if always else ""
        self.text = f"#!lua{flags}\n{text}"
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Call(NamedTuple):
    """One run of a script."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument] = ()

    @property
    def short(self) -> tuple[Argument, ...]:
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments)

    @property
    def full(self) -> tuple[Argument, ...]:
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.arguments)


Command: TypeAlias = "Call | tuple[Argument, ...]"


class _Connection(Protocol):
    """What is used of redis-py: it connects, with all that belongs to it, and hands over what has come of it."""

    _sock: socket.socket  # every parser of redis-py's asks for it, too; there is no public name

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...


class RedisLink:
    """Every method raises ``ConnectionLost`` when the server cannot be reached or does not answer in time; the link is
    ``broken`` then, and of no more use."""

    def __init__(self, settings: RedisSettings, patience: float) -> None:
        """``patience``: seconds for each step of the connection, for each answer where nothing else is said, and for
        the rest of one that has begun."""
        self._address = settings.address
        self._connection = _connection(settings, patience)
        self._sock: socket.socket | None = None
        self._replies: Replies | None = None
        self.broken = False
        self._patience = patience
        self.deadline: Deadline | None = None
        """When whoever uses the link at the moment gives up, whatever it asks for until then."""

    def open(self) -> None:
        """Raises ``ConfigError`` when the server does not accept us."""
        connection = self._connection
        try:
            connection.connect()
        except (RedisError, OSError) as error:
            raise self._lost(error, "the server cannot be reached") from error
        # From here on redis-py, which connects again by itself where it finds its socket gone, only disconnects.
        self._sock = connection._sock  # pyright: ignore[reportPrivateUsage]  # see _Connection
        self._replies = Replies(self._sock, self._patience)

    def call(self, command: Command, patience: float | None = None) -> Reply:
        """One command and its answer, within ``patience`` seconds, else until the deadline, if there is one. Raises
        ``Refused``."""
        (reply,) = self.pipeline([command], patience)
        if isinstance(reply, Refused):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Command], patience: float | None = None) -> list[Reply]:
        """Several in one go; one that is refused has its ``Refused`` for an answer."""
        self.post(commands)
        return self.answers(commands, patience)

    def post(self, commands: Sequence[Command]) -> None:
        """Send. The ``answers`` may be read later, and before anything else is sent; or never, on a link of its own,
        after ``CLIENT REPLY OFF``."""
        try:
            if self._sock is None:
                raise ConnectionError("it is not open")
            self._sock.settimeout(self._patience)
            self._sock.sendall(packed([c.short if isinstance(c, Call) else c for c in commands]))
        except BaseException as error:
            if (told := self._ended_by(error)) is None:
                raise
            raise told from error

    def answers(self, commands: Sequence[Command], patience: float | None = None) -> list[Reply]:
        """See ``pipeline``, of what was posted."""
        limit = self.deadline if patience is None else Deadline(patience)
        replies: list[Reply] = []
        unknown: list[int] = []
        try:
            if self._replies is None:
                raise ConnectionError("it is not open")
            for at in range(len(commands)):
                left = None if limit is None else limit.left
                replies.append(reply := self._replies.next(self._patience if left is None else max(left, 0.001)))
                if isinstance(reply, Refused) and reply.code == "NOSCRIPT":
                    unknown.append(at)
        except BaseException as error:
            if (told := self._ended_by(error)) is None:
                raise
            raise told from error
        if unknown:
            calls = [cast("Call", commands[at]) for at in unknown]
            for at, reply in zip(unknown, self.pipeline([call.full for call in calls], patience), strict=True):
                replies[at] = reply
        return replies

    def has_news(self) -> bool:
        """Something has come, or the connection has ended. Does not block."""
        if self._sock is None or self.broken:
            return True
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                return bool(selector.select(0))
        except (OSError, ValueError):  # another thread has closed it, or the process has no file left to look with
            return True

    def close(self) -> None:
        """Idempotent. In a forked child it leaves the parent's connection alone."""
        self.broken = True
        with contextlib.suppress(Exception):
            self._connection.disconnect()

    def _ended_by(self, error: BaseException) -> Exception | None:
        """The link ends; the error of ours instead, if there is one."""
        if isinstance(error, OSError):
            return self._lost(error, "the connection was lost")
        if self.broken and isinstance(error, Exception):  # another thread has closed it under our hands
            return ConnectionLost(f"{self._address}: the connection was closed")
        self.close()  # interrupted in the middle of an answer: what comes next on this link is not for us
        return None

    def _lost(self, error: Exception, what: str) -> Exception:
        """The error of ours, without a word of what was sent."""
        self.close()
        if isinstance(error, (AuthenticationError, NoPermissionError)):
            return ConfigError(f"{self._address}: Redis does not accept the credentials of the URL or the environment")
        if isinstance(error, ResponseError):
            return ConfigError(f"{self._address}: {_refused(error)}")
        if (distrusted := self._address.distrusted(error)) is not None:
            return distrusted
        if isinstance(error, (redis.TimeoutError, TimeoutError)):
            what = "the server does not answer"
        elif isinstance(error, redis.BusyLoadingError):
            what = "the server is loading its data"
        return ConnectionLost(f"{self._address}: {what}")


def _refused(error: ResponseError) -> Refused:
    """What redis-py makes of it, made what it was."""
    text = str(error)
    if isinstance(error, NoScriptError):
        return Refused("NOSCRIPT", text)
    if isinstance(error, OutOfMemoryError):
        return Refused("OOM", text)
    if isinstance(error, ReadOnlyError):
        return Refused("READONLY", text)
    if isinstance(error, NoPermissionError):
        return Refused("NOPERM", text)
    code, _, rest = text.partition(" ")
    return Refused(code, rest)


def _connection(settings: RedisSettings, patience: float) -> _Connection:
    address = settings.address
    common: dict[str, object] = {
        "db": settings.db,
        "username": address.username,
        "password": address.password,
        "socket_timeout": patience,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "health_check_interval": 0,
        "client_name": "typeddingo",
    }
    if address.port == 0:
        return _make(redis.UnixDomainSocketConnection, path=address.path, **common)
    common |= {
        "host": address.host,
        "port": address.port,
        "socket_connect_timeout": patience,
        "socket_keepalive": True,
        "socket_keepalive_options": _keepalive(),
    }
    if (tls := address.tls) is None:
        return _make(redis.Connection, **common)
    return _make(TLSConnection, tls=tls, **common)


def _make(kind: Callable[..., object], **options: object) -> _Connection:
    return cast("_Connection", kind(**options))


def _keepalive() -> dict[int, int]:
    """A peer that is gone is noticed after 45 seconds, where the system can be told so."""
    wanted = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def packed(commands: Sequence[Sequence[Argument]]) -> bytes:
    """Commands as the protocol has them. A quarter of the time of redis-py's own, which a full queue is made of."""
    parts: list[bytes] = []
    for command in commands:
        values = [argument if isinstance(argument, bytes) else str(argument).encode() for argument in command]
        parts.append(b"*%d\r\n" % len(values))
        parts += [b"$%d\r\n%b\r\n" % (len(value), value) for value in values]
    return b"".join(parts)
