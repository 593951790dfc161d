"""A message that has arrived, and what is written on it. Comes from ``amqp_frames``, goes to a consumer's reader."""

from __future__ import annotations

from dataclasses import dataclass

from typeddingo._io.amqp_frames import Delivered

__all__ = ["ATTEMPTS", "EXPIRES", "RETRIES", "Arrived"]

ATTEMPTS = "tdg-attempts"
"""The header that counts the workers a task has taken with it."""
RETRIES = "tdg-retries"
"""How often it was run and failed."""
EXPIRES = "tdg-expires"
"""The end of its lifetime: milliseconds of Unix time."""


@dataclass(slots=True, eq=False)
class Arrived:
    """A message in our hands, unacknowledged."""

    epoch: int
    tag: int
    body: bytes
    id: str
    reply_to: str
    attempts: int
    """Workers that died with it, as far as is known."""
    redelivered: bool
    """It had been delivered before, and nobody has said what became of it."""
    suspect: bool
    """It comes from the queue of suspects."""
    acknowledged: bool = False
    retries: int = 0
    """How often it has failed and was put off."""
    expires: float = 0.0
    """Unix time after which it must not run."""
    priority: int = 0
    taken_at: float = 0.0
    """When somebody took it, in monotonic seconds."""

    @classmethod
    def of(cls, delivered: Delivered, epoch: int, *, counted: bool, suspect: bool) -> Arrived:
        """``counted``: its queue counts how often it was delivered."""
        _, tag, redelivered, id, reply_to, _, headers, body = delivered
        if counted:
            # Of a quorum queue we trust the count: its flag is also set for what was given back in peace.
            redelivered = headers is not None and _count(headers.get("x-delivery-count")) > 0
        if headers is None:
            return cls(epoch, tag, body, id, reply_to, 0, redelivered, suspect)
        arrived = cls(epoch, tag, body, id, reply_to, _count(headers.get(ATTEMPTS)), redelivered, suspect)
        if RETRIES in headers:
            arrived.retries = _count(headers[RETRIES])
        if EXPIRES in headers:
            arrived.expires = _count(headers[EXPIRES], 10**15) / 1000
        return arrived

    @property
    def kept(self) -> dict[str, object]:
        """What is written on it and must not be lost while it waits elsewhere."""
        kept: dict[str, object] = {}
        if self.retries:
            kept[RETRIES] = self.retries
        if self.expires:
            kept[EXPIRES] = round(self.expires * 1000)
        return kept


def _count(value: object, most: int = 1_000_000) -> int:
    """A header is whatever a stranger has written."""
    return min(value, most) if isinstance(value, int) and value > 0 else 0
