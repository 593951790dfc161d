"""What an operator sees and does: depths, dead letters, replay, purge. Comes from ``typeddingo queues`` and ``dead``.

Dead letters are looked at by taking them without acknowledging; nobody else does, so they are there again afterwards.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_arrived import ATTEMPTS
from typeddingo._io.amqp_channel import Channel, Dialogue, count_of
from typeddingo._io.amqp_errand import Getter, Got, run, run_or
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message, Route
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo.brokers._amqp_mover import NAME, REASON, TIME
from typeddingo.errors import WireError
from typeddingo.header import Header
from typeddingo.inspection import DeadTask, QueueState
from typeddingo.terms import MOST_URGENT

__all__ = ["AmqpInspector"]


PAUSE, PATIENCE = 0.02, 50
"""Seconds between looks at whether something is done, and how many of them."""


class _Letter(NamedTuple):
    tag: int
    task: DeadTask
    reply_to: str


class AmqpInspector:
    """Thread-safe; every method blocks until the server has answered. Raises ``ConnectionLost``."""

    def __init__(self, link: Link, publisher: Publisher, held: Callable[[str], int]) -> None:
        """``held``: how many tasks of a name are in the hands of this process: the server does not tell."""
        self._link = link
        self._publisher = publisher
        self._held = held
        self._timeout = link.settings.send_timeout

    def ping(self) -> None:
        run(self._link, _nothing, self._link.settings.connect_timeout)

    def queue(self, name: str, queue: TaskQueue) -> QueueState:
        waiting, workers = self._count(queue.main)
        suspects = self._count(queue.suspects)[0] if queue.suspects else 0
        if queue.life is not None:
            waiting += sum(self._count(queue.life.to(priority).key)[0] for priority in range(1, MOST_URGENT + 1))
        dead = self._count(queue.dead)[0] if queue.dead else 0
        return QueueState(name, waiting + suspects, self._held(name), dead, workers)

    def dead(self, name: str, queue: TaskQueue, limit: int) -> Sequence[DeadTask]:
        if not queue.dead:
            return []
        none: list[_Letter] = []
        letters = run_or(none, self._link, lambda channel: self._look(channel, name, queue.dead, limit), self._timeout)
        return [letter.task for letter in letters]

    def replay(self, name: str, queue: TaskQueue, keys: Sequence[str] | None) -> int:
        """Published and confirmed first, then removed: a failure in between leaves it in both places."""
        move = partial(self._replay_each, queue.send)
        return self._for_each(name, queue, keys, move)

    def purge(self, name: str, queue: TaskQueue, keys: Sequence[str] | None) -> int:
        return self._for_each(name, queue, keys, _forget_each)

    def _for_each(
        self,
        name: str,
        queue: TaskQueue,
        keys: Sequence[str] | None,
        act: Callable[[Channel, Sequence[_Letter]], Dialogue[int]],
    ) -> int:
        if not queue.dead:
            return 0
        wanted = None if keys is None else frozenset(keys)

        def questions(channel: Channel) -> Dialogue[int]:
            letters = yield from _take(channel, name, queue.dead, None)
            done = yield from act(channel, [each for each in letters if wanted is None or each.task.key in wanted])
            yield from self._put_back(channel, queue.dead, len(letters) - done)
            return done

        return run_or(0, self._link, questions, self._timeout * 2)

    def _look(self, channel: Channel, name: str, queue: str, limit: int) -> Dialogue[list[_Letter]]:
        letters = yield from _take(channel, name, queue, limit)
        yield from self._put_back(channel, queue, len(letters))
        return letters

    def _put_back(self, channel: Channel, queue: str, count: int) -> Dialogue[None]:
        """What is left unacknowledged, and wait until it is there: who looks next shall find it."""
        if count:
            channel.basic_nack(0, True, True)
        for _ in range(PATIENCE):
            there, _consumers = yield from count_of(channel, queue)
            if there >= count:
                return
            yield lambda then: self._link.later(PAUSE, partial(then, None))

    def _replay_each(self, route: Route, channel: Channel, letters: Sequence[_Letter]) -> Dialogue[int]:
        done = 0
        for letter in letters:
            answer = Answer(1, self._timeout)
            message = Message(route, letter.task.body, answer, id=letter.task.id, reply_to=letter.reply_to)
            self._publisher.publish([message])
            if (yield partial(self._await, answer)) is None:
                channel.basic_ack(letter.tag)
                done += 1
        return done

    def _await(self, answer: Answer, then: Callable[[object], None]) -> None:
        answer.add_done_callback(lambda error: self._link.submit(lambda: then(error)))

    def _count(self, queue: str) -> tuple[int, int]:
        return run_or((0, 0), self._link, lambda channel: count_of(channel, queue), self._timeout)


def _nothing(channel: Channel) -> Dialogue[None]:
    yield from ()


def _forget_each(channel: Channel, letters: Sequence[_Letter]) -> Dialogue[int]:
    yield from ()
    for letter in letters:
        channel.basic_ack(letter.tag)
    return len(letters)


def _take(channel: Channel, name: str, queue: str, limit: int | None) -> Dialogue[list[_Letter]]:
    count, _ = yield from count_of(channel, queue)
    getter = Getter(channel)
    letters: list[_Letter] = []
    while len(letters) < (count if limit is None else min(limit, count)):
        if (got := (yield from getter.get(queue))) is None:
            break
        letters.append(_letter(name, got))
    return letters


def _letter(name: str, got: Got) -> _Letter:
    tag, properties, body = got
    headers = properties.headers or {}
    id = properties.message_id or ""
    with contextlib.suppress(WireError):  # it may well be dead because of its header
        id = Header.from_bytes(body).id
    moment = headers.get(TIME)
    time = moment / 1000 if isinstance(moment, int) else 0.0
    attempts = headers.get(ATTEMPTS)
    task = DeadTask(
        key=f"{round(time * 1000)}-{zlib.crc32(body):08x}",
        name=str(headers.get(NAME, name)),
        id=id,
        body=body,
        reason=str(headers.get(REASON, "the server put it aside")),
        time=time,
        deliveries=attempts if isinstance(attempts, int) else 0,
    )
    return _Letter(tag, task, properties.reply_to or "")
