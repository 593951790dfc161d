"""The tasks of one name, for the workers that share them. Comes from ``add_listener``, goes to ``take`` and ``settle``.

What is given back while the listener lives goes to the next taker; when it closes, to the server. A suspect is handed
out only when nothing else of this process runs, and while it runs nothing joins it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from typeddingo._io.amqp_arrived import Arrived
from typeddingo._io.amqp_clock import ServerClock
from typeddingo._io.amqp_link import Link
from typeddingo._io.amqp_topology import TaskQueue
from typeddingo._io.gate import Gate
from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Listener, Receipt
from typeddingo.brokers._amqp_intake import Intake, PutOff, Refused, Tell
from typeddingo.brokers._amqp_mover import Mover
from typeddingo.brokers._amqp_notices import Notices
from typeddingo.errors import ConfigError
from typeddingo.message import Meta

__all__ = ["AmqpListener"]

CLOSE_SECONDS = 2.0
SILENT_SECONDS = 0.05
"""The same, of a server that has not answered another listener."""
MOST_UNSURE = 24
"""Of acknowledgements that are not stored yet a quorum queue takes 32; later ones wait in its client in the server, and
are lost with the connection although the server has answered what was asked after them."""
ALONE_WAIT = 5.0
"""Seconds that takers pause for a suspect to run alone; then it goes to whoever has nothing else to do."""


class _Settled(NamedTuple):
    """The receipts of one ``settle``, sorted."""

    done: list[Arrived]
    refused: list[Refused]
    returned: list[Arrived]
    put_off: list[PutOff]

    @property
    def size(self) -> int:
        return len(self.done) + len(self.refused) + len(self.returned) + len(self.put_off)


class AmqpListener(Listener):
    """Thread-safe."""

    def __init__(
        self,
        name: str,
        queue: TaskQueue,
        link: Link,
        mover: Mover,
        notices: Notices,
        clock: ServerClock,
        gate: Gate,
        tell: Tell,
        prefetch: int,
        forget: Callable[[AmqpListener], None],
        free: Callable[[Meta, str, float], None],
    ) -> None:
        settings = link.settings
        self.name = name
        self._link = link
        self._free = free
        self._gate = gate
        self.redelivers = settings.layout != "dingo"
        self._bound = min(prefetch, settings.prefetch or prefetch)
        if mover.at_most_once:
            self._bound = min(self._bound, MOST_UNSURE)
        self._intake = Intake(name, queue, link, mover, notices, clock, tell, self._bound, partial(forget, self))
        self._changed = self._intake.changed

    @property
    def closed(self) -> bool:
        return self._intake.closed

    @property
    def held(self) -> int:
        """Tasks that are here: takers run them, or they wait for one."""
        return len(self._intake.held) + len(self._intake.shelf)

    def start(self, seconds: float) -> None:
        """Begin to consume; wait so long until tasks can come. Raises ``ConfigError`` when the server refuses."""
        self._intake.begin()
        self._intake.started.wait(seconds)
        if self._intake.refusal is not None:
            refusal = ConfigError(*self._intake.refusal.args)
            self.close()
            raise refusal

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """See ``Listener.take``. Pauses while a suspect runs alone in this process."""
        deadline = Deadline(timeout)
        intake = self._intake
        with self._changed:
            intake.asking += count
        try:
            while not intake.closed:
                what = self._wait(count, deadline)
                if what is None:
                    break
                taken = self._take_suspect(what) if isinstance(what, Arrived) else self._take(what, deadline)
                if taken:
                    return taken
                if deadline.passed:
                    break
        finally:
            with self._changed:
                intake.asking -= count
        return ()

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """See ``Listener.settle``. A delivery that is settled already is left as it is."""
        intake = self._intake
        settled = _Settled([], [], [], [])
        with self._changed:
            for delivery, receipt in receipts:
                if (message := intake.held.pop(delivery, None)) is None:
                    continue
                if receipt is Receipt.OK:
                    settled.done.append(message)
                elif receipt is Receipt.GIVE_BACK:
                    settled.returned.append(message)
                elif receipt is Receipt.RETRY or receipt is Receipt.LATER:
                    retries = message.retries + (receipt is Receipt.RETRY)
                    settled.put_off.append(PutOff(message, delivery.delay, retries))
                else:
                    settled.refused.append(Refused(message, receipt, delivery.reason))
            if not (count := settled.size):
                return
            if settled.done:
                intake.demand.ended(time.monotonic() - settled.done[0].taken_at)
            if settled.returned and not intake.closed:
                intake.shelf.put_back([message for message in settled.returned if intake.is_ours(message)])
                settled.returned.clear()
            if len(intake.shelf):  # there was no room for it: else nobody who waits has anything to gain
                self._changed.notify_all()
        if not self._link.submit(partial(self._settle, settled, count)):
            self._gate.leave(count)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> bool:
        """See ``Listener.acknowledge``: an acknowledgement, and a round trip on the same channel."""
        with self._changed:
            popped = [self._intake.held.pop(delivery, None) for delivery in deliveries]
        messages = [message for message in popped if message is not None]
        answered = threading.Event()
        answers: list[bool] = []

        def answer(applied: bool) -> None:
            answers.append(applied)
            answered.set()

        if self._link.submit(partial(self._intake.ack_surely, messages, answer)):
            answered.wait(self._link.settings.send_timeout)
        self._gate.leave(len(messages))
        self._link.submit(self._intake.leave)
        return len(messages) == len(deliveries) and answers == [True]

    def free(self, meta: Meta, key: str, seconds: float) -> None:
        """See ``Listener.free``."""
        self._free(meta, key, seconds)

    def close(self) -> None:
        """See ``Listener.close``; waits a moment for the server to stop."""
        intake = self._intake
        with self._changed:
            first, intake.closed = not intake.closed, True
            self._changed.notify_all()
        if first and not self._link.submit(intake.stop):
            intake.stopped.set()
            intake.leave()
        if not self._link.is_current and not intake.stopped.wait(
            SILENT_SECONDS if self._link.silent else CLOSE_SECONDS
        ):
            self._link.silent = True

    def release(self) -> None:
        """Give back what was taken and not settled: the broker closes."""
        self.settle([(delivery, Receipt.GIVE_BACK) for delivery in list(self._intake.held)])

    def _wait(self, count: int, deadline: Deadline) -> Arrived | int | None:
        """A suspect, or how many may be taken of the others; None once the time is over."""
        intake = self._intake
        shelf = intake.shelf
        with self._changed:
            while not intake.closed:
                if intake.demand.note(len(intake.held), intake.asking):
                    self._link.submit(intake.adjust)
                room = self._bound - len(intake.held)
                if room > 0:
                    if (suspect := shelf.take_suspect()) is not None:
                        return suspect
                    if shelf.fresh:
                        return min(count, room)
                if deadline.passed:
                    return None
                waits = [seconds for seconds in (deadline.left, shelf.suspect_in()) if seconds is not None]
                self._changed.wait(min(waits, default=None) if room > 0 else deadline.left)
        return None

    def _take(self, count: int, deadline: Deadline) -> Sequence[Delivery]:
        entered = self._gate.enter(count, deadline.left)
        intake = self._intake
        taken: list[Arrived] = []
        with self._changed:
            if entered and not intake.closed:
                taken = intake.shelf.take(min(count, self._bound - len(intake.held)))
            now = time.monotonic()
            deliveries = [self._hand_out(message, now) for message in taken]
            if intake.shelf.fresh:  # we may have been woken for it
                self._changed.notify()
        if not entered:
            return ()
        if len(taken) < count:
            self._gate.leave(count - len(taken))
        if taken and not self.redelivers:
            intake.acknowledge_at_once(taken)
        return deliveries

    def _take_suspect(self, message: Arrived) -> Sequence[Delivery]:
        intake = self._intake
        entered = self._gate.enter_alone(ALONE_WAIT)
        with self._changed:
            if entered:
                intake.shelf.ran_alone()
            elif not intake.closed and intake.shelf.not_alone():
                entered = self._gate.enter(1, 0)
            if entered and not intake.closed and intake.is_ours(message):
                return (self._hand_out(message, time.monotonic()),)
        if entered:
            self._gate.leave()
        # What runs here takes long: perhaps somebody else has nothing to do.
        self._link.submit(partial(intake.give_back, [message]))
        return ()

    def _hand_out(self, message: Arrived, now: float) -> Delivery:
        message.taken_at = now
        delivery = Delivery(message.body, self, message, message.reply_to, message.attempts + 1, message.retries)
        if message.expires:
            delivery.expired = message.expires <= self._intake.clock.now()
        self._intake.held[delivery] = message
        return delivery

    def _settle(self, settled: _Settled, count: int) -> None:
        """On the link's thread."""
        intake = self._intake
        intake.ack([message for message in settled.done if not message.acknowledged])
        for refused in settled.refused:
            intake.bury(refused)
        for put_off in settled.put_off:
            intake.put_off(put_off)
        if settled.returned:
            intake.give_back(settled.returned)
        intake.when_sent(partial(self._gate.leave, count))
        intake.leave()
