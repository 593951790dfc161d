"""The native layout: streams with a consumer group, at least once. Comes from ``RedisBroker``, goes to its parts.

A task is stored once however often it is sent, stays with a worker that lives, goes to another one when its worker
dies, and is put aside when it has killed too many of them.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from typeddingo._io.gate import Gate
from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call
from typeddingo._io.redis_rows import row
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Listener, Parcel, Receipt
from typeddingo.brokers._redis_answers import answers, error_of
from typeddingo.brokers._redis_dead import DeadLetters, dead_id
from typeddingo.brokers._redis_keeper import Keeper
from typeddingo.brokers._redis_layout import Layout
from typeddingo.brokers._redis_listener import RedisListener
from typeddingo.brokers._redis_queue import Found, RedisQueue
from typeddingo.brokers._redis_scripts import DIGEST, SEND
from typeddingo.brokers._redis_sender import Answer, Sender, Sending
from typeddingo.brokers._redis_suspects import Suspects
from typeddingo.errors import ConfigError
from typeddingo.events import EventCode, EventLevel
from typeddingo.inspection import DeadTask, QueueState

__all__ = ["Streams"]

CHUNK = 250
"""Tasks that one script stores."""
CHUNK_BYTES = 1_000_000
"""Bytes of frames, about."""
CLOSE = 3.0
"""Seconds that closing may take when the server does not answer."""


class Streams(Layout):
    """See ``Layout``."""

    carries_reply_to = True

    def __init__(self, server: RedisServer, threads: Threads) -> None:
        self._server = server
        self._threads = threads
        self._bound = server.settings.max_length or 0
        self._keys = NativeKeys(server.settings.namespace)
        self._sender = Sender(self._write, server.settings.send_timeout, threads)
        self._lock = threading.Lock()
        self._listeners: set[RedisListener] = set()
        self._gate = Gate()
        self._suspects = Suspects(self._gate, self._make_way)
        self._keeper = Keeper(server, self._suspects, threads, self._all, self._poisoned)
        self._letters = DeadLetters(server, self._keys)
        self._closed = False

    def send(self, parcels: Sequence[Parcel]) -> Sending:
        return self._sender.send(parcels)

    def listen(self, name: str, prefetch: int) -> Listener:
        """Raises ``ConfigError`` once closed."""
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        queue = RedisQueue(self._keys, self._server.settings, name, owner)
        with self._lock:
            if self._closed:
                raise ConfigError("this RedisBroker is closed: make a new one to receive tasks")
            listener = RedisListener(
                self._server, queue, self._gate, self._suspects, prefetch, self._dead, self._left, self._given_back
            )
            self._listeners.add(listener)
            self._keeper.start()
        return listener

    def stop_listeners(self) -> None:
        for listener in self._all():
            listener.close()

    def close(self) -> None:
        """Idempotent, from any thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        deadline = Deadline(CLOSE)
        self._sender.close(CLOSE / 2)
        for listener in self._all():
            listener.release()
        self._keeper.stop()
        self._gate.close()
        self._server.close()
        self._threads.join(deadline)

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
        calls: list[Call] = []
        members: list[list[int]] = []
        groups = [[at] for at in range(len(batch))] if self._bound else [range(len(batch))]
        for group in groups:  # with a bound, each batch is refused or stored as it was sent
            for call, those in self._calls([(at, parcel) for at in group for parcel in batch[at].parcels]):
                calls.append(call)
                members.append(those)
        replies = self._server.run(lambda link: link.pipeline(calls), seconds)
        if known := sum(reply for reply in replies if isinstance(reply, int) and reply > 0):
            what = f"{known} tasks were sent again and are stored already"
            self._server.tell(EventLevel.DEBUG, EventCode.GENERIC, what)
        return answers(len(batch), members, [error_of(reply, self._bound) for reply in replies])

    def _calls(self, tasks: list[tuple[int, Parcel]]) -> list[tuple[Call, list[int]]]:
        calls: list[tuple[Call, list[int]]] = []
        again: Counter[tuple[int, bytes]] = Counter()
        first = True
        for chunk in _chunks(tasks):
            groups: dict[tuple[str, str], list[tuple[bytes, bytes]]] = {}
            for at, parcel in chunk:
                group = (parcel.meta.name, parcel.meta.reply_to)
                if (some := groups.get(group)) is None:
                    some = groups[group] = []
                digest = _digest(parcel)
                again[at, digest] += 1
                if (nth := again[at, digest]) > 1:  # twice in one batch is no repetition: both are meant
                    digest = blake2b(digest, digest_size=DIGEST, salt=b"%d" % nth).digest()
                some.append((digest, parcel.body))
            arguments: list[str | bytes | int] = [self._bound]
            asked: set[str] = set()
            for (name, address), some in groups.items():
                needed = 0
                if first and self._bound and name not in asked:
                    needed = sum(parcel.meta.name == name for _, parcel in tasks)
                    asked.add(name)
                digests = b"".join([digest for digest, _ in some])
                arguments += (self._keys.sent(name), needed, address, digests, *row([body for _, body in some]))
            keys = [self._keys.tasks(name) for name, _ in groups]
            calls.append((Call(SEND, keys, arguments), sorted({at for at, _ in chunk})))
            first = False
        return calls

    # What listeners tell.

    def _all(self) -> Sequence[RedisListener]:
        with self._lock:
            return list(self._listeners)

    def _left(self, listener: RedisListener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    def _given_back(self, name: str) -> None:
        for listener in self._all():
            if listener.queue.name == name and not listener.closed:
                listener.note(Found(free=True, suspects=False, buried=()))

    def _make_way(self) -> None:
        for listener in self._all():
            listener.unblock()

    def _dead(self, name: str, frame: bytes, receipt: Receipt, why: str) -> None:
        code = EventCode.WORKER_NOT_FOUND if receipt is Receipt.WORKER_NOT_FOUND else EventCode.DEAD_LETTER
        self._tell_dead(code, name, frame, why)

    def _poisoned(self, name: str, frame: bytes) -> None:
        self._tell_dead(EventCode.DEAD_LETTER, name, frame, "its workers died while they ran it")

    def _tell_dead(self, code: EventCode, name: str, frame: bytes, why: str) -> None:
        self._server.tell(EventLevel.ERROR, code, f"dead-lettered: {why}", task=name, id=dead_id(frame))


def _digest(parcel: Parcel) -> bytes:
    """What makes a task the same one when it is sent again: caller, name, id and all that is asked for. Name and id
    alone are not enough: id makers may count, in many processes."""
    digest = blake2b(b"%b\0" % parcel.meta.id.encode(), digest_size=DIGEST, key=_key(parcel.meta.reply_to))
    digest.update(parcel.body)
    return digest.digest()


@lru_cache(maxsize=256)
def _key(address: str) -> bytes:
    key = address.encode()
    return key if len(key) <= 64 else blake2b(key).digest()


def _chunks(tasks: list[tuple[int, Parcel]]) -> list[list[tuple[int, Parcel]]]:
    """Not too many at once, and not too much."""
    if len(tasks) <= CHUNK and sum(len(parcel.body) for _, parcel in tasks) <= CHUNK_BYTES:
        return [tasks]
    chunks: list[list[tuple[int, Parcel]]] = []
    size = CHUNK_BYTES
    for task in tasks:
        size += len(task[1].body)
        if size > CHUNK_BYTES or len(chunks[-1]) == CHUNK:
            chunks.append([])
            size = len(task[1].body)
        chunks[-1].append(task)
    return chunks
