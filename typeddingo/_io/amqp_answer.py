"""What became of a batch of messages. Comes from a publisher, goes to whoever waits for the confirmation."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from typeddingo.errors import SendUnknown, TypedDingoError

__all__ = ["Answer"]

SLACK = 5.0
"""Seconds after which the answer of a publisher that has promised one by then is given up."""


class Answer:
    """One a batch; thread-safe. ``settle`` is called once for each message."""

    __slots__ = (
        "_callbacks",
        "_count",
        "_error",
        "_guard",
        "_known",
        "_left",
        "_patience",
        "_push",
        "_stored",
        "_unknown",
    )

    def __init__(self, count: int, patience: float, push: Callable[[], object] | None = None) -> None:
        """``count`` messages; the publisher answers for each within ``patience`` seconds. ``push`` is called when
        somebody begins to wait for it."""
        self._push = push
        self._count = self._left = count
        self._patience = patience + SLACK
        self._stored = 0
        self._unknown = False
        self._error: TypedDingoError | None = None
        self._guard = threading.Lock()
        self._known = threading.Lock()  # held until the answer is known: four times cheaper than an Event
        self._callbacks: list[Callable[[BaseException | None], object]] | None = []
        if count:
            self._known.acquire()
        else:
            self._callbacks = None

    def settle(self, error: TypedDingoError | None) -> None:
        """One more message is stored (None) or not. An error that leaves it open wins over one that does not."""
        with self._guard:
            if self._callbacks is None:  # proved already
                return
            if error is None:
                self._stored += 1
            elif self._error is None or (isinstance(error, SendUnknown) and not self._unknown):
                self._unknown = isinstance(error, SendUnknown)
                self._error = error
            self._left -= 1
            if self._left:
                return
            if self._error is not None and self._stored and not self._unknown:
                # Sending the batch again would not be safe, so this must not be a SendError.
                cause, count = self._error, self._stored
                self._error = SendUnknown(f"{count} of the batch are stored, the others are not: {cause}")
                self._error.__cause__ = cause
            callbacks, self._callbacks = self._callbacks, None
        self._known.release()
        for callback in callbacks:
            with contextlib.suppress(Exception):  # its bug must not end the connection of everybody
                callback(self._error)

    def prove(self) -> None:
        """See ``Confirmation.prove``: of a batch, one report proves nothing about the others."""
        if self._left == self._count == 1:
            self.settle(None)

    def wait(self, timeout: float | None = None) -> None:
        """See ``Confirmation.wait``; without a timeout it ends when the publisher's patience does."""
        if self._push is not None and self._left:
            self._push()
        seconds = self._patience if timeout is None else max(0.0, timeout)
        if not self._known.acquire(timeout=seconds):
            raise SendUnknown(f"no confirmation within {seconds:g} s: the message may or may not be stored")
        self._known.release()
        if self._error is not None:
            raise self._error

    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        """See ``Confirmation.add_done_callback``; it runs on the publisher's thread, or now."""
        with self._guard:
            known = self._callbacks is None
            if self._callbacks is not None:
                self._callbacks.append(callback)
        if known:
            callback(self._error)
        elif self._push is not None:
            self._push()
