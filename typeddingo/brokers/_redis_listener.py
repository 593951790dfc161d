"""Takes tasks from the queue of one name in the native layout. Comes from ``add_listener``, goes to workers.

New tasks are read from the stream. The keeper tells what there is beside: tasks that were given back, *suspects*, which
a worker left behind that shows no sign of life, and what else the server has signs of: urgent tasks, cancelled ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from typeddingo._io.gate import Gate
from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_reply import Refused, whole
from typeddingo._io.redis_server import RedisServer
from typeddingo.broker import Delivery, Receipt
from typeddingo.brokers._redis_cancelled import CancelledHere
from typeddingo.brokers._redis_dead import dead_id
from typeddingo.brokers._redis_queue import (
    BACK,
    DONE,
    HURRIED,
    PATIENCE,
    Found,
    RedisQueue,
    Signs,
    Taken,
    later,
    read,
    signs,
    taken,
    taken_urgent,
)
from typeddingo.brokers._redis_suspects import Suspects
from typeddingo.brokers._redis_turns import CLOSE, TurnListener, least
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Meta

__all__ = ["REASONS", "RedisListener"]

FEW = 2
"""Tasks of a read that waits. When as many come there are more, and those are taken in a way that is cheaper for many
and cannot wait; again and again, until there are fewer than were asked for."""
GATE = 0.05
"""Seconds that a reader waits for its gate before it looks around."""
SETTLE = 5.0
"""Seconds that a worker waits for its receipts to arrive; the keeper goes on trying."""
REASONS = {
    Receipt.NOK: "its worker refused it for good",
    Receipt.WORKER_NOT_FOUND: "no worker here runs a task of this name",
    Receipt.FAILED: "it failed for good",
}
AGAIN = (Receipt.GIVE_BACK, Receipt.RETRY, Receipt.LATER)
"""A task has not ended."""


class RedisListener(TurnListener):
    """See ``Listener``. What it holds is its lease's: the keeper renews it."""

    def __init__(
        self,
        server: RedisServer,
        queues: tuple[RedisQueue, RedisQueue],
        gate: Gate,
        suspects: Suspects,
        prefetch: int,
        on_dead: Callable[[str, bytes, Receipt, str], object],
        on_leave: Callable[[RedisListener], object],
        on_back: Callable[[str], object],
        on_due: Callable[[RedisListener, float], object],
        tell_cancelled: Callable[[str, str], object],
    ) -> None:
        """``queues``: of all tasks, and of those that have overtaken others, as soon as there are any."""
        super().__init__(server, prefetch)
        self.queue, self._other_queue = queues
        self.queues: Sequence[RedisQueue] = [self.queue]
        """Those in use."""
        self.cancelled = CancelledHere(self.queue, tell_cancelled)
        self._gate = gate
        self._on_dead = on_dead
        self._on_leave = on_leave
        self._on_back = on_back
        self._on_due = on_due
        self._suspects = suspects
        self._held: dict[bytes, Delivery] = {}
        self._ending: dict[bytes, str] = {}
        self._unsettled = False
        self._busy = False
        self._urgent = False
        self._free = False
        self._suspicious = False
        self._left = False

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """See ``Listener.settle``. What cannot reach the server now is tried again until the broker is closed."""
        ends: list[tuple[bytes, str]] = []
        dead: list[tuple[Delivery, Receipt, str]] = []
        with self._lock:
            for delivery, receipt in receipts:
                if (id := self._held_as(delivery)) is None:
                    continue  # settled already, or no longer ours
                del self._held[id]
                self._ending[id] = end = _end(delivery, receipt)
                ends.append((id, end))
                if receipt in REASONS:
                    dead.append((delivery, receipt, REASONS[receipt] if receipt is Receipt.FAILED else end))
        if ends:
            self._settle(ends, CLOSE if self._closed else SETTLE)
            self._gate.leave(len(ends))
            with self._lock:
                self._room.notify_all()
            if self.cancelled.ids:
                self._forget_cancelled(receipts)
        for delivery, receipt, why in dead:
            self._on_dead(self.queue.name, delivery.body, receipt, why)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> bool:
        """See ``Listener.acknowledge``. Also False for one that was handed to another worker meanwhile."""
        with self._lock:
            ids = [id for delivery in deliveries if (id := self._held_as(delivery)) is not None]
        self.settle([(delivery, Receipt.OK) for delivery in deliveries])
        with self._lock:
            return len(ids) == len(deliveries) and self._ending.keys().isdisjoint(ids)

    def free(self, meta: Meta, key: str, seconds: float) -> None:
        """See ``Listener.free``."""
        with contextlib.suppress(ConnectionLost, ConfigError):
            self._server.run(lambda link: link.call(self.queue.free(meta, key)))

    def close(self) -> None:
        """See ``Listener.close``."""
        super().close()
        self._leave()

    def release(self) -> None:
        """Close, and give back what was taken and not settled."""
        self.close()
        with self._lock:
            left = list(self._held.values())
        self.settle([(delivery, Receipt.GIVE_BACK) for delivery in left])
        self._leave()

    # For the keeper.

    def give_back_seen(self) -> None:
        """Something was given back here."""
        self._free = True
        self.unblock()

    def note(self, found: Found) -> None:
        """There is more than new tasks; whoever waits for those is woken."""
        self._free = self._free or found.free
        self._suspicious = self._suspicious or found.suspects
        self.heed(found.signs)
        if self._free or self._suspicious:
            self.unblock()

    def heed(self, seen: Signs) -> None:
        """What the server says beside what it was asked for."""
        if seen.urgent:
            self._urgent = True
        if (seen.urgent or seen.hurried) and len(self.queues) == 1:
            self.queues = [self.queue, self._other_queue]
        self.cancelled.heed(seen.cancelled)
        if seen.due is not None:
            self._on_due(self, seen.due)

    def holding(self) -> list[tuple[RedisQueue, list[bytes]]]:
        """What is to be renewed, in each queue."""
        with self._lock:
            return list(self._by_queue([*self._held, *self._ending]))

    def forget(self, held: Sequence[bytes], mine: Sequence[bytes]) -> int:
        """Of ``held``, only ``mine`` are still ours: somebody believed us dead. Returns how many are not."""
        lost = set(held).difference(mine)
        with self._lock:
            gone = [id for id in lost if self._held.pop(id, None) is not None]
            for id in lost:
                self._ending.pop(id, None)
            self._room.notify_all()
        self._gate.leave(len(gone))
        return len(gone)

    def settle_again(self) -> None:
        """What could not be settled, once more."""
        if self._unsettled:
            with self._lock:
                ends = list(self._ending.items())
            if ends:
                self._settle(ends, CLOSE if self._closed else SETTLE)
            self._leave()

    # One thread at a time, whose turn it is.

    def _held_count(self) -> int:
        return len(self._held)

    def _greet(self, link: RedisLink) -> None:
        self.queue.create(link)
        link.call(self.queue.sweep_consumers())
        for queue, held in self.holding():
            link.call(queue.renew(held, only_held=True))  # what the last read brought to nobody goes back
        self.heed(signs(link.call(self.queue.signs())))

    def _read(self, link: RedisLink, count: int, block: float) -> Sequence[Delivery]:
        taken = self._claim(link, count)
        if not taken and self._gate.enter(count, least(GATE, block)):
            taken = self._enter(link, count, block)
        return self._keep(self._check(link, taken) if taken else taken)

    def _recover(self, link: RedisLink, refused: Refused) -> None:
        """The stream or its group is gone: nothing a listener may end of."""
        name = self.queue.name
        what = f"the queue of task {name!r} was gone from Redis ({refused.code}) and is made again"
        self._server.tell(EventLevel.WARNING, EventCode.CONNECTION, what, task=name)
        try:
            self.queue.create(link)
        except Refused as again:
            raise ConnectionLost(f"the queue of task {name!r} cannot be made again: {again.code}") from again

    def _enter(self, link: RedisLink, count: int, block: float) -> list[Taken]:
        """New tasks; the gate is passed already, for ``count`` of them."""
        got: list[Taken] = []
        try:
            if self._urgent:
                self._urgent, got = taken_urgent(link.call(self.queue.take_urgent(count)))
            if self._busy and not got:
                got = taken(link.call(self.queue.take(count)))
                self._busy = len(got) == count
            if not got and not self._closed:
                self._blocked = self._client
                got = read(link.call(self.queue.read(min(count, FEW), block), block + PATIENCE))
                self._blocked = None
                if (left := count - len(got)) and len(got) >= FEW:  # more came at once
                    got += taken(link.call(self.queue.take(left)))
                    self._busy = len(got) == count
        except BaseException:
            got = []  # what was read already is ours without our knowing, and goes back
            raise
        finally:
            self._blocked = None
            self._gate.leave(count - len(got))
        return got

    def _claim(self, link: RedisLink, count: int) -> list[Taken]:
        """What others gave back, or one task that its worker left behind."""
        taken: list[Taken] = []
        if self._free and self._gate.enter(count, GATE):
            try:
                for queue in reversed(self.queues):
                    taken = taken or queue.claim_free(link, count)
                self._free = bool(taken)
            finally:
                self._gate.leave(count - len(taken))
        if not taken and self._suspicious:
            taken = self._suspects.claim(lambda: self._claim_suspect(link))
        return taken

    def _claim_suspect(self, link: RedisLink) -> list[Taken]:
        taken: list[Taken] = []
        for queue in reversed(self.queues):
            taken = taken or queue.claim_suspect(link)
        self._suspicious = bool(taken)
        return taken

    def _check(self, link: RedisLink, taken: list[Taken]) -> list[Taken]:
        """Before they are handed out: is one of them too late, or cancelled? The server's time counts."""
        for each in taken:
            if each.expires:
                break
        else:
            if not self.cancelled.heeded:
                return taken
        try:
            time, *news = link.pipeline([("TIME",), *([self.cancelled.news()] if self.cancelled.heeded else [])])
            seconds, micros = (int(each) for each in whole(time) if isinstance(each, bytes))
            now = seconds * 1000 + micros // 1000
            for reply in news:
                if isinstance(reply, Refused):
                    raise reply
                self.cancelled.learn(reply)
        except BaseException:
            self._gate.leave(len(taken))  # they are ours without our knowing, and go back
            raise
        return [each._replace(expired=0 < each.expires <= now) for each in taken]

    def _keep(self, taken: Sequence[Taken]) -> Sequence[Delivery]:
        deliveries = [
            Delivery(each.body, self, each.id, each.reply_to, each.attempt, each.retries, each.expired)
            for each in taken
        ]
        with self._lock:
            twice = sum(each.id in self._held for each in taken)  # the group was made again: the later one counts
            for each, delivery in zip(taken, deliveries, strict=True):
                self._held[each.id] = delivery
        if twice:
            self._gate.leave(twice)
        if deliveries and self._closed:
            self.settle([(delivery, Receipt.GIVE_BACK) for delivery in deliveries])
            return ()
        return deliveries

    # Ending.

    def _held_as(self, delivery: Delivery) -> bytes | None:
        """Its id, if it is held. The caller holds the lock."""
        id = delivery.tag
        return id if isinstance(id, bytes) and self._held.get(id) is delivery else None

    def _by_queue(self, ids: Sequence[bytes]) -> Iterator[tuple[RedisQueue, list[bytes]]]:
        if len(self.queues) == 1:
            yield self.queue, list(ids)
        else:
            for queue in self.queues:
                yield queue, [id for id in ids if id.startswith(HURRIED) is queue.hurried]

    def _forget_cancelled(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """Those that have ended."""
        ended = [dead_id(delivery.body) for delivery, receipt in receipts if receipt not in AGAIN]
        if met := [id for id in ended if self.cancelled.met(id)]:
            command = self.queue.forget_cancelled(met)
            with contextlib.suppress(ConnectionLost, ConfigError):  # then they are remembered for a day
                self._server.run(lambda link: link.call(command), CLOSE)

    def _settle(self, ends: Sequence[tuple[bytes, str]], seconds: float) -> None:
        calls: list[Command] = []
        if len(self.queues) == 1:
            calls = self.queue.settle(ends)
        else:
            how = dict(ends)
            for queue, ids in self._by_queue([id for id, _ in ends]):
                if ids:
                    calls += queue.settle([(id, how[id]) for id in ids])
        try:
            replies = self._server.run(lambda link: link.pipeline(calls), seconds)
        except (ConnectionLost, ConfigError):
            self._unsettled = True
            return
        for reply in replies:
            if isinstance(reply, list):  # there is something, which is rare
                self.heed(signs(reply))
        with self._lock:
            if not any(isinstance(reply, Refused) for reply in replies):
                for id, _ in ends:
                    self._ending.pop(id, None)
            self._unsettled = bool(self._ending)
        if any(end == BACK for _, end in ends):
            self._on_back(self.queue.name)
        if self._closed:
            self._leave()

    def _leave(self) -> None:
        """The broker keeps a closed listener in mind for as long as something is in its takers' hands."""
        with self._lock:
            if not self._closed or self._left or self._held or self._ending:
                return
            self._left = True
        with contextlib.suppress(ConnectionLost, ConfigError):
            farewell = [call for queue in self.queues for call in (queue.renew((), only_held=True), queue.leave())]
            self._server.run(lambda link: link.pipeline(farewell), self._farewell())
        self._on_leave(self)


def _end(delivery: Delivery, receipt: Receipt) -> str:
    """``DONE``, ``BACK`` or why it is dead."""
    if receipt is Receipt.OK:
        return DONE
    if receipt is Receipt.GIVE_BACK:
        return BACK
    if receipt in (Receipt.RETRY, Receipt.LATER):
        return later(delivery.delay, dead_id(delivery.body), counts=receipt is Receipt.RETRY)
    word = "failed" if receipt is Receipt.FAILED else "refused"
    return f"{word}: {delivery.reason}" if delivery.reason else REASONS[receipt]
