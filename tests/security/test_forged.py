"""An app whose calls are signed, and somebody who can write to its queues but has no key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from typeddingo import (
    App,
    Confirmation,
    Delivery,
    EventCode,
    EventLevel,
    JSONMarshaller,
    Listener,
    LocalBackend,
    Meta,
    Option,
    Parcel,
    Receipt,
    ResultTimeout,
    SignedMarshaller,
    Subscription,
    TaskMessage,
    Untrusted,
)
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.contract import Contract
from typeddingo.message import Failure, Report, Status
from typeddingo.testing import eventually

SECONDS = 10.0
NUMBERS = count()


class Tapped(LocalNamedBroker):
    """A broker that somebody listens to, and that says another address of the caller with each delivery."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Parcel] = []

    @property
    def carries_reply_to(self) -> bool:
        return True

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        self.seen += parcels
        return super().send(parcels)

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return _Addressed(super().add_listener(name, prefetch))


class _Addressed(Listener):
    def __init__(self, inner: Listener) -> None:
        self._inner = inner

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        taken = self._inner.take(count, timeout)
        for delivery in taken:
            delivery.reply_to = f"the attacker's address {next(NUMBERS)}"
        return taken

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        self._inner.settle(receipts)

    def close(self) -> None:
        self._inner.close()

    @property
    def closed(self) -> bool:
        return self._inner.closed


class Watched(LocalBackend):
    """A backend that remembers what was reported, and to whom."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[Parcel] = []

    @property
    def reply_to(self) -> str:
        return "the caller's address"

    def report(self, parcels: Sequence[Parcel]) -> None:
        self.reported += parcels
        super().report(parcels)


class Shop:
    """An app with one signed task, and what became of its calls."""

    def __init__(self) -> None:
        self.app = App("remote")
        self.broker, self.backend = Tapped(), Watched()
        self.app.use(self.broker)
        self.app.use(self.backend)
        self.ran: list[int] = []
        self.app.add_marshaller(9, SignedMarshaller(JSONMarshaller(), {"k": bytes(range(32))}, sign_with="k"))
        self.pay = self.app.register("pay", self._pay, marshaller=9, report_marshaller=9)
        self.plain = self.app.register("plain", self._pay)
        self.events: Subscription = self.app.listen(level=EventLevel.ERROR)
        self.app.allocate(self.pay)
        self.app.allocate(self.plain)

    def _pay(self, amount: int) -> int:
        self.ran.append(amount)
        return amount

    def inject(self, queue: str, frame: bytes) -> None:
        self.broker.send([Parcel(Meta(queue, "?"), frame)])


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    with shop.app:
        yield shop


def plain_frame(name: str, id: str, amount: int) -> bytes:
    contract = Contract.of(Shop._pay.__get__(object()), name=name)  # pyright: ignore[reportPrivateUsage]  # its types
    return JSONMarshaller().encode_task(contract, TaskMessage(name, id, (amount,)))


def test_a_task_that_nobody_signed_does_not_run_and_nothing_is_signed_about_it(shop: Shop) -> None:
    shop.inject("pay", plain_frame("pay", "1", 666))
    event = shop.events.get(SECONDS)
    assert event is not None
    assert (event.code, event.task, event.id) == (EventCode.UNDECODABLE, "pay", "1")
    assert "the task was not made by a SignedMarshaller" in event.message
    assert shop.pay.call(7).get(SECONDS) == 7
    assert shop.ran == [7]
    assert len(shop.backend.reported) == 1


def test_a_task_in_the_wrong_queue_makes_nobody_sign_that_it_failed(shop: Shop) -> None:
    shop.inject("plain", plain_frame("pay", "the id of a call that waits", 666))
    event = shop.events.get(SECONDS)
    assert event is not None
    assert event.code is EventCode.WORKER_NOT_FOUND
    assert shop.plain.call(1).get(SECONDS) == 1
    assert [parcel.meta.name for parcel in shop.backend.reported] == ["plain"]


def test_a_signed_task_that_was_copied_does_not_run_again_here(shop: Shop) -> None:
    assert shop.pay.call(7).get(SECONDS) == 7
    shop.inject("pay", shop.broker.seen[0].body)
    assert shop.pay.call(8).get(SECONDS) == 8
    assert shop.ran == [7, 8]


def test_a_copy_without_reports_does_not_run_again_either(shop: Shop) -> None:
    shop.pay.with_options(ignore_report=True).call(7)
    eventually(lambda: shop.ran, timeout=SECONDS)
    shop.inject("pay", shop.broker.seen[0].body)
    assert shop.pay.call(8).get(SECONDS) == 8
    assert shop.ran == [7, 8]


def test_reports_go_to_the_signed_address(shop: Shop) -> None:
    assert shop.pay.call(7).get(SECONDS) == 7
    assert [parcel.meta.reply_to for parcel in shop.backend.reported] == ["the caller's address"]


def test_a_report_that_nobody_signed_is_never_believed(shop: Shop) -> None:
    shop.app.close()
    caller = App("remote")
    broker, backend = LocalNamedBroker(), LocalBackend()
    caller.use(broker)
    caller.use(backend)
    caller.add_marshaller(9, SignedMarshaller(JSONMarshaller(), {"k": bytes(range(32))}, sign_with="k"))

    @caller.task(marshaller=9, report_marshaller=9)
    def pay(amount: int) -> int:
        return amount

    with caller:
        result = pay.call(7)
        with pytest.raises(ResultTimeout):
            result.get(0)
        forged = Report[object](result.name, result.id, Status.FAIL, Option(), Failure(1, "you have been told a lie"))
        frame = JSONMarshaller().encode_report(Contract.of(len_of, name=result.name), forged)
        backend.report([Parcel(Meta(result.name, result.id), frame)])
        with pytest.raises(Untrusted, match="was not made by a SignedMarshaller"):
            result.get(SECONDS)


def len_of(text: str) -> int:
    return len(text)
