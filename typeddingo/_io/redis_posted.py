"""Commands on their way, while whoever sent them does something else. Comes from ``RedisServer.post``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_reply import Reply
from typeddingo._io.threads import Deadline
from typeddingo.errors import ConnectionLost

__all__ = ["Posted"]


class Posted:
    """For one thread at a time. Until the answers are read its link is nobody else's."""

    def __init__(
        self,
        link: RedisLink,
        commands: Sequence[Command],
        answered: Callable[[RedisLink, ConnectionLost | None], object],
    ) -> None:
        self._link = link
        self._commands = commands
        self._answered = answered
        self._process = os.getpid()

    def is_answered(self) -> bool:
        """An answer is here, or there will be none. Does not block."""
        return self._link.has_news()

    def answers(self, seconds: float) -> Sequence[Reply]:
        """To each command, within so many seconds. Once. Raises ``ConnectionLost``: they may have been carried out."""
        if os.getpid() != self._process:  # its answers are its parent's
            raise ConnectionLost("the process that has sent it has forked")
        self._link.deadline = Deadline(seconds)
        try:
            replies = self._link.answers(self._commands)
        except ConnectionLost as error:
            self._answered(self._link, error)
            raise
        except BaseException:
            self._answered(self._link, None)
            raise
        self._answered(self._link, None)
        return replies
