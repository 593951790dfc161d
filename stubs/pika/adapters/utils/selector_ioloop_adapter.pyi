import socket
import ssl
from collections.abc import Callable

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractIOReference, AbstractStreamProtocol, AbstractStreamTransport

class SelectorIOServicesAdapter:
    def __init__(self, native_loop: IOLoop) -> None: ...
    def create_streaming_connection(
        self,
        protocol_factory: Callable[[], AbstractStreamProtocol],
        sock: socket.socket,
        on_done: Callable[[BaseException | tuple[AbstractStreamTransport, AbstractStreamProtocol]], None],
        ssl_context: ssl.SSLContext | None = ...,
        server_hostname: str | None = ...,
    ) -> AbstractIOReference: ...
