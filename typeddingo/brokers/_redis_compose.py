"""From batches of tasks to the calls of the script that stores them. Comes from ``Streams``, goes to a link.

Everything of one call shares its arguments as far as it can: a task alone costs no argument of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from math import ceil
from typing import TypeAlias

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call
from typeddingo._io.redis_rows import row
from typeddingo.broker import Parcel
from typeddingo.brokers._redis_scripts import DIGEST, SEND, SEND_ON_TERMS
from typeddingo.brokers._redis_unique import if_first
from typeddingo.terms import AT_ONCE

__all__ = ["compose"]

CHUNK = 250
"""Tasks that one script stores."""
CHUNK_BYTES = 1_000_000
"""Bytes of frames, about."""
MOST = 1 << 50
"""Milliseconds: numbers in scripts are exact up to here, and it is longer than anybody waits."""


_Task: TypeAlias = "tuple[Parcel, bytes, int]"
"""A task, its digest, and which batch it is in."""


def compose(
    keys: NativeKeys, bound: int, batches: Sequence[Sequence[Parcel]]
) -> tuple[list[Call], list[Sequence[int]]]:
    """The calls that store all of them, and for each call whose tasks are in it. With a bound, each batch is refused or
    stored as it was sent; a large one of several names may be refused for the later names alone."""
    if len(batches) == 1 and len(batches[0]) == 1 and batches[0][0].terms is AT_ONCE:
        return [_call_of_one(keys, bound, batches[0][0])], [[0]]
    groups: list[list[_Task]] = [] if bound else [[]]
    unique: list[_Task] = []
    for at, parcels in enumerate(batches):
        if len(parcels) == 1 and parcels[0].terms.unique:
            unique.append((parcels[0], _digest(parcels[0]), at))
            continue
        if bound:
            groups.append([])
        if len(parcels) == 1:  # of nearly every call: 1.5 µs for a task, all in all
            groups[-1].append((parcels[0], _digest(parcels[0]), at))
        else:
            groups[-1] += zip(parcels, _digests(parcels), repeat(at))  # a digest each
    calls: list[Call] = []
    members: list[Sequence[int]] = []
    for together in groups:
        # The first call that has tasks of a name speaks for the others: they are one batch.
        needed = dict(Counter(parcel.meta.name for parcel, _, _ in together)) if bound else {}
        for chunk in _chunks(together):
            calls.append(_call(keys, bound, chunk, needed))
            members.append(sorted({at for _, _, at in chunk}))
    for task in unique:
        store = _call(keys, bound, [task], {task[0].meta.name: 1} if bound else {})
        calls.append(if_first(keys, store, task[0]))
        members.append([task[2]])
    return calls, members


def _call_of_one(keys: NativeKeys, bound: int, parcel: Parcel) -> Call:
    """What ``_call`` makes of a task that is sent alone, in a third of the time: every lone call goes this way."""
    meta, body, _ = parcel
    needed = 1 if bound else 0
    arguments = (bound, keys.sent(meta.name), needed, meta.reply_to, _digest(parcel), *row([body]))
    return Call(SEND, [keys.tasks(meta.name)], arguments)


def _call(keys: NativeKeys, bound: int, tasks: Sequence[_Task], needed: dict[str, int]) -> Call:
    groups: dict[tuple[str, str], list[_Task]] = {}
    on_terms = False
    for task in tasks:
        meta, _, terms = task[0]
        groups.setdefault((meta.name, meta.reply_to), []).append(task)
        on_terms = on_terms or terms is not AT_ONCE
    arguments: list[str | bytes | int] = [bound]
    for (name, address), some in groups.items():
        digests = b"".join([digest for _, digest, _ in some])
        frames = row([parcel.body for parcel, _, _ in some])
        arguments += (keys.sent(name), needed.pop(name, 0), address, digests, *frames)
        if on_terms:
            arguments += row([_asked(parcel) for parcel, _, _ in some])
    return Call(SEND_ON_TERMS if on_terms else SEND, [keys.tasks(name) for name, _ in groups], arguments)


def _asked(parcel: Parcel) -> bytes:
    """As the script reads it; a delay is rounded up, because nothing comes early."""
    delay, eta, lifetime, expires, priority, _, _ = parcel.terms
    times = " ".join([str(_milliseconds(each)) for each in (delay, eta, lifetime, expires)])
    return f"{times} {priority} {parcel.meta.id}".encode()


def _milliseconds(seconds: float) -> int:
    return min(ceil(seconds * 1000), MOST)


def _digests(parcels: Sequence[Parcel]) -> list[bytes]:
    digests = [_digest(parcel) for parcel in parcels]
    if len(digests) > 1 and len(set(digests)) < len(digests):
        seen: Counter[bytes] = Counter()
        for at, digest in enumerate(digests):
            if nth := seen[digest]:  # twice in one batch is no repetition: both are meant
                digests[at] = blake2b(digest, digest_size=DIGEST, salt=b"%d" % nth).digest()
            seen[digest] += 1
    return digests


def _digest(parcel: Parcel) -> bytes:
    """What makes a task the same one when it is sent again: caller, name, id and all that is asked for. Name and id
    alone are not enough: id makers may count, in many processes."""
    meta = parcel.meta
    digest = _of_caller(meta.reply_to).copy()
    digest.update(b"%b\0%b" % (meta.id.encode(), parcel.body))
    return digest.digest()


@lru_cache(maxsize=256)
def _of_caller(address: str) -> blake2b:
    """Where the digests of a caller's tasks begin: to copy it costs half of making one with a key."""
    key = address.encode()
    return blake2b(digest_size=DIGEST, key=key if len(key) <= 64 else blake2b(key).digest())


def _chunks(tasks: list[_Task]) -> list[list[_Task]]:
    """Not too many at once, and not too much."""
    if sum([len(task[0].body) for task in tasks]) <= CHUNK_BYTES:
        return [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
    chunks: list[list[_Task]] = []
    size = CHUNK_BYTES
    for task in tasks:
        size += len(task[0].body)
        if size > CHUNK_BYTES or len(chunks[-1]) == CHUNK:
            chunks.append([])
            size = len(task[0].body)
        chunks[-1].append(task)
    return chunks
