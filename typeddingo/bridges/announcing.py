"""Calls that middleware is told of, on their way through the courier. Comes from ``courier``, goes to ``hooks``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar

from typeddingo.hooks import Hooks
from typeddingo.message import TaskMessage
from typeddingo.middleware import Outgoing
from typeddingo.option import Option

__all__ = ["Announcer", "Start", "never"]

S = TypeVar("S")
Start: TypeAlias = Callable[[tuple[object, ...], Mapping[str, object], Option | None], S]
"""Hand one call over to the producer."""


class Announcer(threading.local):
    """Of one task. The hooks that come before run where the call is encoded, in the middle of ``start``: which call
    that was is kept for the thread that goes through it."""

    def __init__(self, hooks: Hooks, encode: Callable[[TaskMessage], bytes]) -> None:
        self._hooks = hooks
        self._encode = encode
        self._call: Outgoing | None = None

    def encode(self, task: TaskMessage) -> bytes:
        """The frame, with the headers that the hooks have set."""
        call = self._hooks.announce(task.name, task.id, task.option)
        try:
            frame = self._encode(replace(task, headers={**call.headers}))
        except BaseException as error:
            self._hooks.sent(call, error)
            raise
        self._call = call
        return frame

    def around(self, start: Start[S]) -> Start[tuple[S, Outgoing]]:
        """``start``, and the call that it has announced."""

        def begin(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None) -> tuple[S, Outgoing]:
            self._take()  # what another call has left that was refused
            try:
                sent = start(args, kwargs, option)
            except BaseException as error:
                if (call := self._take()) is not None:
                    self._hooks.sent(call, error)
                raise
            call = self._take()
            assert call is not None
            return sent, call

        return begin

    def _take(self) -> Outgoing | None:
        call, self._call = self._call, None
        return call


def never(id: str, args: tuple[object, ...]) -> bytes | None:
    """There is no short way for a call with headers."""
    return None
