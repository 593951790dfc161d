# What typeddingo and its tests call of pika, which ships without types; no more.
import ssl

from pika.adapters.blocking_connection import BlockingConnection as BlockingConnection
from pika.adapters.select_connection import SelectConnection as SelectConnection
from pika.spec import BasicProperties as BasicProperties

class PlainCredentials:
    def __init__(self, username: str, password: str) -> None: ...

class SSLOptions:
    def __init__(self, context: ssl.SSLContext, server_hostname: str | None = ...) -> None: ...

class Parameters: ...

class ConnectionParameters(Parameters):
    frame_max: int
    def __init__(
        self,
        *,
        host: str = ...,
        port: int = ...,
        virtual_host: str = ...,
        credentials: PlainCredentials = ...,
        heartbeat: int = ...,
        ssl_options: SSLOptions | None = ...,
        connection_attempts: int = ...,
        socket_timeout: float = ...,
        stack_timeout: float = ...,
        blocked_connection_timeout: float = ...,
        client_properties: dict[str, object] = ...,
    ) -> None: ...

class URLParameters(Parameters):
    def __init__(self, url: str) -> None: ...
