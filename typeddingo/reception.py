"""The door of a worker: frames in, tasks out, everything else refused aloud. Comes from a listener, goes to a worker.

What is refused is settled, published as an event and, where a caller can be made out, reported to it: nobody waits for
ever, and the listener lives.
"""

from __future__ import annotations

from typeddingo.broker import Delivery, Parcel, Receipt
from typeddingo.entries import stranger
from typeddingo.errors import ErrorCode, Untrusted, WireError
from typeddingo.events import EventCode, EventLevel
from typeddingo.failure import not_invoked
from typeddingo.header import Header
from typeddingo.message import Failure, Meta, Report, Status, TaskMessage
from typeddingo.outbox import Finished, Outbox
from typeddingo.registry import Entry, Registry
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.steps import fail_report, home_wire
from typeddingo.wire import Wire

__all__ = ["Reception"]


class Reception:
    """Thread-safe; one per outbox. Every method is total: no frame can end the thread that received it."""

    def __init__(self, runtime: Runtime, registry: Registry, outbox: Outbox, origin: Role) -> None:
        self._runtime = runtime
        self._registry = registry
        self._outbox = outbox
        self._origin = origin
        self._limits = runtime.config.limits

    def header(self, delivery: Delivery) -> Header | None:
        """Whose frame it is; None when that cannot be told: refused."""
        try:
            header = Header.from_bytes(delivery.body, max_chunks=self._limits.registry)
        except WireError as error:
            self._refuse(delivery, EventCode.UNDECODABLE, str(error))
            return None
        if _size(header.id) > self._limits.id or _size(header.name) > self._limits.name:
            self._refuse(delivery, EventCode.UNDECODABLE, "the id or the name in the header is too long")
            return None
        return header

    def task(self, delivery: Delivery, entry: Entry) -> tuple[TaskMessage, Wire] | None:
        """The task of a frame that should be one of ``entry``'s; None: refused."""
        if (header := self.header(delivery)) is None:
            return None
        if header.name != entry.name:
            self.unknown(delivery, header)
            return None
        wire = self._registry.wire_of(entry)
        try:
            return wire.decode_task(header, delivery.body), wire
        except Exception as error:  # a WireError, or the bug of a user's codec
            what = not_invoked(error).message
            self._refuse(delivery, EventCode.UNDECODABLE, what, header)
            if not isinstance(error, Untrusted):
                self._report(delivery, wire, header, ErrorCode.INVOKE, what)
            return None

    def unknown(self, delivery: Delivery, header: Header) -> None:
        """Nobody here runs this task."""
        entry = self._registry.find(header.name)
        what = "no worker here runs a task of this name"
        self._refuse(delivery, EventCode.WORKER_NOT_FOUND, what, header, Receipt.WORKER_NOT_FOUND)
        wire = self._registry.wire_of(entry or stranger(header.name))
        if not wire.signed:  # else anybody could have us sign that a call has failed
            self._report(delivery, wire, header, ErrorCode.WORKER_NOT_FOUND, what)

    def _refuse(
        self,
        delivery: Delivery,
        code: EventCode,
        what: str,
        header: Header | None = None,
        receipt: Receipt = Receipt.NOK,
    ) -> None:
        delivery.reason = what
        name, id = (header.name, header.id) if header else ("", "")
        self._outbox.add(Finished(None, delivery, receipt))
        self._runtime.publish(self._origin, EventLevel.ERROR, code, f"a task was refused: {what}", task=name, id=id)

    def _report(self, delivery: Delivery, wire: Wire, header: Header, code: ErrorCode, what: str) -> None:
        """Tell the caller, unless it wants no reports. Where it wants them is known as far as that travels beside the
        frame: what the frame says of it was not understood."""
        option = wire.option_in(header, delivery.body)
        if option.ignore_report:
            return
        report = Report[object](header.name, header.id, Status.FAIL, option, Failure(code, what))
        reply_to = delivery.reply_to
        if (journey := wire.journey_in(header, delivery.body)) is not None:
            report = fail_report(journey, option, Failure(code, what))
            wire = home_wire(self._registry, journey)
        try:
            parcel = Parcel(Meta(report.name, report.id, reply_to), wire.encode_report(report))
        except Exception:  # a name or an id that cannot even be sent back
            return
        self._outbox.add(Finished(parcel))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
