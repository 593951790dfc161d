"""The queue of one name as commands and their replies. Comes from listeners and the keeper, goes to the scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, Command, RedisLink, Refused, Reply, whole
from typeddingo._io.redis_rows import cut
from typeddingo._io.redis_settings import RedisSettings
from typeddingo.brokers._redis_scripts import (
    CLAIM_FREE,
    CLAIM_SUSPECT,
    GROUP,
    LEAVE,
    LOOK,
    RENEW,
    SETTLE,
    SWEEP_CONSUMERS,
    TAKE,
)
from typeddingo.brokers._redis_unique import freed
from typeddingo.message import Meta

__all__ = ["BACK", "DONE", "PATIENCE", "Found", "RedisQueue", "Taken", "fields_of", "found", "read", "taken"]

DONE = "done"
BACK = "back"
AT_ONCE = 1000
"""Tasks that one script settles."""


class Taken(NamedTuple):
    """A task as it lies in the stream, now in our hands."""

    id: bytes
    body: bytes
    reply_to: str
    attempt: int


class Found(NamedTuple):
    """What there is beside new tasks."""

    free: bool
    suspects: bool
    buried: Sequence[bytes]
    """How the frames begin that were put aside."""


class RedisQueue:
    """Stateless but for the name of the owner: who takes from it."""

    def __init__(self, keys: NativeKeys, settings: RedisSettings, name: str, owner: str) -> None:
        self.name = name
        self._keys = keys
        self._owner = owner
        self._stream = keys.tasks(name)
        self._dead = keys.dead(name)
        self._lease = int(settings.lease * 1000)
        self._most = settings.max_deliveries
        self._orphaned = max(5000, self._lease // 3)

    def create(self, link: RedisLink) -> None:
        """The stream and its group, unless they are there."""
        try:
            link.call(("XGROUP", "CREATE", self._stream, GROUP, "0", "MKSTREAM"))
        except Refused as refused:
            if refused.code != "BUSYGROUP":
                raise

    def read(self, count: int, block: float) -> Command:
        """New tasks, waiting for the first: ``read`` below reads the reply. Refused when the group is gone."""
        command: tuple[str | int, ...] = ("XREADGROUP", "GROUP", GROUP, self._owner, "COUNT", count)
        if block > 0:
            command += ("BLOCK", max(1, int(block * 1000)))
        return (*command, "STREAMS", self._stream, ">")

    def take(self, count: int) -> Command:
        """New tasks, if there are any: ``taken`` reads the reply."""
        return Call(TAKE, [self._stream], [self._owner, count])

    def claim_free(self, link: RedisLink, count: int) -> list[Taken]:
        """What was given back."""
        return _claimed(link.call(Call(CLAIM_FREE, [self._stream], [self._owner, count])))

    def claim_suspect(self, link: RedisLink) -> list[Taken]:
        """One task that its worker has left, if there is one."""
        return _claimed(link.call(Call(CLAIM_SUSPECT, [self._stream], [self._owner, self._lease, self._most])))

    def settle(self, ends: Sequence[tuple[bytes, str]]) -> list[Command]:
        """How each ended: ``DONE``, ``BACK`` or why it is dead."""
        calls: list[Command] = []
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
        too long to be on its way to us."""
        return Call(RENEW, [self._stream], [self._owner, 0 if only_held else self._orphaned, *held])

    def look(self) -> Command:
        return Call(LOOK, [self._stream, self._dead], [self._owner, self._lease, self._most])

    def leave(self) -> Command:
        return Call(LEAVE, [self._stream], [self._owner])

    def sweep_consumers(self) -> Command:
        """Also makes the owner known, before it has taken anything."""
        return Call(SWEEP_CONSUMERS, [self._stream], [self._owner, max(600_000, 10 * self._lease)])


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
    sizes, data = parts
    assert isinstance(sizes, bytes)
    assert isinstance(data, bytes)
    cuts = cut(sizes, data)
    for id, address, body in zip(cuts[::3], cuts[1::3], cuts[2::3], strict=True):
        tasks.append(Taken(id, body, address.decode(errors="replace"), 1))
    return tasks


def found(reply: Reply) -> Found:
    """What ``look`` has seen."""
    free, suspects, *buried = whole(reply) or [0, 0]
    return Found(bool(free), bool(suspects), [each for each in buried if isinstance(each, bytes)])


def fields_of(reply: Reply) -> dict[bytes, bytes]:
    """The fields of an entry, whoever wrote it; none for one that was deleted."""
    flat = [each for each in whole(reply) if isinstance(each, bytes)]
    return dict(zip(flat[::2], flat[1::2], strict=False))


def _claimed(reply: Reply) -> list[Taken]:
    taken: list[Taken] = []
    for entry in whole(reply):
        times = whole(entry)[2]
        taken.append(_taken(entry, times if isinstance(times, int) else 1))
    return taken


def _taken(entry: Reply, attempt: int) -> Taken:
    id, fields = whole(entry)[:2]
    assert isinstance(id, bytes)
    values = fields_of(fields)
    return Taken(id, values.get(b"b", b""), values.get(b"r", b"").decode(errors="replace"), attempt)
