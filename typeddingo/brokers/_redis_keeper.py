"""Looks after what the listeners of one broker hold and what others left. One thread, from the first listener on.

It renews leases, finds what was given back or left behind, puts aside what killed its workers too often, and settles
again what could not be settled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from typeddingo._io.redis_link import Command, Refused, Reply, whole
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Threads
from typeddingo.brokers._redis_listener import RedisListener
from typeddingo.brokers._redis_queue import found
from typeddingo.brokers._redis_suspects import Suspects
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventLevel

__all__ = ["Keeper"]

LOOK = 0.3
"""Seconds between two looks: what is given back is seen by other processes in less than twice that."""
SWEEP = 60.0
"""Seconds between two looks for consumers of processes that died."""
PATIENCE = 5.0
"""Seconds that one round may take."""


class Keeper:
    """Thread-safe."""

    def __init__(
        self,
        server: RedisServer,
        suspects: Suspects,
        threads: Threads,
        listeners: Callable[[], Sequence[RedisListener]],
        on_poison: Callable[[str, bytes], object],
    ) -> None:
        self._server = server
        self._suspects = suspects
        self._threads = threads
        self._listeners = listeners
        self._on_poison = on_poison
        self._every = max(0.05, server.settings.lease / 3)
        self._stop = threading.Event()
        self._started = False

    def start(self) -> None:
        """Idempotent; the caller sees to it that it is not called twice at once."""
        if not self._started:
            self._started = True
            self._threads.start("keeper", self._run)

    def stop(self) -> None:
        """Idempotent; does not wait."""
        self._stop.set()

    def _run(self) -> None:
        renew_at = time.monotonic() + self._every
        sweep_at = 0.0
        while not self._stop.wait(min(LOOK, self._every)):
            now = time.monotonic()
            try:
                if now >= renew_at:
                    self._renew()
                    renew_at = now + self._every
                self._look()
                if now >= sweep_at:
                    sweep_at = now + SWEEP
                    self._ask([listener.queue.sweep_consumers() for listener in self._listeners()])
                for listener in self._listeners():
                    listener.settle_again()
            except ConnectionLost:
                pass  # told already; the next round may be luckier
            except ConfigError as error:
                self._server.complain(error)
            except Exception as error:  # without this thread every lease would run out
                what = f"looking after the queues failed, trying again: {type(error).__name__}"
                self._server.tell(EventLevel.ERROR, EventCode.GENERIC, what)

    def _renew(self) -> None:
        busy = [(listener, held) for listener in self._listeners() if (held := listener.holding())]
        replies = self._ask([listener.queue.renew(held) for listener, held in busy])
        for (listener, held), reply in zip(busy, replies, strict=True):
            if isinstance(reply, Refused):
                continue
            mine = [id for id in whole(reply) if isinstance(id, bytes)]
            if gone := listener.forget(held, mine):
                name = listener.queue.name
                what = f"{gone} tasks {name!r} were handed to another worker: this process was silent for too long"
                self._server.tell(EventLevel.WARNING, EventCode.TASK_DELIVERY_FAILURE, what, task=name)

    def _look(self) -> None:
        listening = [listener for listener in self._listeners() if not listener.closed]
        replies = self._ask([listener.queue.look() for listener in listening])
        for listener, reply in zip(listening, replies, strict=True):
            if isinstance(reply, Refused):
                continue
            seen = found(reply)
            for frame in seen.buried:
                self._on_poison(listener.queue.name, frame)
            listener.note(seen)
        if self._suspects.wait:
            for listener in listening:
                listener.unblock()

    def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        return self._server.run(lambda link: link.pipeline(commands), PATIENCE) if commands else []
