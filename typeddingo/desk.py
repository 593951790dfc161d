"""What the workers of one group share: where tasks come in and where reports go out.

Comes from ``allocate``; used by every worker of the group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from sys import intern
from typing import TypeAlias

from typeddingo.backend import Reporter
from typeddingo.broker import Delivery, Parcel, Part, Producer, Receipt, settle_all
from typeddingo.config import Ack
from typeddingo.context import Context, Slot
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Failure, Meta, Report, Status, TaskMessage
from typeddingo.outbox import Finished, Flusher, Outbox
from typeddingo.outcome import cancelled_report, expired_report
from typeddingo.reception import Reception
from typeddingo.registry import Entry, Registry
from typeddingo.retry import Verdict
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.steps import Arrived, StepEnd, Stranded, Trip, fail_report, home_wire
from typeddingo.window import Done, Key
from typeddingo.wire import Wire

__all__ = ["Arrival", "Desk"]

Arrival: TypeAlias = "tuple[TaskMessage, Wire, Delivery, Meta, Key]"
"""A decoded task, what encodes its reports, what is settled at the end, where reports go, what the window calls it."""


class Desk:
    """One group with one report channel (Go: the workers that share a reports channel). Thread-safe."""

    def __init__(
        self,
        runtime: Runtime,
        registry: Registry,
        entry: Entry,
        reporter: Reporter | None,
        flusher: Flusher,
        producer: Callable[[], Producer | None] = lambda: None,
    ) -> None:
        self.entry = entry
        self._runtime = runtime
        self._flusher = flusher
        self._early = runtime.config.ack is Ack.EARLY
        self._registry = registry
        self._producer = producer
        self._outbox = Outbox(runtime, reporter, producer)
        self._reception = Reception(runtime, registry, self._outbox, Role.WORKER)
        self._cancelled = runtime.cancelled.keys
        self._unique = entry.unique_for is not None
        self._hurried = False
        flusher.look_after(self._outbox_chore)

    def slot(self) -> Slot[Arrival]:
        """A place for one worker."""
        return Slot(self._describe)

    def receive(self, delivery: Delivery) -> Arrival | None:
        """Decode a delivery and announce that it starts; None when it was refused or need not run again."""
        if (taken := self._reception.task(delivery, self.entry)) is None:
            return None
        task, wire = taken
        # The address is in the frame or, unless that is signed, beside it.
        reply_to = task.reply_to if wire.signed else task.reply_to or delivery.reply_to
        key = (self.entry.name, task.id, intern(reply_to))  # the window keeps many: they share what is equal
        journey = task.journey
        meta = Meta(*key) if journey is None else Meta(journey.name, journey.id, reply_to)
        if delivery.listener.redelivers and (admitted := self._runtime.window.admit(key, delivery)) is not True:
            if isinstance(admitted, Done):
                report = None if admitted.report is None else Parcel(meta, admitted.report)
                self._outbox.add(Finished(report, delivery))
            return None
        arrival = (task, wire, delivery, meta, key)
        if delivery.expired or (self._cancelled and self._is_cancelled(task)):
            self._refuse_to_start(arrival)
            return None
        if self._early and not delivery.listener.acknowledge([delivery]):
            self.give_back(arrival)
            return None
        if not task.option.ignore_report:
            self._outbox.before_report(meta)
            if task.option.monitor_progress:
                self._send(arrival, Report(task.name, task.id, Status.SENT, task.option))
                self._send(arrival, Report(task.name, task.id, Status.PROGRESS, task.option))
        return arrival

    def finish(self, arrival: Arrival, report: Report[object]) -> None:
        """The final report and the receipt, together: they leave with the next ``flush``."""
        task, wire, delivery, meta, key = arrival
        if report.failure is not None:
            if self._is_cancelled(task):
                report = cancelled_report(task.name, task.id, task.option)
            if self._unique:
                self._free(arrival)
        if task.journey is not None:
            self._finish_step(arrival, report)
            return
        parcel = None if task.option.ignore_report else Parcel(meta, wire.encode_report(report))
        known = key if delivery.listener.redelivers else None
        self._outbox.add(Finished(parcel, None if self._early else delivery, Receipt.OK, known))

    def _finish_step(self, arrival: Arrival, report: Report[object]) -> None:
        """A step of a pipeline: what comes of it goes to the next one, and the caller hears of the last."""
        task, wire, delivery, meta, key = arrival
        settled = None if self._early else delivery
        journey, producer = task.journey, self._producer()
        assert journey is not None
        if report.ok and not journey.is_last and self._is_cancelled(task):
            report = cancelled_report(task.name, task.id, task.option)
        if report.failed or (journey.is_last and not journey.step.each):
            self._outbox.add(Finished(self._parcel(arrival, report), settled, Receipt.OK, key))
            return
        beside = producer is not None and producer.carries_reply_to
        trip = Trip(self._registry, task.option, meta.reply_to, task.headers, beside=beside)
        if journey.step.each:
            whole = Meta(journey.step.name, journey.step_id)
            part = Part(whole, journey.index, journey.count, wire.encode_report(report))
            self._outbox.pass_on(StepEnd(trip, journey, settled, key, part=part))
            return
        end = StepEnd(trip, journey, settled, key)
        try:
            departure = trip.after(journey, report.value)
        except Stranded as stranded:
            self._outbox.add(end.stranded(stranded))
            return
        if isinstance(departure, Arrived):
            self._outbox.add(end.arrived(departure.value))
        else:
            end.parcels = departure
            self._outbox.pass_on(end)

    def _parcel(self, arrival: Arrival, report: Report[object]) -> Parcel | None:
        """A report as its caller knows the task: of a pipeline, by the last one."""
        task, wire, _, meta, _ = arrival
        if task.option.ignore_report:
            return None
        if (journey := task.journey) is not None:
            wire = home_wire(self._registry, journey)
            if report.failure is not None:
                report = fail_report(journey, task.option, report.failure)
            else:
                report = replace(report, name=meta.name, id=meta.id)
        return Parcel(meta, wire.encode_report(report))

    def finish_or_retry(self, arrival: Arrival, report: Report[object], verdict: Verdict) -> float | None:
        """As ``finish``, of a task that may be retried, whose exception says ``verdict``. Returns the seconds until it
        runs again; None: that was the end of it."""
        task, _, delivery, _, key = arrival
        policy, failure = self.entry.retry, report.failure
        if failure is None or policy is None or self._is_cancelled(task):
            self.finish(arrival, report)
            return None
        if (pause := policy.pause(delivery.retries, verdict)) is not None:
            delivery.delay = pause
            self._outbox.add(Finished(None, delivery, Receipt.RETRY, key))
            message = f"task {task.name!r} failed and runs again in {pause:.3g} s"
            self._runtime.publish(Role.WORKER, EventLevel.INFO, EventCode.RETRY, message, task=task.name, id=task.id)
            return pause
        if self._unique:
            self._free(arrival)
        delivery.reason = _told(failure)
        self._outbox.add(Finished(self._parcel(arrival, report), delivery, Receipt.FAILED, key))
        return None

    def _free(self, arrival: Arrival) -> None:
        """It has failed for good: an equal call is a new one."""
        task, _, delivery, meta, _ = arrival
        try:
            unique = self.entry.unique_key(task.args, task.kwargs)
        except Exception as error:  # of a key function that the caller's process did not have
            what = (
                f"its key function raised {type(error).__name__}: equal calls get this failure until its time is over"
            )
            self._runtime.publish(Role.WORKER, EventLevel.ERROR, EventCode.GENERIC, what, task=task.name, id=task.id)
        else:
            self._outbox.free(delivery.listener, meta, unique, self.entry.unique_for or 0.0)

    def _is_cancelled(self, task: TaskMessage) -> bool:
        return bool(self._cancelled) and not self._cancelled.keys().isdisjoint(task.cancelled_as)

    def _refuse_to_start(self, arrival: Arrival) -> None:
        """It has expired or was cancelled."""
        task, _, delivery, _, key = arrival
        make = expired_report if delivery.expired else cancelled_report
        report = make(task.name, task.id, task.option)
        if self._unique:
            self._free(arrival)
        self._outbox.add(Finished(self._parcel(arrival, report), delivery, Receipt.OK, key))

    def give_back(self, arrival: Arrival) -> None:
        """It has not started, or will not end here: somebody else runs it. One that was acknowledged is lost."""
        _, _, first, _, key = arrival
        settle_all([(delivery, Receipt.GIVE_BACK) for delivery in (first, *self._runtime.window.forget(key))])

    def flush(self) -> bool:
        """Send what is finished. False when the reporter could not be reached."""
        return self._outbox.flush()

    def flush_soon(self) -> None:
        """Let the flusher do it."""
        self._hurried = True
        self._flusher.arm(soon=True)

    def flush_if_free(self) -> bool:
        """As ``flush``, for who must not wait while another thread sends. False: there is something left."""
        return self._outbox.flush_if_free() and not self._outbox

    def _send(self, arrival: Arrival, report: Report[object]) -> None:
        self._outbox.add(Finished(self._parcel(arrival, report)))
        self._hurried = True
        self._flusher.arm()

    def _describe(self, arrival: Arrival) -> Context:
        task, _, delivery, _, _ = arrival
        runtime = self._runtime

        def emit(report: Report[object]) -> None:
            self._send(arrival, report)

        def cancelled() -> bool:
            return runtime.closing or self._is_cancelled(task)

        return Context(
            task.name,
            task.id,
            task.option,
            attempt=delivery.retries + delivery.attempt,
            emit=emit,
            cancelled=cancelled,
            headers=task.headers,
            state=self._runtime.state,
        )

    def _outbox_chore(self) -> bool:
        """What no worker sees to at the end of its batch. What has ended waits for company: that is the worker's."""
        if self._hurried:
            self._hurried = False  # before the look: what hurries meanwhile is looked at again
            if not self._outbox.flush_if_free():
                self._hurried = True
        return self._hurried


def _told(failure: Failure) -> str:
    """A failure as its dead letter keeps it."""
    what = f"{failure.exception_type}: {failure.message}" if failure.exception_type else failure.message
    return f"{what}\n{failure.traceback}" if failure.traceback else what
