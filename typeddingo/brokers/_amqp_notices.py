"""Tells the workers of a namespace what no task tells them: which were cancelled. Comes from ``cancel``, goes to
whoever watches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Message
from typeddingo._io.amqp_notices import NoticeReader, notice, stream_route
from typeddingo._io.amqp_publisher import Publisher
from typeddingo.errors import ConfigError, ConnectionLost, SendError, SendUnknown
from typeddingo.message import Meta

__all__ = ["Notices"]

CANCELLED = "cancelled"


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
