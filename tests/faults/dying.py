"""A broker whose worker dies at the worst moment: its report is stored, its receipt is not. Used by F25."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from typeddingo.broker import Confirmation, Delivery, Feature, Listener, NamedBroker, Parcel, Receipt
from typeddingo.events import EventSource
from typeddingo.message import Meta
from typeddingo.role import Role


class DiesBeforeReceipt(NamedBroker):
    """Everything goes to ``broker``; the first receipt kills the process, once for each ``mark``."""

    def __init__(self, broker: NamedBroker, mark: str) -> None:
        self._broker = broker
        self._mark = mark

    def expect(self, roles: Role) -> None:
        self._broker.expect(roles)

    def events(self) -> EventSource | None:
        return self._broker.events()

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        return self._broker.send(parcels)

    def declare_task(self, name: str) -> None:
        self._broker.declare_task(name)

    @property
    def features(self) -> Feature:
        return self._broker.features

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        return self._broker.cancel(metas)

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:
        self._broker.watch_cancelled(tell)

    @property
    def carries_reply_to(self) -> bool:
        return self._broker.carries_reply_to

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return _Listener(self._broker.add_listener(name, prefetch), self._mark)

    def stop_all_listeners(self) -> None:
        self._broker.stop_all_listeners()

    def close(self) -> None:
        self._broker.close()


class _Listener(Listener):
    def __init__(self, listener: Listener, mark: str) -> None:
        self._listener = listener
        self._mark = mark

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        deliveries = self._listener.take(count, timeout)
        for delivery in deliveries:
            delivery.listener = self
        return deliveries

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        try:
            os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            self._listener.settle(receipts)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        self._listener.close()

    @property
    def closed(self) -> bool:
        return self._listener.closed
