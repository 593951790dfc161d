"""What many workers bring together in RabbitMQ: a queue for each whole. Comes from ``Joins.join``.

Every worker puts its part into the queue and then counts. Who finds all of them holds them until they are passed on; if
it dies before, they are there again, and so is its own task.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_channel import Channel, Dialogue, count_of
from typeddingo._io.amqp_errand import run, run_or
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_topology import NativeTopology
from typeddingo._io.amqp_whole import AT, Whole
from typeddingo._io.threads import Deadline
from typeddingo.broker import Part
from typeddingo.errors import ConfigError, ConnectionLost, PayloadTooLarge, SendError
from typeddingo.message import Meta

__all__ = ["AmqpJoins"]

PAUSE = 0.05
"""Seconds between two tries while somebody else reads, at most."""
GONE = -1


class AmqpJoins:
    """Thread-safe. Every method blocks; raises ``ConnectionLost``, ``ConfigError``, and what ``send`` raises."""

    def __init__(self, link: Link, publisher: Publisher, topology: NativeTopology) -> None:
        self._link = link
        self._publisher = publisher
        self._topology = topology
        self._timeout = link.settings.send_timeout
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # the server's lock keeps other connections out, and not our own threads
        self._held: dict[Meta, Whole] = {}

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        self._put(parts)
        wholes = {part.meta: part.count for part in parts}
        complete = {meta: self._collect(meta, count) for meta, count in wholes.items()}
        return [complete.pop(part.meta, None) for part in parts]

    def forget(self, metas: Sequence[Meta]) -> None:
        for meta in metas:
            queue = self._topology.join_queue(meta.name, meta.id)

            def delete(channel: Channel, queue: str = queue) -> Dialogue[None]:
                yield lambda then: channel.queue_delete(queue, callback=then)

            try:
                run(self._link, delete, self._timeout)
            finally:
                self.release([meta])

    def release(self, metas: Sequence[Meta]) -> None:
        """What could not be passed on is there for others."""
        for meta in metas:
            with self._lock:
                whole = self._held.pop(meta, None)
            if whole is not None:
                whole.release()

    def _count(self, queue: str) -> int:
        return run_or((GONE, 0), self._link, lambda channel: count_of(channel, queue), self._timeout)[0]

    def _unlock(self, whole: Whole) -> None:
        """The queue was gone, and with it the channel that had the lock. Somebody else may have it by now."""
        with contextlib.suppress(ConfigError, ConnectionLost, LookupError):
            run(self._link, whole.unlock, self._timeout)

    def _put(self, parts: Sequence[Part]) -> None:
        """A queue that is removed in this moment, because all of it was passed on, refuses: then it is made anew."""
        deadline = Deadline(self._timeout)
        while True:
            answer = Answer(len(parts), self._timeout)
            self._publisher.publish([self._message(part, answer) for part in parts])
            try:
                answer.wait()
                return
            except SendError as error:
                if isinstance(error, PayloadTooLarge):
                    raise
                if deadline.passed:
                    raise ConnectionLost("the parts of a list cannot be stored at the moment") from error
            time.sleep(PAUSE)

    def _message(self, part: Part, answer: Answer) -> Message:
        route = self._topology.join_route(part.meta.name, part.meta.id)
        return Message(route, part.body, answer, id=f"{part.meta.id}.{part.index}", headers={AT: part.index})

    def _collect(self, meta: Meta, count: int) -> Sequence[bytes] | None:
        queue, deadline = self._topology.join_queue(meta.name, meta.id), Deadline(self._timeout)
        there = self._count(queue)
        if there == GONE or 0 < there < count:
            return None
        while not deadline.passed:  # enough of them, or none because somebody holds them
            if meta in self._held:
                if self._count(queue) == GONE:
                    return None
            else:
                with self._reading:
                    whole = Whole(self._link, queue, count)
                    free = whole.read(self._timeout)
                    if whole.bodies is not None:
                        with self._lock:
                            self._held[meta] = whole
                        return whole.bodies
                if whole.gone:
                    self._unlock(whole)
                if whole.gone or (free and whole.there > 0):
                    return None
            time.sleep(PAUSE * random.random())
        raise ConnectionLost("another worker has held the parts of a list for too long")
