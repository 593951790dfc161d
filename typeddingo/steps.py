"""From one step of a pipeline to the next. Comes from whoever calls a pipeline and from the workers that end its steps,
goes to the broker as the frames of the next step, or to the caller as the report of the whole.

All of it follows from the frame of the step alone: who does it again makes the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias, cast

from typeddingo.broker import Delivery, Parcel, Part, Receipt
from typeddingo.contract import Contract
from typeddingo.entries import list_of, stranger
from typeddingo.errors import ConfigError
from typeddingo.failure import not_invoked
from typeddingo.header import Header
from typeddingo.journey import Journey
from typeddingo.message import NO_KEYWORDS, Failure, Meta, Report, Status, TaskMessage
from typeddingo.option import Option
from typeddingo.registry import Entry, Registry
from typeddingo.window import Key
from typeddingo.wire import Wire

__all__ = ["Arrived", "Departure", "StepEnd", "Stranded", "Trip", "fail_report", "handed_on", "home_wire"]


class Arrived(NamedTuple):
    """The last step has given this value."""

    value: object


Departure: TypeAlias = "Sequence[Parcel] | Arrived"
"""What is to be sent, or the end."""


class Stranded(Exception):
    """The pipeline cannot go on."""

    def __init__(self, journey: Journey, failure: Failure) -> None:
        super().__init__(failure.message)
        self.journey: Journey = journey
        """At the step that could not be sent."""
        self.failure: Failure = failure


def fail_report(journey: Journey, option: Option, failure: Failure) -> Report[object]:
    """What the caller of a pipeline hears of a step that failed."""
    told = replace(failure, message=f"{journey.where}: {failure.message}", task=journey.step.name)
    return Report(journey.name, journey.id, Status.FAIL, option, told)


def home_wire(registry: Registry, journey: Journey) -> Wire:
    """What encodes the reports for the caller of a pipeline."""
    last = journey.steps[-1]
    if (entry := registry.find(last.name)) is None:
        return registry.wire_of(stranger(last.name))
    return registry.wire_of(list_of(entry) if last.each else entry)


def handed_on(before: Contract, after: Contract, value: object) -> tuple[object, ...]:
    """The arguments of a step: what the one before has returned. What returned nothing hands nothing on, if that will
    do."""
    if before.returns.count or after.signature.needed:
        return (value,)
    return ()


class Trip:
    """How the steps of one pipeline are made into frames."""

    def __init__(
        self, registry: Registry, option: Option, reply_to: str, headers: Mapping[str, str], *, beside: bool
    ) -> None:
        """``beside``: the producer carries the address of the reports beside the frame."""
        self._registry = registry
        self._option = option
        self._reply_to = reply_to
        self._headers = headers
        self._beside = beside

    @property
    def registry(self) -> Registry:
        return self._registry

    @property
    def option(self) -> Option:
        return self._option

    def home(self, journey: Journey) -> Meta:
        """Where the caller waits."""
        return Meta(journey.name, journey.id, self._reply_to)

    def begin(self, journey: Journey, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Departure:
        """Send a step, its arguments checked. Raises what encoding raises, and ``Stranded`` for a later step."""
        entry = self._registry.get(journey.step.name)
        if not journey.step.each:
            return [self._parcel(entry, journey, args, kwargs)]
        values = cast("list[object]", args[0])
        if not values:
            return self.after(journey, [])
        count = len(values)
        return [
            self._parcel(entry, journey.member(index, count), (value,), NO_KEYWORDS)
            for index, value in enumerate(values)
        ]

    def after(self, journey: Journey, value: object) -> Departure:
        """A step has given this value: of one for each, the list. Raises ``Stranded``."""
        if journey.is_last:
            return Arrived(value)
        following = journey.next()
        try:
            here = self._entry(journey)
            there = self._entry(following)
            args, kwargs = there.contract.bind(handed_on(here.contract, there.contract, value), {})
            return self.begin(following, args, kwargs)
        except Stranded:
            raise
        except Exception as error:
            raise Stranded(following, not_invoked(error)) from error

    def parcel_of(self, report: Report[object], journey: Journey) -> Parcel | None:
        """A report for the caller, if it wants any."""
        if self._option.ignore_report:
            return None
        return Parcel(self.home(journey), home_wire(self._registry, journey).encode_report(report))

    def success(self, journey: Journey, value: object) -> Parcel | None:
        """The report of the whole."""
        contract = self._entry(journey).contract
        values = contract.split_returns(value)
        report = Report(journey.name, journey.id, Status.SUCCESS, self._option, None, values, value)
        return self.parcel_of(report, journey)

    def _entry(self, journey: Journey) -> Entry:
        if (entry := self._registry.find(journey.step.name)) is None:
            raise ConfigError("no task of this name is registered in the app of the worker that ended the step before")
        return list_of(entry) if journey.step.each else entry

    def _parcel(self, entry: Entry, journey: Journey, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Parcel:
        wire, id = self._registry.wire_of(entry), journey.call_id
        if not wire.journeys:
            raise ConfigError(f"the marshaller of task {entry.name!r} has no place for the other steps of a pipeline")
        in_frame = "" if self._beside and not wire.signed else self._reply_to
        message = TaskMessage(entry.name, id, args, kwargs, self._option, in_frame, self._headers, journey)
        terms = (entry.option if journey.at else self._option).terms
        return Parcel(Meta(entry.name, id, self._reply_to), wire.encode_task(message), terms)


class StepEnd:
    """A step that has ended well in a worker: what is to leave before it is settled."""

    __slots__ = ("_delivery", "_key", "_trip", "journey", "parcels", "part")

    def __init__(
        self,
        trip: Trip,
        journey: Journey,
        delivery: Delivery | None,
        key: Key,
        *,
        parcels: Sequence[Parcel] = (),
        part: Part | None = None,
    ) -> None:
        self._trip = trip
        self.journey: Journey = journey
        self._delivery = delivery
        self._key = key
        self.parcels: Sequence[Parcel] = parcels
        """The next step."""
        self.part: Part | None = part
        """Of a run for each: its part of the list. The next step is known when the list is complete."""

    def complete(self, bodies: Sequence[bytes]) -> Departure:
        """The list is complete: the reports of all its runs, in order. Raises ``Stranded``."""
        registry, journey = self._trip.registry, self.journey
        wire, values = registry.wire_of(registry.get(journey.step.name)), list[object]()
        for index, body in enumerate(bodies):
            member = journey.member(index, len(bodies))
            try:
                header = Header.from_bytes(body)
                report = wire.decode_report(header, body)
            except Exception as error:
                raise Stranded(member, not_invoked(error)) from error
            if header.id != member.call_id or not report.ok:
                raise Stranded(member, report.failure or Failure(message="what it returned was lost"))
            values.append(report.value)
        return self._trip.after(journey, values)

    def settled(self, parcel: Parcel | None = None, receipt: Receipt = Receipt.OK) -> Finished:
        """What the outbox does with it."""
        return Finished(parcel, self._delivery, receipt, self._key)

    def arrived(self, value: object) -> Finished:
        """It was the last one."""
        return self.settled(self._trip.success(self.journey, value))

    def stranded(self, error: Stranded) -> Finished:
        """The pipeline ends here."""
        report = fail_report(error.journey, self._trip.option, error.failure)
        return self.settled(self._trip.parcel_of(report, error.journey))

    def refused(self, error: Exception) -> Finished:
        """The next step could not be sent, and never will be."""
        journey = self.journey if self.journey.is_last else self.journey.next()
        return self.stranded(Stranded(journey, not_invoked(error)))


class Finished(NamedTuple):
    """One thing to send: a report, a settled delivery, or both."""

    parcel: Parcel | None
    delivery: Delivery | None = None
    receipt: Receipt = Receipt.OK
    key: Key | None = None
    """What the window calls the run that this ends."""
