"""From the replies to one exchange to the answer for each batch that was in it. Used by both layouts."""

from __future__ import annotations

from collections.abc import Sequence

from typeddingo._io.redis_reply import Refused, Reply
from typeddingo.brokers._redis_scripts import FULL
from typeddingo.brokers._redis_sender import Answer
from typeddingo.errors import QueueFull, SendUnknown

__all__ = ["answers", "error_of"]


def error_of(reply: Reply, bound: int) -> Exception | None:
    """Why the tasks of one command were not stored; None: they were."""
    if isinstance(reply, Refused):
        return reply.error()
    if reply == FULL:
        return QueueFull(
            f"there is no room for these tasks among the {bound} that may be in their queue: send again when workers "
            "have caught up, or raise max_length"
        )
    return None


def answers(count: int, members: Sequence[Sequence[int]], errors: Sequence[Exception | None]) -> Sequence[Answer]:
    """The answer to each of ``count`` batches. ``members``: whose tasks were in each command. One that was stored in
    part is not one that was not sent."""
    good: set[int] = set()
    bad: dict[int, Exception] = {}
    for batches, error in zip(members, errors, strict=True):
        if error is None:
            good.update(batches)
        else:
            bad.update(dict.fromkeys(batches, error))
    return [
        SendUnknown(f"a part of the batch was stored, the rest was not: {bad[at]}")
        if at in bad and at in good
        else bad.get(at)
        for at in range(count)
    ]
