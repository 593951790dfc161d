"""The queue of one name as commands and their replies. Comes from listeners and the keeper, goes to the scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, Command, RedisLink
from typeddingo._io.redis_reply import Reply, whole
from typeddingo._io.redis_rows import cut
from typeddingo._io.redis_settings import RedisSettings
from typeddingo.brokers._redis_overtaking import TAKE_URGENT
from typeddingo.brokers._redis_scripts import (
    CLAIM_FREE,
    CLAIM_SUSPECT,
    CREATE,
    LEAVE,
    LOOK,
    RENEW,
    SETTLE,
    SIGNS,
    SWEEP_CONSUMERS,
    TAKE,
)
from typeddingo.brokers._redis_unique import freed
from typeddingo.brokers._redis_waiting import GROUP
from typeddingo.message import Meta

__all__ = [
    "BACK",
    "DONE",
    "HURRIED",
    "PATIENCE",
    "Found",
    "RedisQueue",
    "Signs",
    "Taken",
    "fields_of",
    "found",
    "later",
    "read",
    "signs",
    "taken",
    "taken_urgent",
]

DONE = "done"
BACK = "back"
HURRIED = b"!"
"""What the ids of tasks begin with that have overtaken others: they lie in a stream of their own."""
AT_ONCE = 1000
"""Tasks that one script settles."""
MOST = 1 << 50
"""Milliseconds: numbers in scripts are exact up to here, and it is longer than anybody waits."""


class Taken(NamedTuple):
    """A task as it lies in the stream, now in our hands."""

    id: bytes
    body: bytes
    reply_to: str
    attempt: int
    retries: int = 0
    expires: int = 0
    """Milliseconds by the server's clock; 0: never."""
    expired: bool = False


class Signs(NamedTuple):
    """What a listener must know beside what it takes."""

    urgent: bool = False
    """Some wait that overtake others."""
    hurried: bool = False
    """Some have done so, since this queue is there."""
    cancelled: bool = False
    """Somebody has cancelled tasks that have not ended."""
    due: float | None = None
    """Seconds until something is due that does not stand in line yet."""


class Found(NamedTuple):
    """What there is beside new tasks."""

    free: bool
    suspects: bool = False
    signs: Signs = Signs()
    buried: Sequence[bytes] = ()
    """How the frames begin that were put aside."""


