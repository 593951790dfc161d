"""Looks after what the listeners of one broker hold and what others left. One thread, from the first listener on.

It renews leases, finds what was given back or left behind, puts aside what killed its workers too often, moves what is
due into line, and settles again what could not be settled.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from typeddingo._io.redis_link import Command
from typeddingo._io.redis_reply import Refused, Reply
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
BRISK = 0.1
"""The same, of a queue into which tasks were put for later: one that is due very soon must be seen in time."""
BRISK_FOR = 60.0
"""Seconds for which that is so, after the last one."""
SAME = 0.02
"""Seconds by which a moment may move from one look to the next."""
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
        self._alarm = threading.Event()
        self._stopped = False
        self._started = False
        self._lock = threading.Lock()
        self._due: dict[RedisListener, float] = {}
        self._brisk: dict[RedisListener, tuple[float, float]] = {}
        self._look_at = 0.0

    def start(self) -> None:
        """Idempotent; the caller sees to it that it is not called twice at once."""
        if not self._started:
            self._started = True
            self._threads.start("keeper", self._run)

    def stop(self) -> None:
        """Idempotent; does not wait."""
        self._stopped = True
        self._alarm.set()

    def expect(self, listener: RedisListener, seconds: float) -> None:
        """Something of its queue is due then: be there. Who has put it there may put more."""
        now = time.monotonic()
        due = now + seconds
        with self._lock:
            known, until = self._brisk.get(listener, (0.0, 0.0))
            self._brisk[listener] = (due, until if abs(due - known) < SAME else now + BRISK_FOR)
            if due < self._due.get(listener, math.inf):
                self._due[listener] = due
                self._alarm.set()

    def _run(self) -> None:
        renew_at = time.monotonic() + self._every
        sweep_at = 0.0
        self._look_at = time.monotonic() + min(LOOK, self._every)
        while not self._wait():
            now = time.monotonic()
            try:
                if now < self._look_at:
                    self._look(self._those_due(now))
                    continue
                self._look_at = now + min(LOOK, self._every)
                if now >= renew_at:
                    self._renew()
                    renew_at = now + self._every
                self._look(self._listeners())
                if now >= sweep_at:
                    sweep_at = now + SWEEP
                    self._ask([queue.sweep_consumers() for each in self._listeners() for queue in each.queues])
                for listener in self._listeners():
                    listener.settle_again()
            except ConnectionLost:
                pass  # told already; the next round may be luckier
            except ConfigError as error:
                self._server.complain(error)
            except Exception as error:  # without this thread every lease would run out
                what = f"looking after the queues failed, trying again: {type(error).__name__}"
                self._server.tell(EventLevel.ERROR, EventCode.GENERIC, what)

    def _wait(self) -> bool:
        """Until there is something to do. True: it is over."""
        with self._lock:
            until = min([self._look_at, *self._due.values()])
        self._alarm.wait(max(0.0, until - time.monotonic()))
        self._alarm.clear()
        return self._stopped

    def _those_due(self, now: float) -> list[RedisListener]:
        with self._lock:
            return [listener for listener, due in self._due.items() if due <= now]

    def _renew(self) -> None:
        busy = [(each, queue, held) for each in self._listeners() for queue, held in each.holding() if held]
        replies = self._ask([queue.renew(held) for _, queue, held in busy])
        for (listener, queue, held), reply in zip(busy, replies, strict=True):
            if isinstance(reply, Refused):
                continue
            if gone := listener.forget(held, queue.renewed(reply)):
                name = listener.queue.name
                what = f"{gone} tasks {name!r} were handed to another worker: this process was silent for too long"
                self._server.tell(EventLevel.WARNING, EventCode.TASK_DELIVERY_FAILURE, what, task=name)

    def _look(self, listeners: Sequence[RedisListener]) -> None:
        with self._lock:
            for listener in listeners:
                self._due.pop(listener, None)
            for listener in [each for each in self._brisk if each.closed]:
                del self._brisk[listener]
                self._due.pop(listener, None)
        listening = [listener for listener in listeners if not listener.closed]
        looks = [(listener, queue) for listener in listening for queue in listener.queues]
        replies = self._ask([queue.look() for _, queue in looks])
        for (listener, queue), reply in zip(looks, replies, strict=True):
            if isinstance(reply, Refused):
                continue
            seen = found(reply)
            for frame in seen.buried:
                self._on_poison(queue.name, frame)
            listener.note(seen)
        now = time.monotonic()
        with self._lock:
            for listener in listening:
                if listener in self._brisk and now < self._brisk[listener][1]:
                    self._due[listener] = min(now + BRISK, self._due.get(listener, math.inf))
        self._ask_for_cancelled([listener for listener in listening if listener.cancelled.heeded])
        if self._suspects.wait:
            for listener in listening:
                listener.unblock()

    def _ask_for_cancelled(self, listeners: Sequence[RedisListener]) -> None:
        replies = self._ask([listener.cancelled.question() for listener in listeners])
        for listener, reply in zip(listeners, replies, strict=True):
            if not isinstance(reply, Refused):
                listener.cancelled.learn(reply)

    def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        return self._server.run(lambda link: link.pipeline(commands), PATIENCE) if commands else []
