"""One call on its way: its confirmation, and its reports into the ``Result``.

Comes from a courier, which keeps it until it has ended; its reports come from a store.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from typeddingo.backend import Store
from typeddingo.broker import Confirmation
from typeddingo.errors import ResultError, SendUnknown, TypedDingoError, WireError
from typeddingo.header import Header
from typeddingo.message import Meta
from typeddingo.option import Option
from typeddingo.outcome import CallOutcome
from typeddingo.wire import Wire

__all__ = ["Keeper", "Sent"]


class Keeper(Protocol):
    """Who keeps the calls that are on their way. Thread-safe."""

    def drop(self, sent: Sent) -> None:
        """Ask for no more reports."""

    def end(self, sent: Sent, error: ResultError) -> None:
        """No more reports will come."""

    def refuse(self, sent: Sent, error: Exception) -> None:
        """A report that cannot be read ends the result it was for, and only that."""


class Sent:
    """What is needed to end a call. It is the sink of its own reports, so that a call makes few objects: with ten
    thousand on their way a third of the time was the garbage collector's."""

    __slots__ = ("confirmation", "keeper", "meta", "option", "outcome", "store", "wire")

    def __init__(
        self, keeper: Keeper, outcome: CallOutcome, option: Option, meta: Meta, wire: Wire, store: Store | None
    ) -> None:
        self.keeper: Keeper = keeper
        self.outcome: CallOutcome = outcome
        self.option: Option = option
        self.meta: Meta = meta
        self.wire: Wire = wire
        self.store: Store | None = store
        self.confirmation: Confirmation | None = None

    def is_of(self, name: str, id: str) -> bool:
        return self.meta.name == name and self.meta.id == id

    def __call__(self, frames: Sequence[bytes], error: ResultError | None) -> None:
        """Reports of this call, in the store's thread."""
        meta, outcome, wire, keeper = self.meta, self.outcome, self.wire, self.keeper
        for frame in frames:
            if (values := wire.plain.read_success(frame, meta.id)) is not None:
                outcome._succeed(wire.join_returns(values))
                keeper.drop(self)
                if self.confirmation is not None:
                    self.confirmation.prove()
                continue
            try:
                header = Header.from_bytes(frame)
                if (header.name, header.id) != (meta.name, meta.id):
                    raise WireError("a report of another task arrived")
                report = wire.decode_report(header, frame)
            except Exception as refused:
                keeper.refuse(self, refused)
                return
            outcome._deliver(report)
            if report.done:
                keeper.drop(self)
        if error is not None:
            keeper.end(self, error)

    def confirm(self) -> None:
        """Wait until the broker has it. Raises ``SendError`` or ``SendUnknown``."""
        assert self.confirmation is not None
        try:
            self.confirmation.wait()
        except BaseException as error:
            self.keeper.drop(self)
            raise self._named(error) from error.__cause__

    async def confirm_async(self) -> None:
        """As ``confirm``, for a coroutine."""
        assert self.confirmation is not None
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[BaseException | None] = loop.create_future()

        def answer(error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(_settle, answered, error)

        self.confirmation.add_done_callback(answer)
        try:
            error = await answered
        except BaseException:  # nobody waits any more
            self.keeper.drop(self)
            raise
        if error is not None:
            self.keeper.drop(self)
            raise self._named(error) from error.__cause__

    def failure(self) -> Exception | None:
        """Wait until the broker has it, as one of a batch; a failure also ends the result."""
        assert self.confirmation is not None
        try:
            self.confirmation.wait()
        except TypedDingoError as refused:
            error = self._named(refused)
            assert isinstance(error, TypedDingoError)
            self.outcome._close(error)
            self.keeper.drop(self)
            return error
        return None

    def _named(self, error: BaseException) -> BaseException:
        """Who does not know whether a task was stored must at least know which. The calls of a batch share one error,
        so each gets its own."""
        if not isinstance(error, SendUnknown):
            return error
        unknown = SendUnknown(*error.args)
        unknown.id = self.outcome.id
        return unknown


def _settle(answered: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not answered.done():  # else whoever waited was cancelled
        answered.set_result(error)