class RedisQueue:
    """Stateless but for the name of the owner: who takes from it."""

    def __init__(
        self, keys: NativeKeys, settings: RedisSettings, name: str, owner: str, *, hurried: bool = False
    ) -> None:
        """``hurried``: the stream of those that have overtaken others."""
        self.name = name
        self._keys = keys
        self.hurried = hurried
        self._mark = HURRIED if hurried else b""
        self._owner = owner
        self._stream = keys.hurried(name) if hurried else keys.tasks(name)
        self._cancelled = keys.cancelled(name)
        self._dead = keys.dead(name)
        self._lease = int(settings.lease * 1000)
        self._most = settings.max_deliveries
        self._orphaned = max(5000, self._lease // 3)

    def create(self, link: RedisLink) -> None:
        """The stream and its group, unless they are there."""
        link.call(Call(CREATE, [self._stream]))

    def read(self, count: int, block: float) -> Command:
        """New tasks, waiting for the first: ``read`` below reads the reply. Refused when the group is gone."""
        command: tuple[str | int, ...] = ("XREADGROUP", "GROUP", GROUP, self._owner, "COUNT", count)
        if block > 0:
            command += ("BLOCK", max(1, int(block * 1000)))
        return (*command, "STREAMS", self._stream, ">")

    def take(self, count: int) -> Command:
        """New tasks, if there are any: ``taken`` reads the reply."""
        return Call(TAKE, [self._stream], [self._owner, count])

    def take_urgent(self, count: int) -> Command:
        """New tasks, if there are any, those first that overtake the others: ``taken_urgent`` reads the reply."""
        return Call(TAKE_URGENT, [self._stream], [self._owner, count])

    def claim_free(self, link: RedisLink, count: int) -> list[Taken]:
        """What was given back."""
        return self._claimed(link.call(Call(CLAIM_FREE, [self._stream], [self._owner, count])))

    def claim_suspect(self, link: RedisLink) -> list[Taken]:
        """One task that its worker has left, if there is one."""
        return self._claimed(link.call(Call(CLAIM_SUSPECT, [self._stream], [self._owner, self._lease, self._most])))

    def settle(self, ends: Sequence[tuple[bytes, str]]) -> list[Command]:
        """How each ended: ``DONE``, ``BACK``, ``later`` or why it is dead. ``signs`` reads a reply that is a list."""
        calls: list[Command] = []
        if self.hurried:
            ends = [(id[1:], end) for id, end in ends]
        for start in range(0, len(ends), AT_ONCE):
            some = ends[start : start + AT_ONCE]
            done = [id for id, end in some if end == DONE]
            others = [part for end in some if end[1] != DONE for part in end]
            when = [int(id.partition(b"-")[0]) for id, _ in some]
            arguments: list[str | bytes | int] = [self._owner, min(when), max(when), b" ".join(done), *others]
            calls.append(Call(SETTLE, [self._stream, self._dead], arguments))
        return calls

    def free(self, meta: Meta, key: str) -> Command:
        """See ``Listener.free``."""
        return freed(self._keys, meta, key)

    def renew(self, held: Sequence[bytes], *, only_held: bool = False) -> Command:
        """Keep what is held. What is ours and not held goes back: at once (``only_held``), or when it has been so for
        too long to be on its way to us. ``renewed`` reads the reply."""
        if self.hurried:
            held = [id[1:] for id in held]
        return Call(RENEW, [self._stream], [self._owner, 0 if only_held else self._orphaned, *held])

    def renewed(self, reply: Reply) -> list[bytes]:
        """What is kept."""
        return [self._mark + id for id in whole(reply) if isinstance(id, bytes)]

    def look(self) -> Command:
        return Call(LOOK, [self._stream, self._dead], [self._owner, self._lease, self._most])

    def signs(self) -> Command:
        """What there is beside tasks in line: ``signs`` reads the reply."""
        return Call(SIGNS, [self._stream])

    def leave(self) -> Command:
        return Call(LEAVE, [self._stream], [self._owner])

    def sweep_consumers(self) -> Command:
        """Also makes the owner known, before it has taken anything."""
        return Call(SWEEP_CONSUMERS, [self._stream], [self._owner, max(600_000, 10 * self._lease)])

    def cancelled(self, since: float) -> Command:
        """The ids of the tasks that were cancelled then or later, each with when it was, by the server's clock."""
        return ("ZRANGEBYSCORE", self._cancelled, f"{since:.0f}", "+inf", "WITHSCORES")

    def forget_cancelled(self, ids: Sequence[str]) -> Command:
        """They have ended."""
        return ("ZREM", self._cancelled, *ids)

    def _claimed(self, reply: Reply) -> list[Taken]:
        taken: list[Taken] = []
        for entry in whole(reply):
            times = whole(entry)[2]
            taken.append(_taken(entry, times if isinstance(times, int) else 1, self._mark))
        return taken


PATIENCE = 2.0
"""Seconds beyond the blocking time after which a reply is missed."""


def read(reply: Reply) -> list[Taken]:
    """What ``read`` has brought."""
    streams = whole(reply)
    return [_taken(entry, 1) for entry in whole(whole(streams[0])[1])] if streams else []


def taken(reply: Reply) -> list[Taken]:
    """What ``take`` has brought."""
    tasks: list[Taken] = []
    if not (parts := whole(reply)):
        return tasks
    sizes, data, *others = parts
    assert isinstance(sizes, bytes)
    assert isinstance(data, bytes)
    cuts = cut(sizes, data)
    for id, address, body in zip(cuts[::3], cuts[1::3], cuts[2::3], strict=True):
        tasks.append(Taken(id, body, _text(address), 1))
    if others:
        flat = whole(others[0])
        for at, name, value in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
            assert isinstance(at, int)
            assert isinstance(value, int)
            task = tasks[at]
            tasks[at] = task._replace(retries=value) if name == b"n" else task._replace(expires=value)
    return tasks


def taken_urgent(reply: Reply) -> tuple[bool, list[Taken]]:
    """What ``take_urgent`` has brought, and whether more of the kind wait."""
    more, *entries = whole(reply) or [0]
    tasks = [_taken(whole(entry)[1:], 1, HURRIED if whole(entry)[0] else b"") for entry in entries]
    return bool(more), tasks


def found(reply: Reply) -> Found:
    """What ``look`` has seen."""
    free, suspects, bits, due, *buried = whole(reply) or [0, 0, 0, -1]
    begun = [each for each in buried if isinstance(each, bytes)]
    return Found(bool(free), bool(suspects), _signs(bits, due), begun)


def signs(reply: Reply) -> Signs:
    """What ``settle`` (where it is a list) and ``signs`` say."""
    bits, due = whole(reply)
    return _signs(bits, due)


def later(seconds: float, task: str, *, counts: bool) -> str:
    """The end of a run after which the task comes again; ``counts``: as a retry."""
    return f"later {counts:d} {min(math.ceil(seconds * 1000), MOST)} {task}"


def _signs(bits: Reply, due: Reply) -> Signs:
    assert isinstance(bits, int)
    assert isinstance(due, int)
    return Signs(bool(bits & 1), bool(bits & 2), bool(bits & 4), due / 1000 if due >= 0 else None)


def fields_of(reply: Reply) -> dict[bytes, bytes]:
    """The fields of an entry, whoever wrote it; none for one that was deleted."""
    flat = [each for each in whole(reply) if isinstance(each, bytes)]
    return dict(zip(flat[::2], flat[1::2], strict=False))


def _taken(entry: Reply, attempt: int, mark: bytes = b"") -> Taken:
    id, fields = whole(entry)[:2]
    assert isinstance(id, bytes)
    values = fields_of(fields)
    task = Taken(mark + id, values.get(b"b", b""), _text(values.get(b"r", b"")), attempt)
    if b"n" in values or b"e" in values:
        return task._replace(retries=_number(values, b"n"), expires=_number(values, b"e"))
    return task


@lru_cache(maxsize=256)
def _text(address: bytes) -> str:
    """The same for all tasks of a caller."""
    return address.decode(errors="replace")


def _number(values: dict[bytes, bytes], name: bytes) -> int:
    value = values.get(name, b"")
    return int(value) if value.isdigit() else 0
