"""The next steps of pipelines on their way out. Comes from an outbox, goes to the broker; what comes back is what the
outbox then reports and settles.

The order is the promise: a step is settled when the next one is stored, so a worker that dies in between runs it again,
and sends the next one again, with the same bytes and the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from typeddingo.broker import Joins, Parcel, Producer, Receipt
from typeddingo.errors import ConfigError, QueueFull
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Meta
from typeddingo.patience import may_pass, patiently
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.steps import Arrived, Finished, StepEnd, Stranded

__all__ = ["Relay"]


class Relay:
    """One an outbox, which lets one thread in at a time."""

    def __init__(self, runtime: Runtime, producer: Callable[[], Producer | None]) -> None:
        self._runtime = runtime
        self._producer = producer
        self._joins: Joins | None = None
        self._done: list[Meta] = []
        self.reachable: bool = True
        """At the last ``send``."""

    def send(self, ends: Sequence[StepEnd]) -> list[Finished]:
        """Returns when every next step is stored. Blocks; never raises. What could not be stored for want of a server
        is given back."""
        self.reachable = True
        self._done.clear()
        if (producer := self._producer()) is None:
            error = ConfigError("no producer is attached to the app of the worker that ended the step before")
            return [self._refuse(end, error) for end in ends]
        finished: list[Finished] = []
        leaving = [(end, end.parcels) for end in ends if end.part is None]
        if joining := [end for end in ends if end.part is not None]:
            self._join(producer, joining, leaving, finished)
        if leaving:
            finished += self._send(producer, leaving)
        return finished

    def forget(self, *, stored: bool) -> None:
        """What was joined is stored elsewhere or, if not all of it is, may be joined again."""
        if self._done and self._joins is not None:
            try:
                if stored and self.reachable:
                    self._joins.forget_joins(self._done)
                else:
                    self._joins.release_joins(self._done)
            except Exception as error:  # they go by themselves, later
                what = f"parts of a list could not be removed: {type(error).__name__}"
                self._runtime.publish(Role.WORKER, EventLevel.DEBUG, EventCode.GENERIC, what)
        self._done.clear()

    def _join(
        self,
        producer: Producer,
        ends: Sequence[StepEnd],
        leaving: list[tuple[StepEnd, Sequence[Parcel]]],
        finished: list[Finished],
    ) -> None:
        if not isinstance(producer, Joins):
            error = ConfigError(f"{type(producer).__name__} cannot join the runs for each value of a list")
            finished += [self._refuse(end, error) for end in ends]
            return
        self._joins = producer
        parts = [end.part for end in ends if end.part is not None]
        try:
            joined = patiently(self._runtime, lambda: producer.join(parts))
        except Exception as error:
            finished += self._failed(ends, error)
            return
        for end, part, bodies in zip(ends, parts, joined, strict=True):
            if bodies is None:
                finished.append(end.settled())
                continue
            self._done.append(part.meta)
            try:
                departure = end.complete(bodies)
            except Stranded as stranded:
                finished.append(self._strand(end, stranded))
                continue
            if isinstance(departure, Arrived):
                finished.append(end.arrived(departure.value))
            else:
                leaving.append((end, departure))

    def _send(self, producer: Producer, leaving: Sequence[tuple[StepEnd, Sequence[Parcel]]]) -> list[Finished]:
        parcels = [parcel for _, several in leaving for parcel in several]
        try:
            patiently(self._runtime, lambda: producer.send(parcels).wait())
        except Exception as error:
            if isinstance(error, QueueFull) and len(parcels) > 1:  # more than fit in at once: one by one
                return [item for each in leaving for item in self._send_slowly(producer, *each)]
            if may_pass(error) or len(leaving) == 1:
                return self._failed([end for end, _ in leaving], error)
            return [item for each in leaving for item in self._send(producer, [each])]  # which of them was it?
        return [end.settled() for end, _ in leaving]

    def _send_slowly(self, producer: Producer, end: StepEnd, parcels: Sequence[Parcel]) -> list[Finished]:
        try:
            for parcel in parcels:
                patiently(self._runtime, partial(self._send_one, producer, parcel))
        except Exception as error:
            return self._failed([end], error)
        return [end.settled()]

    @staticmethod
    def _send_one(producer: Producer, parcel: Parcel) -> None:
        producer.send([parcel]).wait()

    def _failed(self, ends: Sequence[StepEnd], error: Exception) -> list[Finished]:
        if not may_pass(error):
            return [self._refuse(end, error) for end in ends]
        self.reachable = False
        for end in ends:
            self._tell(end, f"the next step could not be stored, the task is given back: {type(error).__name__}")
        return [end.settled(receipt=Receipt.GIVE_BACK) for end in ends]

    def _refuse(self, end: StepEnd, error: Exception) -> Finished:
        self._tell(end, f"the next step of a pipeline was refused: {error}")
        return end.refused(error)

    def _strand(self, end: StepEnd, stranded: Stranded) -> Finished:
        self._tell(end, f"a pipeline ends early: {stranded}")
        return end.stranded(stranded)

    def _tell(self, end: StepEnd, message: str) -> None:
        name, id = end.journey.step.name, end.journey.call_id
        self._runtime.publish(Role.WORKER, EventLevel.ERROR, EventCode.GENERIC, message, task=name, id=id)
