"""The worker's side of reports over RabbitMQ. Comes from ``report``, goes to the reply queue of each caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_message import Message
from typeddingo._io.amqp_publisher import Publisher
from typeddingo._io.amqp_topology import DingoTopology, NativeTopology
from typeddingo.backends._amqp_bundles import KIND, bundles, packed
from typeddingo.broker import Parcel
from typeddingo.errors import PayloadTooLarge, Unroutable
from typeddingo.message import Meta

__all__ = ["AmqpReporter"]


BESIDE = 1024
"""Bytes for what travels beside a frame: RabbitMQ 4 takes no message above 16 MiB, which is what a frame may have."""


class _Sent(NamedTuple):
    """A message, and whose reports it holds."""

    message: Message
    metas: Sequence[Meta]


class AmqpReporter:
    """Thread-safe."""

    def __init__(
        self,
        publisher: Publisher,
        topology: NativeTopology | DingoTopology,
        max_frame: int,
        dropped: Callable[[Meta, str], object],
    ) -> None:
        """``dropped``: told of each report that has nowhere to go, and why."""
        self._publisher = publisher
        self._topology = topology
        self._max_frame = max_frame
        self._dropped = dropped
        self._timeout = publisher.link.settings.send_timeout

    def report(self, parcels: Sequence[Parcel]) -> None:
        """See ``AmqpBackend.report``."""
        for meta, body, _ in parcels:
            if len(body) > self._max_frame - BESIDE:
                what = (
                    f"the report of task {meta.name!r} has {len(body)} bytes; the limit is {self._max_frame - BESIDE}"
                )
                raise PayloadTooLarge(what)
        topology = self._topology
        if isinstance(topology, DingoTopology):
            sent = [self._single(topology, parcel) for parcel in parcels]
        else:
            sent = self._bundled(topology, parcels)
        self._publisher.publish([each.message for each in sent])
        failed: Exception | None = None
        for each in sent:  # every one of them: what is answered for is not waited for later
            try:
                each.message.answer.wait()
            except Unroutable:
                for meta in each.metas:
                    self._dropped(meta, "its caller is gone")
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _single(self, topology: DingoTopology, parcel: Parcel) -> _Sent:
        meta, body, _ = parcel
        return _Sent(Message(topology.result(meta.name, meta.id).route, body, Answer(1, self._timeout)), [meta])

    def _bundled(self, topology: NativeTopology, parcels: Sequence[Parcel]) -> list[_Sent]:
        callers: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            if parcel.meta.reply_to:
                callers.setdefault(parcel.meta.reply_to, []).append(parcel)
            else:
                self._dropped(parcel.meta, "its task names no reply queue")
        sent: list[_Sent] = []
        for reply_to, reports in callers.items():
            route = topology.reply_route(reply_to)
            for bundle in bundles(reports):
                metas = [parcel.meta for parcel in bundle]
                message = Message(route, packed(bundle), Answer(1, self._timeout), id=metas[0].id, kind=KIND)
                sent.append(_Sent(message, metas))
        return sent
