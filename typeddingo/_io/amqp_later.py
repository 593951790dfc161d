"""Where tasks wait until they are due. Comes from senders and from failed tasks, goes to the task's own queue.

    delay = a sum of 0.05 · 2^n seconds: one level for each n, each a queue with one time to live, so that in none of
    them anything waits behind what is due later

    exchange later.3 ── tdg-3 ──▶ queue later.3 ── its time is over ──▶ exchange later.2 … later.0 ──▶ queue due.<name>
             └───── not tdg-3 ──▶ exchange later.2

The server counts the time, and each step is confirmed: what waits survives whatever the tasks survive. All of these are
quorum queues, also where tasks are in classic ones: only they hand over what is due without a gap.
"""

from __future__ import annotations

from typing import NamedTuple

from typeddingo._io.amqp_channel import Channel, Dialogue, declare_queue
from typeddingo._io.amqp_message import Route

__all__ = ["BACKSTOP", "LONGEST", "Levels", "Wait"]

UNIT_MS = 50
"""Waiting is a multiple of it, rounded up."""
CLASSES = (7, 17, 27)
"""Levels that are declared together, and beneath which a message enters: up to 6 s, 1.8 hours, 77 days."""
LONGEST = UNIT_MS / 1000 * 2 ** CLASSES[-1]
"""Seconds; the longest time to live of RabbitMQ allows for no more."""
BACKSTOP = 1_000_000
"""The server's own delivery limit: we count ourselves, because it counts lost connections and what was never started.
Said aloud, because since RabbitMQ 4.0 one that is not said is 20."""


class Wait(NamedTuple):
    """Where a message that is not due yet goes, and what is written on it."""

    route: Route
    headers: dict[str, object]


class Levels:
    """Of one namespace. Immutable."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def wait(self, seconds: float, due: str, target: Route) -> Wait:
        """For at least so many seconds, ``LONGEST`` at most, and then to ``target``. ``due``: the name of the queue
        that hands over to it; each target has its own, so that one that takes nothing holds up no other."""
        units = max(1, min(2 ** CLASSES[-1], -int(-seconds * 1000 // UNIT_MS)))
        if units == 1:

            def declare_due(channel: Channel) -> Dialogue[None]:
                yield from self._declare_due(channel, due, target)

            return Wait(Route("", due, declare_due), {})
        rest = units - 1  # the last unit passes in the queue that is due's
        top = next(level for level in CLASSES if rest < 2**level)

        def declare(channel: Channel) -> Dialogue[None]:
            yield from self._declare_due(channel, due, target)
            for level in range(1, top + 1):
                yield from self._declare_level(channel, level)

        headers: dict[str, object] = {f"tdg-{level}": bool(rest >> level - 1 & 1) for level in range(1, top + 1)}
        return Wait(Route(self._name(top), due, declare), headers)

    def _declare_due(self, channel: Channel, due: str, target: Route) -> Dialogue[None]:
        if target.declare is not None:
            yield from target.declare(channel)
        arguments = {"x-dead-letter-exchange": target.exchange, "x-dead-letter-routing-key": target.key}
        yield from declare_queue(channel, due, _arguments(UNIT_MS) | arguments)
        yield lambda then: channel.exchange_declare(self._name(0), "direct", durable=True, callback=then)
        yield lambda then: channel.queue_bind(due, self._name(0), due, callback=then)

    def _declare_level(self, channel: Channel, level: int) -> Dialogue[None]:
        here, below = self._name(level), self._name(level - 1)
        yield lambda then: channel.exchange_declare(here, "headers", durable=True, callback=then)
        arguments = _arguments(UNIT_MS * 2 ** (level - 1)) | {"x-dead-letter-exchange": below}
        yield from declare_queue(channel, here, arguments)
        stay: dict[str, object] = {"x-match": "all", f"tdg-{level}": True}
        skip: dict[str, object] = {"x-match": "all", f"tdg-{level}": False}
        yield lambda then: channel.queue_bind(here, here, "", arguments=stay, callback=then)
        yield lambda then: channel.exchange_bind(below, here, "", arguments=skip, callback=then)

    def _name(self, level: int) -> str:
        return f"{self._namespace}.later.{level}"


def _arguments(milliseconds: int) -> dict[str, object]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": BACKSTOP,
        "x-message-ttl": milliseconds,
        # What is due is kept until it has arrived; the server wants the other for it.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
