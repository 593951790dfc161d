"""The native layout: streams with a consumer group, at least once. Comes from ``RedisBroker``, goes to its parts.

A task is stored once however often it is sent, stays with a worker that lives, goes to another one when its worker
dies, and is put aside when it has killed too many of them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from typeddingo._io.gate import Gate
from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, RedisLink
from typeddingo._io.redis_reply import Reply, whole
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Threads
from typeddingo.broker import Feature, Receipt
from typeddingo.brokers._redis_answers import answers, error_of
from typeddingo.brokers._redis_compose import compose
from typeddingo.brokers._redis_dead import DeadLetters, dead_id
from typeddingo.brokers._redis_keeper import Keeper
from typeddingo.brokers._redis_layout import Layout
from typeddingo.brokers._redis_limits import RedisLimiter
from typeddingo.brokers._redis_listener import RedisListener
from typeddingo.brokers._redis_overtaking import CANCEL
from typeddingo.brokers._redis_queue import RedisQueue
from typeddingo.brokers._redis_sender import Answer, Sending, Written
from typeddingo.brokers._redis_suspects import Suspects
from typeddingo.brokers._redis_timetable import RedisTimetable
from typeddingo.brokers._redis_unique import freed_of
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventLevel
from typeddingo.inspection import DeadTask, QueueState
from typeddingo.limits import Limiter
from typeddingo.message import Meta
from typeddingo.timetable import Timetable

__all__ = ["Streams"]

AT_ONCE = 1000
"""Tasks that one script cancels."""
SOON = 1.0
"""Seconds for what can be left undone."""


class Streams(Layout[RedisListener]):
    """See ``Layout``."""

    carries_reply_to = True
    features = Feature.LATER | Feature.EXPIRY | Feature.PRIORITY | Feature.CANCEL | Feature.UNIQUE

    def __init__(self, server: RedisServer, threads: Threads) -> None:
        super().__init__(server, threads, self._write_ahead)
        self._keys = NativeKeys(server.settings.namespace)
        self._gate = Gate()
        self._suspects = Suspects(self._gate, self._make_way)
        self._keeper = Keeper(server, self._suspects, threads, self._all, self._poisoned)
        self._limiter = RedisLimiter(server, self._keys, threads)
        self._letters = DeadLetters(server, self._keys)
        self.timetable: Timetable = RedisTimetable(server, self._keys, self._bound, self.send)
        self._tellers: tuple[Callable[[str, str], object], ...] = ()

    def _new_listener(self, name: str, prefetch: int) -> RedisListener:
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        settings = self._server.settings
        self._keeper.start()
        return RedisListener(
            self._server,
            (
                RedisQueue(self._keys, settings, name, owner),
                RedisQueue(self._keys, settings, name, owner, hurried=True),
            ),
            self._gate,
            self._suspects,
            prefetch,
            self._dead,
            self._left,
            self._given_back,
            self._keeper.expect,
            self._tell_cancelled,
        )

    def limiter(self) -> Limiter | None:
        return self._limiter

    def _stop(self) -> None:
        self._limiter.close()
        self._keeper.stop()
        self._gate.close()

    # Looking.

    def queue(self, name: str) -> QueueState:
        return self._letters.queue(name)

    def dead(self, name: str, limit: int) -> Sequence[DeadTask]:
        return self._letters.oldest(name, limit)

    def replay(self, name: str, keys: Sequence[str] | None) -> int:
        return self._letters.replay(name, keys)

    def purge(self, name: str, keys: Sequence[str] | None) -> int:
        return self._letters.purge(name, keys)

    # Sending.

    def _write(self, batch: Sequence[Sending], seconds: float) -> Sequence[Answer]:
        calls, members = compose(self._keys, self._bound, [sending.parcels for sending in batch])
        return self._answers(batch, members, self._server.run(lambda link: link.pipeline(calls), seconds))

    def _write_ahead(self, batch: Sequence[Sending]) -> Written | None:
        """See ``WriteAhead``."""
        if not self._server.has_idle():
            return None
        calls, members = compose(self._keys, self._bound, [sending.parcels for sending in batch])
        if (posted := self._server.post(calls)) is None:
            return None

        def read(seconds: float) -> Sequence[Answer]:
            return self._answers(batch, members, posted.answers(seconds))

        return Written(posted.is_answered, read)

    def _answers(
        self, batch: Sequence[Sending], members: Sequence[Sequence[int]], replies: Sequence[Reply]
    ) -> Sequence[Answer]:
        if known := sum(reply for reply in replies if isinstance(reply, int) and reply > 0):
            what = f"{known} tasks were sent again and are stored already"
            self._server.tell(EventLevel.DEBUG, EventCode.GENERIC, what)
        for reply, (at, *_) in zip(replies, members, strict=True):
            if isinstance(reply, bytes):
                batch[at].instead = reply.decode()
        return answers(len(batch), members, [error_of(reply, self._bound) for reply in replies])

    # Cancelling.

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        by_name: dict[str, list[int]] = {}
        for at, meta in enumerate(metas):
            by_name.setdefault(meta.name, []).append(at)
        answers = [False] * len(metas)
        for name, places in by_name.items():
            for start in range(0, len(places), AT_ONCE):
                some = places[start : start + AT_ONCE]
                arguments = [part for at in some for part in (metas[at].id, metas[at].reply_to)]
                call = Call(CANCEL, [self._keys.tasks(name)], arguments)
                for at, reply in zip(some, whole(self._server.run(partial(RedisLink.call, command=call))), strict=True):
                    answers[at] = reply == 1
                if free := [freed_of(self._keys, metas[at]) for at in some if answers[at]]:
                    self._server.run(partial(RedisLink.pipeline, commands=free))
        return answers

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:
        with self._lock:
            self._tellers = (*self._tellers, tell)

    def _tell_cancelled(self, name: str, id: str) -> None:
        for tell in self._tellers:
            tell(name, id)

    # What listeners tell.

    def _given_back(self, name: str) -> None:
        for listener in self._all():
            if listener.queue.name == name and not listener.closed:
                listener.give_back_seen()

    def _make_way(self) -> None:
        for listener in self._all():
            listener.unblock()

    def _dead(self, name: str, frame: bytes, receipt: Receipt, why: str) -> None:
        code = EventCode.WORKER_NOT_FOUND if receipt is Receipt.WORKER_NOT_FOUND else EventCode.DEAD_LETTER
        self._tell_dead(code, name, frame, why)
        if receipt is not Receipt.FAILED:  # its worker has seen to that
            self._free(name, frame)

    def _poisoned(self, name: str, frame: bytes) -> None:
        self._tell_dead(EventCode.DEAD_LETTER, name, frame, "its workers died while they ran it")
        self._free(name, frame)

    def _tell_dead(self, code: EventCode, name: str, frame: bytes, why: str) -> None:
        self._server.tell(EventLevel.ERROR, code, f"dead-lettered: {why}", task=name, id=dead_id(frame))

    def _free(self, name: str, frame: bytes) -> None:
        """Its equals need not wait for what will not come."""
        free = freed_of(self._keys, Meta(name, dead_id(frame)))
        with contextlib.suppress(ConnectionLost, ConfigError):
            self._server.run(lambda link: link.call(free), SOON)
