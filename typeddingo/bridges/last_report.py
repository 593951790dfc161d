"""How an app that closes hears of what its own workers have reported. Comes from ``bridges/remote``, goes through the
reporter to the store and back."""

from __future__ import annotations

import contextlib
import secrets

from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Reporter, Store
from typeddingo.broker import Parcel
from typeddingo.errors import ResultClosed, TypedDingoError
from typeddingo.message import Meta

__all__ = ["LastReport"]

NAME = "typeddingo.closing"
"""Of a task that nobody has sent."""
PATIENCE = 2.0
"""Seconds that a server has for it."""


class LastReport:
    """A report that comes behind all others: where it has arrived, so have they. Sent once."""

    def __init__(self, owner: str) -> None:
        self._threads = Threads(owner)

    def wait(self, reporter: Reporter, store: Store, deadline: Deadline) -> None:
        """Until the reports that are stored have reached their results, if that can be."""
        meta = Meta(NAME, secrets.token_hex(8), store.reply_to)
        parcel = Parcel(meta, b"-")

        def send() -> None:
            try:
                reporter.report([parcel])
            except TypedDingoError:  # nor can anything else arrive
                stream.end(ResultClosed("the last report cannot be sent"))

        with contextlib.suppress(TypedDingoError, RuntimeError):  # there may be no thread any more: Python is ending
            stream = store.poll(meta)
            try:
                self._threads.start("last report", send)  # without a server that takes longer than there is time
                stream.take(PATIENCE if deadline.left is None else min(deadline.left, PATIENCE))
            finally:
                store.done(meta)

    def join(self, deadline: Deadline) -> None:
        """After the reporter was closed."""
        self._threads.join(deadline)
