"""What pika's connections need of a loop, and in each of them a ``Stream``. Used by a link.

A plain connection gets a socket of ours below it, one over TLS keeps pika's transport.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractIOReference, AbstractStreamProtocol, AbstractStreamTransport
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

from typeddingo._io.amqp_socket import Linking, PlainSocket
from typeddingo._io.amqp_stream import Stream

__all__ = ["Services"]

Linked: TypeAlias = "BaseException | tuple[AbstractStreamTransport, AbstractStreamProtocol]"


class Services(SelectorIOServicesAdapter):
    """Makes one connection at a time."""

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)
        self.stream: Stream | None = None
        """Of the newest connection."""
        self._native = loop

    def create_streaming_connection(
        self,
        protocol_factory: Callable[[], AbstractStreamProtocol],
        sock: socket.socket,
        on_done: Callable[[Linked], None],
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> AbstractIOReference:
        """See pika's ``AbstractIOServices``."""

        def new_stream() -> Stream:
            self.stream = Stream(protocol_factory())
            return self.stream

        def done(linked: Linked) -> None:
            stream = self.stream
            assert stream is not None or isinstance(linked, BaseException)
            on_done(linked if isinstance(linked, BaseException) or stream is None else (stream, stream.get_protocol()))

        if ssl_context is not None:
            return super().create_streaming_connection(new_stream, sock, done, ssl_context, server_hostname)
        return Linking(self._native, sock, partial(self._link_up, new_stream, sock, done))

    def _link_up(self, new_stream: Callable[[], Stream], sock: socket.socket, done: Callable[[Linked], None]) -> None:
        try:
            stream = new_stream()
            lower = PlainSocket(self._native, sock, stream)
            stream.connection_made(lower)
        except Exception as error:
            sock.close()
            done(error)
        else:
            done((lower, stream))
