"""What comes from RabbitMQ for one listener, and what goes back. Between its consumer and its takers.

Sorts what arrives: to the shelf, to the suspects, to the dead. Holds as much as takers ask for. Sends receipts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from typeddingo._io.amqp_arrived import Arrived
from typeddingo._io.amqp_clock import ServerClock
from typeddingo._io.amqp_consumer import TaskConsumer
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_message import Route
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo.broker import Delivery, Receipt
from typeddingo.brokers._amqp_mover import Mover
from typeddingo.brokers._amqp_notices import Notices
from typeddingo.brokers._amqp_prefetch import Demand
from typeddingo.brokers._amqp_shelf import Shelf
from typeddingo.errors import ConfigError, WireError
from typeddingo.events import EventCode, EventLevel
from typeddingo.header import Header

__all__ = ["Intake", "PutOff", "Refused", "Tell"]

Tell: TypeAlias = Callable[[EventLevel, EventCode, str, str, str], object]
"""Publishes an event: how bad, what kind, what, of which task, with which id."""

LOOK_SECONDS = 0.4
"""Between looks at whether less should be held: what goes back is with others within a second."""
MOST_OURS = 10_000
"""Ids that are remembered of what was in our hands when connections were lost."""
LONGEST_REASON = 16_000
"""Characters of it that a dead letter has room for: what is written on a message must fit into one frame."""


class Refused(NamedTuple):
    """A task that its worker does not want, and why."""

    message: Arrived
    receipt: Receipt
    reason: str


class PutOff(NamedTuple):
    """A task that is to be handed out again, after so many seconds; ``retries``: as often as it has then failed."""

    message: Arrived
    seconds: float
    retries: int


class Intake:
    """Everything runs on the link's thread, except where it says so."""

    def __init__(
        self,
        name: str,
        queue: TaskQueue,
        link: Link,
        mover: Mover,
        notices: Notices,
        clock: ServerClock,
        tell: Tell,
        bound: int,
        over: Callable[[], object],
    ) -> None:
        """``over``: called when it is closed and nobody holds anything of it any more."""
        self.changed = threading.Condition(threading.Lock())
        """Guards everything down to ``closed``; notified when something can be taken."""
        self.shelf = Shelf()
        self.demand = Demand(bound)
        self.held: dict[Delivery, Arrived] = {}
        """What takers have and have not settled."""
        self.asking = 0
        """How many tasks takers ask for at the moment."""
        self.closed = False
        self.started = threading.Event()
        """Tasks may come, or it is known that they cannot."""
        self.stopped = threading.Event()
        """Nothing comes any more."""
        self.refusal: ConfigError | None = None
        self._name = name
        self._queue = queue
        self._link = link
        self._mover = mover
        self._notices = notices
        self.clock = clock
        self._tell = tell
        self._over = over
        self._consumer = TaskConsumer(link, queue, self, self.demand.level)
        self._at_most_once = link.settings.layout == "dingo" or mover.at_most_once
        self._fresh: list[Arrived] = []
        """What is being read at the moment."""
        self._ours: set[str] = set()
        self._stopping = False
        self._looking = False

    # From any thread.

    def begin(self) -> None:
        """Start to consume, once it is known what was cancelled."""
        self._link.submit(partial(self._notices.when_caught_up, self._consume))

    def is_ours(self, message: Arrived) -> bool:
        """The server waits for our word on it, or has it no more."""
        return message.epoch == self._consumer.epoch or message.acknowledged

    def acknowledge_at_once(self, messages: Sequence[Arrived]) -> None:
        """Go dingo's way: at most once. A frame that is not one of this task stays, to be refused."""
        good = [m for m in messages if not m.acknowledged and _is_for(self._name, m.body)]
        for message in good:
            message.acknowledged = True
        self._link.submit(partial(self.ack, good))

    # For the consumer.

    def arrived(self, message: Arrived) -> None:
        """Sort a message."""
        if message.redelivered and not self._at_most_once:
            if message.id in self._ours:
                self._ours.discard(message.id)  # we had it when the connection was lost: nobody died
            else:
                self._suspect(message)
                return
        if message.expires and not self.clock.known():
            self.clock.when_known(partial(self._arrived_in_time, message))
            return
        self._fresh.append(message)
        if len(self._fresh) == 1:
            self._consumer.when_read(self._put_on_shelf)

    def _arrived_in_time(self, message: Arrived) -> None:
        """We have asked what time it is; unless it was lost meanwhile."""
        if self.is_ours(message):
            message.redelivered = False  # that was seen to
            self.arrived(message)

    def _put_on_shelf(self) -> None:
        """Once for all that has arrived together: the taker who takes some of it wakes the next for the rest."""
        with self.changed:
            for message in self._fresh:
                self.shelf.put(message)
            self._fresh.clear()
            late = self.stopped.is_set()  # not before: what is given back while we consume would come back to us
            self.changed.notify()
        if late:
            self._give_back_rest()

    def ready(self) -> None:
        self.refusal = None
        self.started.set()

    def lost(self) -> None:
        with self.changed:
            ours = [*self._fresh, *self.shelf.clear(), *self.held.values()]
            self._fresh.clear()
            if self.closed:
                self.held.clear()  # they come again, to others
        if len(self._ours) > MOST_OURS:
            self._ours.clear()
        self._ours |= {message.id for message in ours if message.id}  # of an earlier loss some may not have come yet
        self.leave()

    def cancelled(self) -> None:
        what = f"the server has ended our consumer of queue {self._queue.main!r}; consuming anew"
        self._tell(EventLevel.WARNING, EventCode.CONNECTION, what, self._name, "")

    def refused(self, error: ConfigError) -> None:
        if self.refusal is None:
            self._tell(EventLevel.ERROR, EventCode.CONNECTION, str(error), self._name, "")
        self.refusal = error
        self.started.set()

    # For the listener.

    def ack(self, messages: Sequence[Arrived]) -> None:
        """They are done."""
        tags: dict[int, list[int]] = {}
        for message in messages:
            tags.setdefault(message.epoch, []).append(message.tag)
        for epoch, each in tags.items():
            self._consumer.ack(epoch, each)

    def ack_surely(self, messages: Sequence[Arrived], then: Callable[[bool], object]) -> None:
        """Acknowledge all, and call ``then`` when the server has taken notice; False: it may not have."""
        if not all(self._consumer.holds(message) or message.acknowledged for message in messages):
            self.give_back(messages)
            then(False)
            return
        self.ack([message for message in messages if not message.acknowledged])
        self._consumer.when_applied(then)

    def when_sent(self, then: Callable[[], object]) -> None:
        """Call ``then`` when the receipts so far have left this process."""
        self._consumer.when_sent(then)

    def bury(self, refused: Refused) -> None:
        """Put a task aside, with its reason. One that the server has taken back is another's to judge."""
        if not self.is_ours(refused.message):
            return
        if refused.receipt is Receipt.WORKER_NOT_FOUND:
            code, why = EventCode.WORKER_NOT_FOUND, "no worker here runs a task of this name"
        elif refused.receipt is Receipt.FAILED:
            code, why = EventCode.DEAD_LETTER, "it failed for good"
        else:
            code, why = EventCode.DEAD_LETTER, "its worker refused it for good"
        reason = why
        if refused.reason:
            how = "failed" if refused.receipt is Receipt.FAILED else "refused"
            reason = f"{how}: {refused.reason[:LONGEST_REASON]}"
        told = why if refused.receipt is Receipt.FAILED else reason  # what a task raised may be a secret
        self._bury(refused.message, code, reason, told, refused.message.attempts + 1)

    def put_off(self, put_off: PutOff) -> None:
        """Let a task wait, and come again. One that the server has taken back comes again anyway, and at once."""
        message = put_off.message
        if self._queue.life is None or not self._consumer.holds(message):
            self._consumer.nack(message.epoch, [message.tag], requeue=True)
            return
        if put_off.retries > message.retries:  # it has run to its end: who died with it before does not count any more
            message.retries, message.attempts = put_off.retries, 0
        self._move(1)
        wait = self._queue.life.wait(put_off.seconds, message.priority)
        self._mover.put_off(self._consumer, wait, message, self._moved)

    def give_back(self, messages: Sequence[Arrived]) -> None:
        """To the server, for others."""
        live = [message for message in messages if self.is_ours(message)]
        self._move(len(live))
        self._mover.give_back(self._consumer, self._home_of, live, self._moved)

    def stop(self) -> None:
        """Take no more, and give back what nobody has taken."""
        if not self._stopping:
            self._stopping = True
            self._notices.leave(self._name, self._consumer.take_urgent)
            self._consumer.stop(self._on_stopped)

    def leave(self) -> None:
        """Whether it is over: as long as something is in its takers' hands, or on its way, the channel must stay."""
        with self.changed:
            over = self.closed and self.stopped.is_set() and not self.held and self.shelf.moving(0)
        if over:
            self._over()
            self._link.submit(self._consumer.leave)

    def adjust(self) -> None:
        """Hold as much as is wanted, and look soon whether less is."""
        self._consumer.prefer(self.demand.level)
        if not self._looking:
            self._looking = True
            self._link.later(LOOK_SECONDS, self._look)

    # Inside.

    def _consume(self) -> None:
        if not self._stopping:
            self._notices.follow(self._name, self._consumer.take_urgent)
            self._link.add(self._consumer)

    def _home_of(self, message: Arrived) -> Route:
        """Where it came from."""
        if message.suspect:
            return self._queue.suspect
        return self._queue.life.to(message.priority) if self._queue.life is not None else self._queue.send

    def _look(self) -> None:
        self._looking = False
        if self.closed:
            return
        with self.changed:
            fell = self.demand.look(len(self.held), self.asking)
            excess = self.shelf.excess(self.demand.level) if fell else []
        if excess:
            self.give_back(excess)
        if fell or not self.demand.is_least:
            self.adjust()

    def _suspect(self, message: Arrived) -> None:
        """A worker has died with it. Of those that died with it earlier, the header tells."""
        attempts = message.attempts + 1
        if attempts >= self._link.settings.max_deliveries:
            reason = f"{attempts} workers have died with it"
            self._bury(message, EventCode.DEAD_LETTER, reason, reason, attempts)
        else:
            self._move(1)
            self._mover.suspect(self._consumer, self._queue.suspect, message, attempts, self._moved)

    def _bury(self, message: Arrived, code: EventCode, reason: str, told: str, attempts: int) -> None:
        """``reason`` stands in the dead letter, ``told`` in the event."""
        if self._queue.dead:
            self._move(1)
            self._mover.bury(self._consumer, self._queue.bury, message, attempts, reason, self._name, self._moved)
        elif not message.acknowledged:
            self._consumer.nack(message.epoch, [message.tag], requeue=False)
        what = f"{'dead-lettered' if self._queue.dead else 'dropped'}: {told}"
        self._tell(EventLevel.ERROR, code, what, self._name, message.id or _id_of(message.body))

    def _move(self, count: int) -> None:
        with self.changed:
            self.shelf.moving(count)

    def _moved(self) -> None:
        with self.changed:
            if self.shelf.moving(-1):
                self.changed.notify()
        self.leave()

    def _give_back_rest(self) -> None:
        with self.changed:
            rest = self.shelf.clear()
        if rest:
            self.give_back(rest)

    def _on_stopped(self) -> None:
        self._give_back_rest()
        self.stopped.set()
        self.leave()


def _is_for(name: str, frame: bytes) -> bool:
    try:
        return Header.from_bytes(frame).name == name
    except WireError:
        return False


def _id_of(frame: bytes) -> str:
    try:
        return Header.from_bytes(frame).id
    except WireError:
        return ""
