"""Tasks of which one counts for all its equals. Comes from ``AmqpBroker.send``, goes to the publisher if it is first.

RabbitMQ has no step that asks and stores. Two queues with room for one message stand for a key: the one in *sent* lives
for ``unique_for`` and holds the id of the first; who has put his into *turn* may look into it and send. The task is
stored before its id is noted: whoever dies in between leaves a turn that ends by itself, after ``TURN`` seconds, and a
task whose equal may run, too; never a note of a task that is not there.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_channel import Channel, Dialogue, Station, count_of, talk
from typeddingo._io.amqp_errand import Getter
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message, Route
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_topology import declare_queue
from typeddingo.broker import Confirmation
from typeddingo.errors import (
    BrokerBlocked,
    ConfigError,
    ConnectionLost,
    QueueFull,
    SendError,
    SendUnknown,
    TypedDingoError,
    Unroutable,
)
from typeddingo.message import Meta

__all__ = ["UniqueAnswer", "Uniques"]

TURN = 5.0
"""Seconds that a turn lasts at most."""
PAUSE = 0.02
"""Seconds until somebody asks again whose turn it was not, at least."""
LONGER = 60.0
"""Seconds for which a queue outlives what was in it."""
LOOKS = 50


class UniqueAnswer(Answer, Confirmation):
    """The answer to a task that may not be the first."""


class _Job:
    """A task to be sent, if it is the first; or, without a message, a key to be freed."""

    def __init__(self, name: str, id: str, seconds: float, answer: UniqueAnswer, due: float) -> None:
        self.sent = f"{name}.{round(seconds * 1000)}"
        self.turn = f"{self.sent}.turn"
        self.id = id.encode()
        self.life = max(1, round(seconds * 1000))
        self.answer = answer
        self.due = due
        self.message: Message | None = None
        self.handed = False
        """The task itself is on its way."""
        self.done = False

    def settle(self, error: TypedDingoError | None) -> None:
        if not self.done:
            self.done = True
            self.answer.settle(error)


class Uniques(Station):
    """``send``, ``free`` and ``close`` from any thread; everything else on the link's. One after the other."""

    def __init__(self, link: Link, publisher: Publisher) -> None:
        super().__init__(link)
        self._publisher = publisher
        self._timeout = link.settings.send_timeout
        self._namespace = link.settings.namespace
        self._jobs: deque[_Job] = deque()
        self._current: _Job | None = None
        self._getter: Getter | None = None
        self._joined = False
        self._closed = False

    def send(self, message: Message, meta: Meta, key: str, seconds: float, answer: UniqueAnswer) -> None:
        """``message`` has an answer of its own; ``answer`` is the caller's. Does not block. Raises ``SendError``."""
        job = self._job(meta, key, seconds, answer)
        job.message = message
        if self._closed or not self.link.submit(partial(self._begin, job)):
            raise SendError("closed: nothing was sent; send before close()")

    def free(self, meta: Meta, key: str, seconds: float) -> None:
        """See ``Listener.free``. Blocks; never on the link's thread."""
        answer, freed = UniqueAnswer(1, self._timeout), threading.Event()
        answer.add_done_callback(lambda _: freed.set())
        if self.link.submit(partial(self._begin, self._job(meta, key, seconds, answer))):
            freed.wait(self._timeout)

    def close(self) -> None:
        """Answer for what is under way."""
        self._closed = True
        self.link.submit(self._give_up)

    # On the link's thread.

    def set_up(self, channel: Channel) -> Dialogue[None]:
        self._getter = Getter(channel)
        yield from ()

    def ready(self, channel: Channel) -> None:
        self._next()

    def lost(self, error: BaseException) -> None:
        if (job := self._current) is not None:
            self._current = None
            if job.handed:
                job.settle(SendUnknown("the connection was lost before the confirmation: may be stored"))
            else:
                self._jobs.appendleft(job)

    def refused(self, error: ConfigError) -> None:
        jobs, self._jobs, self._current = [*self._jobs, *filter(None, [self._current])], deque(), None
        for job in jobs:
            job.settle(error)

    def _job(self, meta: Meta, key: str, seconds: float, answer: UniqueAnswer) -> _Job:
        digest = blake2b(f"{meta.name}\0{key}".encode(), digest_size=16).hexdigest()
        return _Job(f"{self._namespace}.unique.{digest}", meta.id, seconds, answer, time.monotonic() + self._timeout)

    def _begin(self, job: _Job) -> None:
        if not self._joined:
            self._joined = True
            self.link.add(self)
        self.link.later(self._timeout, partial(self._expire, job))
        self._put(job)

    def _put(self, job: _Job) -> None:
        if not job.done:
            self._jobs.append(job)
            self._next()

    def _next(self) -> None:
        while self._jobs and self._current is None and self.channel is not None:
            job = self._jobs.popleft()
            if not job.done:
                self._current = job
                talk(self._try(job, self.channel), partial(self._tried, job))

    def _tried(self, job: _Job, error: TypedDingoError | None) -> None:
        self._current = None
        if isinstance(error, _NotYet):
            self.link.later(PAUSE * (1 + random.random()), partial(self._put, job))  # a pause, no secret
        else:
            job.settle(error)
        self._next()

    def _try(self, job: _Job, channel: Channel) -> Dialogue[TypedDingoError | None]:
        """What its answer is; ``_NotYet``: somebody else's turn."""
        turn_life = round(TURN * 1000)
        yield from declare_queue(channel, job.turn, _arguments(turn_life))
        yield from declare_queue(channel, job.sent, _arguments(job.life))
        since = time.monotonic()
        if (refused := (yield from self._note(job, job.turn))) is not None:
            return _NotYet() if _is_full(refused) else refused
        answer = yield from self._in_turn(job, channel, since)
        yield from self._take_out(channel, job.turn, job.id)
        return answer

    def _in_turn(self, job: _Job, channel: Channel, since: float) -> Dialogue[TypedDingoError | None]:
        if job.message is None:
            yield from self._take_out(channel, job.sent, job.id)
            return None
        assert self._getter is not None
        if (got := (yield from self._getter.get(job.sent))) is not None:
            yield from self._put_back(channel, job.sent, got.tag)
            if got.body != job.id:
                job.answer.instead = got.body.decode(errors="replace")
            return None
        if time.monotonic() - since > TURN / 2:
            return _NotYet()
        if job.done:  # its time was over meanwhile, and its caller was told that it is not sent
            return None
        job.handed = True
        self._publisher.publish([job.message])
        error = yield self._answer_to(job, job.message.answer)
        if error is None:
            yield from self._note(job, job.sent)  # if it cannot be noted, an equal may run, too
            return None
        assert isinstance(error, TypedDingoError)
        return error

    def _note(self, job: _Job, queue: str) -> Dialogue[TypedDingoError | None]:
        answer = Answer(1, self._timeout)
        self._publisher.publish([Message(Route("", queue), job.id, answer)])
        error = yield self._answer_to(job, answer)
        assert error is None or isinstance(error, TypedDingoError)
        return error

    def _take_out(self, channel: Channel, queue: str, id: bytes) -> Dialogue[None]:
        """If it is this id that is in it."""
        assert self._getter is not None
        if (got := (yield from self._getter.get(queue))) is not None:
            if got.body == id:
                channel.basic_ack(got.tag)
            else:
                yield from self._put_back(channel, queue, got.tag)

    def _put_back(self, channel: Channel, queue: str, tag: int) -> Dialogue[None]:
        """And wait until it is there: who looks next shall find it."""
        channel.basic_nack(tag, False, True)
        for _ in range(LOOKS):
            there, _consumers = yield from count_of(channel, queue)
            if there:
                return
            yield self._pause(self._current)

    def _pause(self, job: _Job | None) -> Callable[[Callable[[object], None]], object]:
        epoch = self.epoch

        def wait(then: Callable[[object], None]) -> None:
            def go_on() -> None:
                if self.epoch == epoch and self._current is job and self.channel is not None:
                    then(None)

            self.link.later(PAUSE, go_on)

        return wait

    def _answer_to(self, job: _Job, answer: Answer) -> Callable[[Callable[[object], None]], object]:
        """The question whether it is stored; asked in vain when the channel is lost meanwhile."""
        epoch = self.epoch

        def ask(then: Callable[[object], None]) -> None:
            def told(error: object) -> None:
                if self.epoch == epoch and self._current is job and self.channel is not None:
                    then(error)

            answer.add_done_callback(lambda error: self.link.submit(partial(told, error)))

        return ask

    def _expire(self, job: _Job) -> None:
        if job.handed:
            job.settle(SendUnknown(f"not confirmed within {self._timeout:g} s: it may or may not be stored"))
            return
        error = SendError(
            f"not sent within {self._timeout:g} s: RabbitMQ cannot be reached, or an equal task is being sent"
        )
        error.__cause__ = ConnectionLost(f"{self.link.settings.address} does not answer")
        job.settle(error)

    def _give_up(self) -> None:
        for job in (*self._jobs, *filter(None, [self._current])):
            if job.handed:
                job.settle(SendUnknown("closed before the confirmation came: it may be stored"))
            else:
                job.settle(SendError("closed: nothing was sent; send before close()"))
        self._jobs.clear()


class _NotYet(SendError):
    """It is somebody else's turn."""


def _is_full(error: TypedDingoError) -> bool:
    """The queue has no room for one more."""
    other = isinstance(error, (BrokerBlocked, Unroutable)) or error.__cause__ is not None
    return isinstance(error, (SendError, QueueFull)) and not other


def _arguments(milliseconds: int) -> dict[str, object]:
    """Of a queue with room for one message."""
    return {
        "x-max-length": 1,
        "x-overflow": "reject-publish",
        "x-message-ttl": milliseconds,
        "x-expires": milliseconds + round(LONGER * 1000),
    }
