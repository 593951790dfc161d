"""Tells the workers of a namespace what no task tells them: which were cancelled, and which queues of urgent ones
exist. Comes from ``cancel`` and ``send``, goes to whoever watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message
from typeddingo._io.amqp_notices import NoticeReader, notice, stream_route
from typeddingo._io.amqp_publisher import Publisher
from typeddingo.errors import ConfigError, ConnectionLost, SendError, SendUnknown
from typeddingo.message import Meta
from typeddingo.terms import MOST_URGENT

__all__ = ["Notices"]

CANCELLED, URGENT = "cancelled", "urgent"
REMIND_SECONDS = 12 * 3600.0
"""Who sends urgent tasks says again that their queue exists, long before that is forgotten."""


class Notices:
    """One a broker. ``cancel`` and ``watch`` from any thread, the rest on the link's. Reads nothing before the first
    listener comes."""

    def __init__(self, link: Link, publisher: Publisher, refused: Callable[[ConfigError], object]) -> None:
        self._link = link
        self._publisher = publisher
        self._route = stream_route(link.settings.namespace)
        self._none = link.settings.layout != "native"
        self._reader = NoticeReader(link, self._route, self._hear, refused)
        self._reading = False
        self._watchers: tuple[Callable[[str, str], object], ...] = ()
        self._followers: dict[str, list[Callable[[int], object]]] = {}
        self._urgent: dict[str, set[int]] = {}
        self._announced: dict[tuple[str, int], float] = {}

    def cancel(self, metas: Sequence[Meta]) -> None:
        """Returns when it is certain that all workers hear of it. Raises ``ConnectionLost`` or ``ConfigError``."""
        answer = Answer(len(metas), self._link.settings.send_timeout)
        messages = [Message(self._route, notice(CANCELLED, meta.name, meta.id), answer) for meta in metas]
        try:
            self._publisher.publish(messages)
            answer.wait()
        except (SendError, SendUnknown) as error:
            raise ConnectionLost(f"it is not certain that the task is cancelled, try again: {error}") from error

    def watch(self, tell: Callable[[str, str], object]) -> None:
        """``tell`` gets the name and the id of each cancelled task. Before the first listener comes."""
        self._watchers = (*self._watchers, tell)

    def unknown(self, queues: Collection[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those of the names and priorities that workers may not have heard of."""
        now = time.monotonic()
        return [each for each in queues if now - self._announced.get(each, -REMIND_SECONDS) >= REMIND_SECONDS]

    def announcements(self, queues: Sequence[tuple[str, int]], answer: Answer) -> list[Message]:
        """What tells them: to be sent after the tasks, whose queues exist then, and stored as they are."""

        def stored(error: BaseException | None) -> None:
            if error is None:
                self._announced.update(dict.fromkeys(queues, time.monotonic()))

        if queues:
            answer.add_done_callback(stored)
        return [Message(self._route, notice(URGENT, name, priority), answer) for name, priority in queues]

    def follow(self, name: str, tell: Callable[[int], object]) -> None:
        """``tell`` gets each priority that tasks of this name have a queue for, now or when it is known."""
        self._followers.setdefault(name, []).append(tell)
        for priority in self._urgent.get(name, ()):
            tell(priority)

    def leave(self, name: str, tell: Callable[[int], object]) -> None:
        """Tell no more. Idempotent."""
        followers = self._followers.get(name, [])
        if tell in followers:
            followers.remove(tell)

    def when_caught_up(self, then: Callable[[], object]) -> None:
        """Call ``then`` when everything was told that is known by now."""
        if self._none:
            then()
            return
        self._reader.when_caught_up(then)
        if not self._reading:
            self._reading = True
            self._link.add(self._reader)

    def _hear(self, kind: str, words: list[object]) -> None:
        if kind == CANCELLED and len(words) == 2:
            name, id = words
            if isinstance(name, str) and isinstance(id, str):
                for tell in self._watchers:
                    tell(name, id)
        elif kind == URGENT and len(words) == 2:
            name, priority = words
            if isinstance(name, str) and isinstance(priority, int) and 1 <= priority <= MOST_URGENT:
                self._urgent.setdefault(name, set()).add(priority)
                for told in list(self._followers.get(name, ())):
                    told(priority)
