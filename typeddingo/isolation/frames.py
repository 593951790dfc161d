"""What a worker and its child process say to each other. Comes from a ``Seat``, goes to the child's loop, and back.

Each frame has a short head; what it carries is a frame of the task's own marshaller, as it would travel to a broker.
"""

from __future__ import annotations

import enum
import socket
import struct
import threading
from typing import NamedTuple

__all__ = ["Channel", "Frame", "Kind"]

_HEAD = struct.Struct(">IBII")
_CHUNK = 65536


class Kind(enum.IntEnum):
    """What a frame is about."""

    TASK = 1
    """To the child: run this. ``extra``: the attempt."""
    CANCEL = 2
    """To the child: the task of this number should end soon."""
    READY = 3
    """From the child: the program is imported, the task was found."""
    UNFIT = 4
    """From the child: it was not, and why."""
    PROGRESS = 5
    VERDICT = 6
    """From the child, before the report of a failure: it may be tried again; after so many seconds, if it says so."""
    REPORT = 7
    """From the child: the final one."""


class Frame(NamedTuple):
    """One of them."""

    kind: int
    body: bytes = b""
    number: int = 0
    """Of the task it speaks of: tasks are counted, so that what comes too late is known for what it is."""
    extra: int = 0


class Channel:
    """One end of the line. Any thread may send; one at a time receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._rest = bytearray()
        self._sending = threading.Lock()
        self._receiving = threading.Lock()

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, frame: Frame) -> None:
        """Raises ``EOFError`` when nobody is there, ``TimeoutError`` as ``limit`` says."""
        head = _HEAD.pack(len(frame.body), frame.kind, frame.number, frame.extra)
        try:
            with self._sending:
                self._sock.sendall(head + frame.body)
        except TimeoutError:
            raise
        except OSError:
            raise EOFError from None

    def receive(self) -> Frame:
        """Waits for the next one. Raises as ``send``."""
        with self._receiving:
            while (frame := self._taken()) is None:
                self._read(0)
            return frame

    def look(self) -> Frame | None:
        """The next one, if it is there; None also while another thread waits for it. Not for a channel with a limit:
        it would be waited for so long."""
        if not self._receiving.acquire(blocking=False):
            return None
        try:
            if (frame := self._taken()) is None:
                try:
                    self._read(socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return None
                frame = self._taken()
            return frame
        finally:
            self._receiving.release()

    def is_cut(self) -> bool:
        """The other side is gone, and has left nothing to read. Does not wait."""
        limit = self._sock.gettimeout()
        self._sock.settimeout(0)
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._sock.settimeout(limit)

    def limit(self, seconds: float | None) -> None:
        """From now on, sending and each wait for bytes raise ``TimeoutError`` after so long."""
        self._sock.settimeout(seconds)

    def end(self) -> None:
        """Nothing more will be sent: the other side meets the end after what it has still to read."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # gone
            return

    def close(self) -> None:
        self._sock.close()

    def _taken(self) -> Frame | None:
        rest = self._rest
        if len(rest) < _HEAD.size:
            return None
        size, kind, number, extra = _HEAD.unpack_from(rest)
        if len(rest) < (end := _HEAD.size + size):
            return None
        body = bytes(rest[_HEAD.size : end])
        del rest[:end]
        return Frame(kind, body, number, extra)

    def _read(self, flags: int) -> None:
        try:
            data = self._sock.recv(_CHUNK, flags)
        except (TimeoutError, BlockingIOError):
            raise
        except OSError:  # reset, or closed by another thread
            raise EOFError from None
        if not data:
            raise EOFError
        self._rest += data
