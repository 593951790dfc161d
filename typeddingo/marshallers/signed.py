"""Frames with a signature: who holds none of the keys can neither make one nor change one.

    chunk 1   the frame of the inner marshaller
    chunk 2   the seal: version 1 | milliseconds since the epoch 8 | key id length 1 | key id | HMAC-SHA-256 32

Comes from the bridge, asks the inner marshaller, goes to a broker or backend; and back. What is signed is the kind of
the frame (task or report), the seal up to its signature, and the frame inside with its header: name, id, values.
"""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from typeddingo.config import Limits
from typeddingo.errors import ConfigError, Untrusted
from typeddingo.marshaller import Marshaller
from typeddingo.marshallers.wrapped import FrameKind, WrappedMarshaller

__all__ = ["SignedMarshaller"]

SKEW: Final = 60.0
"""Seconds that the clock of the signer may be ahead of ours."""

_LEAST_KEY: Final = 16
_LONGEST_ID: Final = 64
_VERSION: Final = 1
_MAC_SIZE: Final = 32
_FRONT_SIZE: Final = 10
"""Version, time and length of the key id."""


class SignedMarshaller(WrappedMarshaller):
    """Signs what ``inner`` encodes, and refuses as ``Untrusted`` what was not signed with one of the keys, was changed,
    belongs to another call, is of the other kind, or is too old. Thread-safe.

    ``keys``: the ring, secrets of 16 bytes or more (32 random ones are best) by an id that may be seen by anybody.
    ``sign_with``: the id of the key that signs; the others are still accepted. To change a key, give the new one to
    every process first, then sign with it, and drop the old one ``max_age`` later.

    ``max_age``: seconds from signing to decoding, that is, the longest that a task may wait in its queue, redeliveries
    included; the receiver's setting counts. ``clock`` gives seconds since the epoch; two machines may differ by a
    minute. Raises ``ConfigError``.

    A frame that is copied unchanged is still signed. Its id is, too: a worker that remembers the ids it has completed
    runs no copy of them, and after ``max_age`` nobody does. Another worker may, before that: as after a crash, a task
    can run twice.
    """

    signs = True

    def __init__(
        self,
        inner: Marshaller,
        keys: Mapping[str, bytes],
        *,
        sign_with: str,
        max_age: float = 3600.0,
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(inner, limits)
        if not keys:
            raise ConfigError("SignedMarshaller(keys): expected one key at least, {'2026': secret}")
        if sign_with not in keys:
            raise ConfigError("SignedMarshaller(sign_with): expected the id of one of the keys")
        if not 0 < max_age < math.inf:
            raise ConfigError("SignedMarshaller(max_age): expected a number of seconds above 0")
        # A started signature for each key and kind. The keys themselves are not kept: nothing can show them.
        self._started: dict[bytes, dict[FrameKind, hmac.HMAC]] = {
            _id_bytes(id): _start(key) for id, key in keys.items()
        }
        self._sign_with = sign_with.encode()
        self._max_age = max_age
        self._clock = clock

    def wrap(self, kind: FrameKind, frame: bytes, /) -> list[bytes]:
        """The frame and its seal."""
        moment = max(0, int(self._clock() * 1000))
        front = b"%c%b%c%b" % (_VERSION, moment.to_bytes(8), len(self._sign_with), self._sign_with)
        return [frame, front + self._signature(self._sign_with, kind, front, frame)]

    def unwrap(self, kind: FrameKind, chunks: list[bytes], /) -> bytes:
        """The frame, if the seal is right. Raises ``Untrusted``."""
        if len(chunks) != 2:
            raise Untrusted(f"the {kind} is not signed")
        frame, seal = chunks
        front, signature = seal[:-_MAC_SIZE], seal[-_MAC_SIZE:]
        key_id = front[_FRONT_SIZE:]
        if len(front) <= _FRONT_SIZE or front[0] != _VERSION or front[9] != len(key_id):
            raise Untrusted(f"the {kind} is not signed as this version signs")
        if key_id not in self._started:
            raise Untrusted(f"the {kind} is signed with a key that is not known here")
        if not hmac.compare_digest(signature, self._signature(key_id, kind, front, frame)):
            raise Untrusted(f"the signature of the {kind} is wrong")
        age = self._clock() - int.from_bytes(front[1:9]) / 1000
        if age > self._max_age:
            raise Untrusted(f"the {kind} was signed {age:.0f} s ago, at most {self._max_age:g} s are allowed (max_age)")
        if age < -SKEW:
            raise Untrusted(f"the {kind} was signed {-age:.0f} s in the future: the clocks differ")
        return frame

    def __repr__(self) -> str:
        ids = ", ".join(repr(id.decode()) for id in self._started)
        inner = type(self._inner).__name__
        return f"<{type(self).__name__} of {inner}, signs with {self._sign_with.decode()!r}, accepts {ids}>"

    def _signature(self, key_id: bytes, kind: FrameKind, front: bytes, frame: bytes) -> bytes:
        started = self._started[key_id][kind].copy()
        started.update(front)  # tells its own length: no byte can move from here into the frame
        started.update(frame)
        return started.digest()


def _id_bytes(id: str) -> bytes:
    try:
        encoded = id.encode()
    except UnicodeEncodeError:
        encoded = b""
    if not 1 <= len(encoded) <= _LONGEST_ID:
        raise ConfigError(f"SignedMarshaller(keys): the id of a key has 1 to {_LONGEST_ID} bytes as UTF-8")
    return encoded


def _start(key: object) -> dict[FrameKind, hmac.HMAC]:
    if not isinstance(key, bytes) or len(key) < _LEAST_KEY:
        raise ConfigError(
            f"SignedMarshaller(keys): a key is {_LEAST_KEY} bytes or more; secrets.token_bytes(32) makes a good one"
        )
    kinds: tuple[FrameKind, ...] = ("task", "report")
    return {kind: hmac.new(key, b"typeddingo signed %b\0" % kind.encode(), "sha256") for kind in kinds}
