"""What both local brokers are made of: queues under one lock, listeners, dead letters, events.

Comes from ``send``, goes to ``LocalListener.take``; what is refused comes back and stays in ``dead``.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from typeddingo._io.threads import Deadline, Threads
from typeddingo._io.timer import Timer
from typeddingo.broker import Confirmation, Listener, Parcel, Receipt
from typeddingo.brokers._local_joins import LocalJoins
from typeddingo.brokers._local_queue import LocalListener, LocalQueue, Waiting
from typeddingo.errors import ConfigError, QueueFull, SendError
from typeddingo.events import Event, EventCode, EventLevel, EventSource
from typeddingo.firsts import Firsts
from typeddingo.limiter_memory import MemoryLimiter
from typeddingo.limits import Limiter
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.terms import AT_ONCE

__all__ = ["DeadLetter", "LocalMemory"]


class DeadLetter(NamedTuple):
    """A task that was refused for good, and why."""

    meta: Meta
    body: bytes
    receipt: Receipt
    reason: str = ""
    """What its worker said of it."""


class _Later(NamedTuple):
    """A task that is not due yet."""

    queue: LocalQueue
    task: Waiting


class _Stored(Confirmation):
    """The answer of a memory: what ``send`` returned from is stored."""

    def wait(self, timeout: float | None = None) -> None:
        return None

    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        callback(None)


class _Instead(_Stored):
    """Another task stands for this one."""

    def __init__(self, id: str) -> None:
        self.instead = id


_STORED = _Stored()
_WHY = {
    Receipt.NOK: "its worker refused it for good",
    Receipt.WORKER_NOT_FOUND: "no worker here runs a task of this name",
    Receipt.FAILED: "it failed for good",
}
CLOSE_SECONDS = 1.0


def _key(meta: Meta) -> tuple[str, str]:
    return meta.name, meta.id


class LocalMemory:
    """The state of one broker; thread-safe."""

    def __init__(
        self,
        owner: str,
        origin: Role,
        max_length: int | None,
        dead_letters: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for what, value in (("max_length", max_length), ("dead_letters", dead_letters)):
            if value is not None and value < 1:
                raise ConfigError(f"{owner}({what}): expected a whole number of at least 1")
        self.owner = owner
        self.source = EventSource()
        # One lock for all queues: a batch of mixed names is stored whole or not at all.
        # Re-entrant: a finalizer that closes an app may run inside any of these methods.
        self.lock = threading.RLock()
        self.joins = LocalJoins()
        self._origin = origin
        self._max_length = max_length
        self._queues: dict[str, LocalQueue] = {}
        self._listeners: set[LocalListener] = set()
        self._dead: deque[DeadLetter] = deque(maxlen=dead_letters)
        self._later: Timer[_Later] = Timer("later", Threads(owner), self._due, clock)
        self._tell_cancelled: tuple[Callable[[str, str], object], ...] = ()
        self._cancelled: set[tuple[str, str]] = set()
        self.clock: Callable[[], float] = clock
        self.limiter: Limiter = MemoryLimiter(clock)
        self._firsts: Firsts[str] = Firsts(clock)
        self._closed = False

    def queue(self, key: str) -> LocalQueue:
        """The queue of this key, made on first use. The caller holds the lock."""
        if (queue := self._queues.get(key)) is None:
            queue = self._queues[key] = LocalQueue(self.lock)
        return queue

    def store(self, batches: Sequence[tuple[str, Sequence[Parcel]]]) -> Confirmation:
        """Every batch into the queue of its key, or nothing at all."""
        with self.lock:
            if self._closed:
                raise SendError(f"this {self.owner} is closed: nothing was sent; send before close()")
            queues = [(self.queue(key), parcels) for key, parcels in batches]
            if (bound := self._max_length) is not None:
                for queue, parcels in queues:
                    if parcels and len(queue) + len(parcels) > bound:
                        raise QueueFull(
                            f"{len(parcels)} more would exceed the {bound} tasks that may wait here: "
                            "send again when workers have caught up, or raise max_length"
                        )
            instead = ""
            for queue, parcels in queues:
                at_once: list[Waiting] = []
                for parcel in parcels:
                    if parcel.terms is AT_ONCE:
                        at_once.append(Waiting(parcel))
                    elif (first := self._first(parcel)) != parcel.meta.id:
                        instead = first
                    else:
                        at_once += self._on_terms(queue, parcel)
                queue.put(at_once)
        return _Instead(instead) if instead else _STORED

    def _first(self, parcel: Parcel) -> str:
        """The id of the task that stands for this one, perhaps its own. The caller holds the lock."""
        meta, terms = parcel.meta, parcel.terms
        return self._firsts.claim(meta.name, terms.unique, meta.id, terms.unique_for) if terms.unique else meta.id

    def free(self, meta: Meta, key: str) -> None:
        """See ``Listener.free``."""
        with self.lock:
            self._firsts.free(meta.name, key, meta.id)

    def _on_terms(self, queue: LocalQueue, parcel: Parcel) -> Sequence[Waiting]:
        """Of a task that waits, expires or is urgent: what can be taken now."""
        terms, now = parcel.terms, time.time()
        lifetime = terms.lifetime or (terms.expires - now if terms.expires else math.inf)
        task = Waiting(parcel, expires=self.clock() + lifetime)
        if (wait := terms.delay or max(0.0, terms.eta - now)) > 0:
            self.put_off(queue, task, wait)
            return ()
        return (task,)

    def put_off(self, queue: LocalQueue, task: Waiting, seconds: float) -> None:
        """See ``Memory``."""
        if not self._later.put(_Later(queue, task), seconds):
            queue.put((task,))  # closed: counted among what nobody has run

    def _due(self, later: _Later) -> None:
        with self.lock:
            later.queue.put((later.task,))

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        """See ``Producer.cancel``."""
        keys = [(meta.name, meta.id) for meta in metas]
        out = self._later.take_out(lambda later: _key(later.task.parcel.meta) in keys)
        gone = {_key(later.task.parcel.meta) for later in out}
        with self.lock:
            for later in out:
                parcel = later.task.parcel
                self._firsts.free(parcel.meta.name, parcel.terms.unique, parcel.meta.id)
            self._cancelled.update(key for key in keys if key not in gone)
            tellers = self._tell_cancelled
        for key in keys:
            if key not in gone:
                for tell in tellers:
                    tell(*key)
        return [key in gone for key in keys]

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:
        """See ``Consumer.watch_cancelled``."""
        with self.lock:
            self._tell_cancelled = (*self._tell_cancelled, tell)
            earlier = list(self._cancelled)
        for key in earlier:
            tell(*key)

    def listen(self, key: str, prefetch: int) -> Listener:
        if prefetch < 1:
            raise ConfigError(f"{self.owner}.add_listener(prefetch): expected at least 1")
        with self.lock:
            if self._closed:
                raise ConfigError(f"this {self.owner} is closed: make a new one to receive tasks")
            listener = LocalListener(self.queue(key), prefetch, self, self._listeners.discard)
            self._listeners.add(listener)
        return listener

    def bury(self, refused: Sequence[tuple[Parcel, Receipt, str]]) -> None:
        """Put refused tasks aside and tell so. Called without the lock: whoever listens may do as he likes."""
        with self.lock:
            full = len(self._dead) + len(refused) - (self._dead.maxlen or 0)
            self._dead.extend(DeadLetter(parcel.meta, parcel.body, receipt, why) for parcel, receipt, why in refused)
        for parcel, receipt, _ in refused:
            unknown = receipt is Receipt.WORKER_NOT_FOUND
            reason = _WHY[receipt]
            code = EventCode.WORKER_NOT_FOUND if unknown else EventCode.DEAD_LETTER
            self._tell(EventLevel.ERROR, code, f"dead-lettered: {reason}", parcel.meta)
        if full > 0:
            self._tell(EventLevel.WARNING, EventCode.DEAD_LETTER, f"{full} oldest dead letters dropped: no room")

    def dead(self) -> list[DeadLetter]:
        with self.lock:
            return list(self._dead)

    def waiting(self) -> int:
        with self.lock:
            return sum(len(queue) for queue in self._queues.values())

    def stop_listeners(self) -> None:
        with self.lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.close()

    def close(self) -> None:
        with self.lock:
            if self._closed:
                return
            self._closed = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener.release()
        for later in self._later.close():
            later.queue.put((later.task,))
        self._later.join(Deadline(CLOSE_SECONDS))
        if left := self.waiting():
            message = f"closed with {left} tasks that nobody has run; they are lost with this process"
            self._tell(EventLevel.WARNING, EventCode.SHUTDOWN, message)

    def _tell(self, level: EventLevel, code: EventCode, message: str, meta: Meta | None = None) -> None:
        if self.source.active:
            name, id = (meta.name, meta.id) if meta else ("", "")
            self.source.publish(Event(self._origin, level, code, message, task=name, id=id))
