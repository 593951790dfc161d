"""What stands between pika and the network: sends what is written together, and has a short way for common frames.

A delivery and a confirmation go straight to whoever waits for them; pika makes some ten objects of each, and that was
a quarter of a worker's time. Everything else goes to pika, in order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport

from typeddingo._io.amqp_frames import ACK, DELIVER, FRAME, HEARTBEAT, METHOD, Delivered, confirmed_in, content_at
from typeddingo._io.amqp_socket import PlainSocket

__all__ = ["Lane", "Stream"]

ALIVE_SECONDS = 1.0
"""So often pika hears that the server lives, when all that comes takes the short way."""
_KINDS = frozenset((1, 2, 3, 8))


class Lane(Protocol):
    """Whom the common frames of one channel go to. Both methods run on the link's thread."""

    def delivered(self, message: Delivered) -> None:
        """A message for one of its consumers."""

    def confirmed(self, tag: int, multiple: bool) -> None:
        """What it has published is stored."""


class Stream(AbstractStreamTransport, AbstractStreamProtocol):
    """One connection: to pika it is the transport, to the transport below it is pika. Lives on the link's thread."""

    def __init__(self, upper: AbstractStreamProtocol) -> None:
        self._upper = upper
        self.for_any_thread = False
        """Any thread may ``write``. Not over TLS: pika's transport does not allow it."""
        self._lower: AbstractStreamTransport | None = None
        self._lanes: dict[int, Lane] = {}
        self._lock = threading.Lock()
        self._out: list[bytes] = []
        self._holders = 0
        self._due: dict[Callable[[], object], None] = {}
        self._rest = b""
        self._fed_at = time.monotonic()

    def join(self, channel: int, lane: Lane) -> None:
        """From now on its common frames go there."""
        self._lanes[channel] = lane

    def part(self, channel: int, lane: Lane) -> None:
        if self._lanes.get(channel) is lane:
            del self._lanes[channel]

    def when_read(self, work: Callable[[], object]) -> None:
        """Run ``work`` once when all that has been read together is handed on. For a lane, while it gets something."""
        self._due[work] = None

    # For pika, and for whoever writes frames of his own.

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._holders:
                self._out.append(data)
            elif self._lower is not None:
                self._lower.write(data)

    def hold(self) -> None:
        """What is written from now on leaves together, with ``release``: each send costs a system call, and wakes the
        server. On the link's thread."""
        self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._out and not self._holders:
                data = b"".join(self._out)
                self._out.clear()
                if self._lower is not None:
                    self._lower.write(data)

    def abort(self) -> None:
        if self._lower is not None:
            self._lower.abort()

    def get_protocol(self) -> AbstractStreamProtocol:
        return self._upper

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._out)) + (self._lower.get_write_buffer_size() if self._lower is not None else 0)

    # For the transport below.

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        self._lower = transport
        self.for_any_thread = isinstance(transport, PlainSocket)
        self._upper.connection_made(self)

    def connection_lost(self, error: BaseException | None) -> None:
        self._lower = None
        self._lanes.clear()
        self._upper.connection_lost(error)

    def eof_received(self) -> bool | None:
        return self._upper.eof_received()

    def data_received(self, data: bytes) -> None:
        """Everything that is complete is handed on, in order."""
        self.hold()
        try:
            if self._rest:
                data = self._rest + data
            self._rest = b""
            self._rest = self._hand_on(data)
            due, self._due = self._due, {}
            for work in due:
                work()
        finally:
            self.release()

    def _hand_on(self, data: bytes) -> bytes:
        """Returns what is not complete."""
        start = at = 0  # everything before start is handed on, everything before at is known to be pika's
        lanes, end = self._lanes, len(data)
        while end - at >= 8:
            kind, channel, size = FRAME.unpack_from(data, at)
            if kind not in _KINDS:  # no frame: pika knows what to say to that
                at = end
                break
            after = at + size + 8
            if after > end:
                break
            if kind == METHOD and (lane := lanes.get(channel)) is not None:
                method = data[at + 7 : at + 11]
                if method == DELIVER:
                    content = content_at(data, at, after, channel)
                    if content is None:  # not all of it is here
                        break
                    message, after_message = content
                    if message is not None:
                        self._feed(data, start, at)
                        lane.delivered(message)
                        start = at = after_message
                        continue
                elif method == ACK:
                    self._feed(data, start, at)
                    lane.confirmed(*confirmed_in(data, at))
                    start = at = after
                    continue
            at = after
        self._feed(data, start, at)
        if at and time.monotonic() - self._fed_at > ALIVE_SECONDS and lanes:
            self._feed(HEARTBEAT, 0, len(HEARTBEAT))
        return data[at:]

    def _feed(self, data: bytes, start: int, end: int) -> None:
        if start < end:
            self._fed_at = time.monotonic()
            self._upper.data_received(data[start:end])
