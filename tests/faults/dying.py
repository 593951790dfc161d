"""Brokers whose worker dies at the worst moment: what came of its task is stored, its receipt is not (F25, pipelines);
the parts of a list are all there, and the next step is not (pipelines)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from typeddingo.broker import Confirmation, Delivery, Feature, Joins, Listener, NamedBroker, Parcel, Part, Receipt
from typeddingo.events import EventSource
from typeddingo.message import Meta
from typeddingo.role import Role


def die_once(mark: str) -> None:
    """Unless somebody has died of it before."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class _Dying(NamedBroker, Joins):
    """Everything goes to ``broker``."""

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

    def run_at_most_once(self) -> None:
        self._broker.run_at_most_once()

    @property
    def carries_reply_to(self) -> bool:
        return self._broker.carries_reply_to

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return self._broker.add_listener(name, prefetch)

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        assert isinstance(self._broker, Joins)
        return self._broker.join(parts)

    def forget_joins(self, metas: Sequence[Meta]) -> None:
        assert isinstance(self._broker, Joins)
        self._broker.forget_joins(metas)

    def release_joins(self, metas: Sequence[Meta]) -> None:
        assert isinstance(self._broker, Joins)
        self._broker.release_joins(metas)

    def stop_all_listeners(self) -> None:
        self._broker.stop_all_listeners()

    def close(self) -> None:
        self._broker.close()


class DiesBeforeReceipt(_Dying):
    """The first receipt kills the process, once for each ``mark``."""

    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        return _Listener(super().add_listener(name, prefetch), self._mark)


class DiesAfterJoin(_Dying):
    """The first list that is complete kills the process, once for each ``mark``."""

    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        joined = super().join(parts)
        if any(bodies is not None for bodies in joined):
            die_once(self._mark)
        return joined


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
        die_once(self._mark)
        self._listener.settle(receipts)

    def close(self) -> None:
        self._listener.close()

    @property
    def closed(self) -> bool:
        return self._listener.closed
