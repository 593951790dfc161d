"""The suites are worth something: each adapter here breaks one promise, and the case that guards it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from typeddingo.backend import ReportStream
from typeddingo.backends.local import LocalBackend
from typeddingo.broker import Confirmation, Delivery, Listener, Parcel, Receipt
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.errors import ConfigError
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing import BackendTestSuite, BrokerTestSuite

FAILS = (AssertionError, pytest.fail.Exception)


class Loses(LocalNamedBroker):
    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return super().send(parcels[:-1] if len(parcels) > 50 else parcels)


class Doubles(LocalNamedBroker):
    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return super().send([*parcels, *parcels])


class Reorders(LocalNamedBroker):
    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return super().send(list(reversed(parcels)))


class Trims(LocalNamedBroker):
    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return super().send([Parcel(parcel.meta, parcel.body.rstrip(b"\0")) for parcel in parcels])


class FoldsCase(LocalNamedBroker):
    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return super().send([Parcel(Meta(meta.name.lower(), meta.id), body) for meta, body, _ in parcels])

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return super().add_listener(name.lower(), prefetch)


class HoldsTooMuch(LocalNamedBroker):
    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return super().add_listener(name, prefetch + 1)


class TakesAnyRole(LocalNamedBroker):
    def expect(self, roles: Role) -> None:
        return None


class StaysOpen(LocalNamedBroker):
    def close(self) -> None:
        self.stop_all_listeners()


class ConfirmsTwice(LocalNamedBroker):
    class _Twice(Confirmation):
        def wait(self, timeout: float | None = None) -> None:
            return None

        def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
            callback(None)
            callback(None)

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        super().send(parcels)
        return self._Twice()


class _Changed(Listener):
    """A listener whose receipts are changed on the way."""

    def __init__(self, inner: Listener, changes: dict[Receipt, Receipt]) -> None:
        self.inner = inner
        self.changes = changes
        self.real: dict[Delivery, Delivery] = {}

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        taken = [Delivery(real.body, self, real) for real in self.inner.take(count, timeout)]
        self.real.update({each: each.tag for each in taken if isinstance(each.tag, Delivery)})
        return taken

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        self.inner.settle([(self.real[each], self.changes.get(receipt, receipt)) for each, receipt in receipts])

    def close(self) -> None:
        self.inner.close()

    @property
    def closed(self) -> bool:
        return self.inner.closed


class RetriesRefused(LocalNamedBroker):
    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return _Changed(super().add_listener(name, prefetch), {Receipt.NOK: Receipt.GIVE_BACK})


class KeepsWhatIsGivenBack(LocalNamedBroker):
    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return _Changed(super().add_listener(name, prefetch), {Receipt.GIVE_BACK: Receipt.OK})


class _Impatient(BrokerTestSuite):
    patience = 0.3
    quiet = 0.01


@pytest.mark.parametrize(
    ("broken", "case", "more"),
    [
        (Loses, "test_a_batch_arrives_whole_and_in_order", {}),
        (Doubles, "test_basic", {}),
        (Doubles, "test_duplicated", {}),
        (Doubles, "test_many_threads_send_and_take_without_loss_or_doubles", {}),
        (Reorders, "test_a_batch_arrives_whole_and_in_order", {}),
        (Trims, "test_a_body_arrives_byte_for_byte", {"body": b"\r\n\0"}),
        (FoldsCase, "test_odd_names_are_kept_apart", {}),
        (HoldsTooMuch, "test_a_listener_holds_no_more_than_its_prefetch", {"prefetch": 1}),
        (TakesAnyRole, "test_expect", {}),
        (StaysOpen, "test_a_closed_broker_refuses_work", {}),
        (ConfirmsTwice, "test_every_confirmation_callback_fires_exactly_once", {}),
        (RetriesRefused, "test_a_settled_task_never_comes_again", {"receipt": Receipt.NOK}),
        (KeepsWhatIsGivenBack, "test_a_task_given_back_goes_to_another_listener", {}),
    ],
)
def test_a_broken_broker_fails(broken: type[LocalNamedBroker], case: str, more: dict[str, object]) -> None:
    run = getattr(_Impatient(), case)
    broker, sound = broken(), LocalNamedBroker()
    wants_name = "name" in run.__code__.co_varnames[: run.__code__.co_argcount]
    name = {"name": "task"} if wants_name else {}
    run(broker=sound, **name, **more)
    with pytest.raises(FAILS):
        run(broker=broker, **name, **more)
    broker.close()
    sound.close()


class JoinsKeys(LocalBackend):
    def _joined(self, meta: Meta) -> Meta:
        return Meta("", f"{meta.name}.{meta.id}")

    def poll(self, meta: Meta) -> ReportStream:
        return super().poll(self._joined(meta))

    def report(self, parcels: Sequence[Parcel]) -> None:
        super().report([Parcel(self._joined(meta), body) for meta, body, _ in parcels])


class ReordersReports(LocalBackend):
    def report(self, parcels: Sequence[Parcel]) -> None:
        super().report(list(reversed(parcels)))


class KeyedById(LocalBackend):
    def poll(self, meta: Meta) -> ReportStream:
        return super().poll(Meta(meta.id, meta.id))

    def report(self, parcels: Sequence[Parcel]) -> None:
        super().report([Parcel(Meta(meta.id, meta.id), body) for meta, body, _ in parcels])

    def done(self, meta: Meta) -> None:
        super().done(Meta(meta.id, meta.id))


class DropsEarlyReports(LocalBackend):
    def poll(self, meta: Meta) -> ReportStream:
        self.done(meta)
        return super().poll(meta)


class NeverDone(LocalBackend):
    def done(self, meta: Meta) -> None:
        return None


class LeavesStreamsOpen(LocalBackend):
    def close(self) -> None:
        return None


class _ImpatientBackend(BackendTestSuite):
    patience = 0.3
    quiet = 0.01


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (JoinsKeys, "test_names_and_ids_that_read_alike_are_kept_apart"),
        (KeyedById, "test_same_id"),
        (ReordersReports, "test_a_batch_for_many_tasks_reaches_each"),
        (DropsEarlyReports, "test_reports_that_come_before_the_poll_are_kept_in_order"),
        (DropsEarlyReports, "test_polling_twice_is_refused_and_the_first_goes_on"),
        (NeverDone, "test_a_report_after_done_reaches_nobody"),
        (LeavesStreamsOpen, "test_closing_is_idempotent_and_safe_from_any_thread"),
        (LeavesStreamsOpen, "test_a_closed_backend_refuses_work"),
    ],
)
def test_a_broken_backend_fails(broken: type[LocalBackend], case: str) -> None:
    run = getattr(_ImpatientBackend(), case)
    run(backend=LocalBackend())
    with pytest.raises((*FAILS, ConfigError)):
        run(backend=broken())
