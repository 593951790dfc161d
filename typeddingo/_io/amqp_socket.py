"""A plain TCP connection for pika: reads much at a time, and sends at once. Comes from ``amqp_services``.

pika's own reads 4 KB at a time, and what it sends waits for another round of the loop.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractIOReference, AbstractStreamProtocol, AbstractStreamTransport

__all__ = ["Linking", "PlainSocket"]

READ_BYTES = 64 * 1024
_AGAIN = (BlockingIOError, InterruptedError)


class Linking(AbstractIOReference):
    """What is done in the next round of the loop, unless it is cancelled before."""

    def __init__(self, loop: IOLoop, sock: socket.socket, work: Callable[[], object]) -> None:
        self._sock = sock
        self._work: Callable[[], object] | None = work
        loop.add_callback_threadsafe(self._run)

    def cancel(self) -> bool:
        pending, self._work = self._work is not None, None
        if pending:
            self._sock.close()
        return pending

    def _run(self) -> None:
        if (work := self._work) is not None:
            self._work = None
            work()


class PlainSocket(AbstractStreamTransport):
    """``write`` from any thread, everything else on the loop's."""

    def __init__(self, loop: IOLoop, sock: socket.socket, protocol: AbstractStreamProtocol) -> None:
        self._loop = loop
        self._sock = sock
        self._protocol = protocol
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._active = True
        self._loop.add_handler(sock.fileno(), self._on_event, IOLoop.READ)

    def get_protocol(self) -> AbstractStreamProtocol:
        return self._protocol

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        """Give it to the system; what that does not take is sent later. Ignored once the connection has ended."""
        with self._lock:
            if not self._active:
                return
            if self._unsent:
                self._unsent += data
                return
            try:
                sent = self._sock.send(data)
            except _AGAIN:
                sent = 0
            except OSError as error:
                self._loop.add_callback_threadsafe(partial(self._end, error))
                return
            if sent == len(data):
                return
            self._unsent += memoryview(data)[sent:]
        self._loop.add_callback_threadsafe(self._watch)

    def abort(self) -> None:
        self._end(None)

    def _on_event(self, _: int, events: int) -> None:
        if events & IOLoop.WRITE:
            self._send_rest()
        if events & ~IOLoop.WRITE and self._active:  # to be read, or an error, which reading tells
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except _AGAIN:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self._end(None)

    def _send_rest(self) -> None:
        try:
            with self._lock:
                if not self._active:
                    return
                if self._unsent:
                    del self._unsent[: self._sock.send(self._unsent)]
                self._watch()
        except _AGAIN:
            return
        except OSError as error:
            self._end(error)

    def _watch(self) -> None:
        """Hear of room to send while there is something to send."""
        if self._active:
            wanted = IOLoop.READ | IOLoop.WRITE if self._unsent else IOLoop.READ
            self._loop.update_handler(self._sock.fileno(), wanted)

    def _end(self, error: BaseException | None) -> None:
        """The protocol hears of it in the next round."""
        with self._lock:
            if not self._active:
                return
            self._active = False
            self._unsent.clear()
        self._loop.remove_handler(self._sock.fileno())
        self._loop.add_callback_threadsafe(partial(self._tell_lost, error))

    def _tell_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()
