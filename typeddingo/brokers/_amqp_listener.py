"""The tasks of one name as they come from RabbitMQ, for the workers that share them. Comes from ``add_listener``.

What arrives waits here, no more than is wanted. What is given back while the listener lives goes to the next taker;
when it closes, to the server. A task that comes back from a dead worker is moved to the suspects, and runs alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from typeddingo._io.amqp_consumer import Arrived, TaskConsumer
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo._io.gate import Gate
from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Listener, Receipt
from typeddingo.brokers._amqp_mover import Mover
from typeddingo.brokers._amqp_prefetch import Demand
from typeddingo.brokers._amqp_shelf import Shelf
from typeddingo.errors import ConfigError, HeaderError, WireError
from typeddingo.events import EventCode, EventLevel
from typeddingo.header import Header

__all__ = ["AmqpListener", "Tell"]

Tell = Callable[[EventLevel, EventCode, str, str, str], object]
"""Publishes an event: how bad, what kind, what, of which task, with which id."""

LOOK_SECONDS = 0.4
CLOSE_SECONDS = 2.0
ALONE_WAIT = 5.0
"""Seconds that takers pause for a suspect to run alone; then it goes to whoever has nothing else to do."""


class AmqpListener(Listener):
    """Thread-safe."""

    def __init__(
        self,
        name: str,
        queue: TaskQueue,
        link: Link,
        mover: Mover,
        gate: Gate,
        tell: Tell,
        prefetch: int,
        forget: Callable[[AmqpListener], None],
    ) -> None:
        settings = link.settings
        self.name = name
        self.started = threading.Event()
        """Tasks may come, or it is known that they cannot."""
        self.refusal: ConfigError | None = None
        self._queue = queue
        self._link = link
        self._mover = mover
        self._gate = gate
        self._tell = tell
        self._forget = forget
        self._max_deliveries = settings.max_deliveries
        self._early = settings.layout == "dingo"
        self._bound = min(prefetch, settings.prefetch or prefetch)
        self._demand = Demand(self._bound)
        self._consumer = TaskConsumer(link, queue, self, self._demand.level)
        self._ready = threading.Condition(threading.Lock())
        self._shelf = Shelf()
        self._held: dict[Delivery, Arrived] = {}
        self._asking = 0
        self._ours: set[str] = set()
        self._closed = False
        self._stopped = threading.Event()
        self._stopping = False
        self._looking = False

    # For workers, from any thread.

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def held(self) -> int:
        """Tasks that are here: takers run them, or they wait for one."""
        return len(self._held) + len(self._shelf)

    def start(self) -> None:
        """Begin to consume."""
        self._link.submit(self._begin)

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """See ``Listener.take``. Pauses while a suspect runs alone in this process."""
        deadline = Deadline(timeout)
        with self._ready:
            self._asking += count
        try:
            while not self._closed:
                arrived = self._wait(count, deadline)
                if arrived is None:
                    break
                taken = self._take_suspect(arrived) if isinstance(arrived, Arrived) else self._take(arrived, deadline)
                if taken:
                    return taken
                if deadline.passed:
                    break
        finally:
            with self._ready:
                self._asking -= count
        return ()

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """See ``Listener.settle``. A delivery that is settled already is left as it is."""
        done: list[Arrived] = []
        refused: list[tuple[Arrived, Receipt]] = []
        returned: list[Arrived] = []
        with self._ready:
            for delivery, receipt in receipts:
                if (message := self._held.pop(delivery, None)) is None:
                    continue
                if receipt is Receipt.OK:
                    done.append(message)
                elif receipt is Receipt.GIVE_BACK:
                    returned.append(message)
                else:
                    refused.append((message, receipt))
            count = len(done) + len(refused) + len(returned)
            if not count:
                return
            if returned and not self._closed:
                self._shelf.put_back([message for message in returned if self._is_ours(message)])
                returned = []
            self._ready.notify_all()
        if not self._link.submit(partial(self._settle, done, refused, returned, count)):
            self._gate.leave(count)

    def close(self) -> None:
        """See ``Listener.close``; waits a moment for the server to stop."""
        with self._ready:
            first, self._closed = not self._closed, True
            self._ready.notify_all()
        if first and not self._link.submit(self._stop):
            self._stopped.set()
            self._leave()
        if not self._link.is_current:
            self._stopped.wait(CLOSE_SECONDS)

    def release(self) -> None:
        """Give back what was taken and not settled: the broker closes."""
        self.settle([(delivery, Receipt.GIVE_BACK) for delivery in list(self._held)])

    # For the consumer, on the link's thread.

    def arrived(self, message: Arrived) -> None:
        """Sort a message: to be taken, to be moved to the suspects, or dead."""
        if message.redelivered and not self._early:
            if message.id in self._ours:
                self._ours.discard(message.id)  # we had it when the connection was lost: nobody died
            else:
                self._suspect(message)
                return
        with self._ready:
            self._shelf.put(message)
            self._ready.notify()
            late = self._closed
        if late:
            self._return_rest()

    def ready(self) -> None:
        self.refusal = None
        self.started.set()

    def lost(self) -> None:
        with self._ready:
            ours = [*self._shelf.clear(), *self._held.values()]
            if self._closed:
                self._held.clear()  # they come again, to others
        self._ours = {message.id for message in ours if message.id}
        self._leave()

    def cancelled(self) -> None:
        what = f"the server has ended our consumer of queue {self._queue.main!r}; consuming anew"
        self._tell(EventLevel.WARNING, EventCode.CONNECTION, what, self.name, "")

    def refused(self, error: ConfigError) -> None:
        if self.refusal is None:
            self._tell(EventLevel.ERROR, EventCode.CONNECTION, str(error), self.name, "")
        self.refusal = error
        self.started.set()

    # Inside.

    def _begin(self) -> None:
        self._link.add(self._consumer)

    def _wait(self, count: int, deadline: Deadline) -> Arrived | int | None:
        """A suspect, or how many may be taken of the others; None once the time is over."""
        with self._ready:
            while not self._closed:
                if self._demand.note(len(self._held), self._asking):
                    self._link.submit(self._adjust)
                if (room := self._bound - len(self._held)) > 0:
                    if (suspect := self._shelf.take_suspect()) is not None:
                        return suspect
                    if self._shelf.fresh:
                        return min(count, room)
                if deadline.passed:
                    return None
                waits = [seconds for seconds in (deadline.left, self._shelf.suspect_in()) if seconds is not None]
                self._ready.wait(min(waits, default=None) if room > 0 else deadline.left)
        return None

    def _take(self, count: int, deadline: Deadline) -> Sequence[Delivery]:
        entered = self._gate.enter(count, deadline.left)
        taken: list[Delivery] = []
        with self._ready:
            if entered and not self._closed:
                room = self._bound - len(self._held)
                taken = [self._hand_out(message) for message in self._shelf.take(min(count, room))]
            if self._shelf.fresh:  # we may have been woken for it
                self._ready.notify()
        if not entered:
            return ()
        if len(taken) < count:
            self._gate.leave(count - len(taken))
        if self._early and taken:
            self._acknowledge_early(taken)
        return taken

    def _take_suspect(self, message: Arrived) -> Sequence[Delivery]:
        entered = self._gate.enter_alone(ALONE_WAIT)
        with self._ready:
            if entered:
                self._shelf.ran_alone()
            elif not self._closed and self._shelf.not_alone():
                entered = self._gate.enter(1, 0)
            if entered and not self._closed and self._is_ours(message):
                return (self._hand_out(message),)
        if entered:
            self._gate.leave()
        # What runs here takes long: perhaps somebody else has nothing to do.
        self._link.submit(partial(self._return, [message]))
        return ()

    def _hand_out(self, message: Arrived) -> Delivery:
        delivery = Delivery(message.body, self, message, message.reply_to, message.attempts + 1)
        self._held[delivery] = message
        return delivery

    def _acknowledge_early(self, taken: Sequence[Delivery]) -> None:
        """Go dingo's way: at most once. A frame that is not one of this task stays, to be refused."""
        good = [
            m for d in taken if isinstance(m := d.tag, Arrived) and not m.acknowledged and _is_for(self.name, m.body)
        ]
        for message in good:
            message.acknowledged = True
        self._link.submit(partial(self._ack, good))

    def _settle(
        self,
        done: Sequence[Arrived],
        refused: Sequence[tuple[Arrived, Receipt]],
        returned: Sequence[Arrived],
        count: int,
    ) -> None:
        self._ack([message for message in done if not message.acknowledged])
        for message, receipt in refused:
            unknown = receipt is Receipt.WORKER_NOT_FOUND
            what = "no worker here runs a task of this name" if unknown else "its worker refused it for good"
            self._bury(
                message, EventCode.WORKER_NOT_FOUND if unknown else EventCode.DEAD_LETTER, what, message.attempts + 1
            )
        if returned:
            self._return(returned)
        if not self._link.submit_written(partial(self._gate.leave, count)):
            self._gate.leave(count)
        self._leave()

    def _ack(self, messages: Sequence[Arrived]) -> None:
        tags: dict[int, list[int]] = {}
        for message in messages:
            tags.setdefault(message.epoch, []).append(message.tag)
        for epoch, each in tags.items():
            self._consumer.ack(epoch, each)

    def _suspect(self, message: Arrived) -> None:
        """A worker has died with it. Of those that died with it earlier, the header tells."""
        attempts = message.attempts + 1
        if attempts >= self._max_deliveries:
            what = f"{attempts} workers have died with it"
            self._bury(message, EventCode.DEAD_LETTER, what, attempts)
        else:
            self._move(1)
            self._mover.suspect(self._consumer, self._queue.suspect, message, attempts, self._moved)

    def _move(self, count: int) -> None:
        with self._ready:
            self._shelf.moving(count)

    def _moved(self) -> None:
        with self._ready:
            if self._shelf.moving(-1):
                self._ready.notify()
        self._leave()

    def _bury(self, message: Arrived, code: EventCode, reason: str, attempts: int) -> None:
        if self._queue.dead:
            self._move(1)
            self._mover.bury(self._consumer, self._queue.bury, message, attempts, reason, self.name, self._moved)
            what = f"dead-lettered: {reason}"
        else:
            what = f"dropped: {reason}"
            if not message.acknowledged:
                self._consumer.nack(message.epoch, [message.tag], requeue=False)
        self._tell(EventLevel.ERROR, code, what, self.name, message.id or _id_of(message.body))

    def _return(self, messages: Sequence[Arrived]) -> None:
        """To the server, for others."""
        live = [message for message in messages if self._is_ours(message)]
        self._move(len(live))
        self._mover.give_back(self._consumer, self._queue.send, self._queue.suspect, live, self._moved)

    def _return_rest(self) -> None:
        with self._ready:
            rest = self._shelf.clear()
        if rest:
            self._return(rest)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._consumer.stop(self._on_stopped)

    def _on_stopped(self) -> None:
        self._return_rest()
        self._stopped.set()
        self._leave()

    def _leave(self) -> None:
        """The broker keeps a closed listener in mind for as long as something is in its takers' hands."""
        with self._ready:
            over = self._closed and self._stopped.is_set() and not self._held and self._shelf.moving(0)
        if over:
            self._forget(self)
            self._link.submit(self._consumer.leave)

    def _is_ours(self, message: Arrived) -> bool:
        """The server waits for our word on it, or has it no more."""
        return message.epoch == self._consumer.epoch or message.acknowledged

    def _adjust(self) -> None:
        self._consumer.prefer(self._demand.level)
        if not self._looking:
            self._looking = True
            self._link.later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Whether takers want less than is held for them: what is too much goes back for others."""
        self._looking = False
        if self._closed:
            return
        with self._ready:
            fell = self._demand.look(len(self._held), self._asking)
            excess = self._shelf.excess(self._demand.level) if fell else []
        if excess:
            self._return(excess)
        if fell or not self._demand.is_least:
            self._adjust()


def _is_for(name: str, frame: bytes) -> bool:
    try:
        return Header.from_bytes(frame).name == name
    except WireError:
        return False


def _id_of(frame: bytes) -> str:
    try:
        return Header.from_bytes(frame).id
    except HeaderError:
        return ""
