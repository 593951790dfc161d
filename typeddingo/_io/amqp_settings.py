"""How we speak to one RabbitMQ. Comes from a URL, goes to the links and the queues of broker and backend."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import Literal

import pika

from typeddingo._io.address import Address
from typeddingo.errors import ConfigError

__all__ = ["AmqpSettings"]

PORTS = {"amqp": 5672, "amqps": 5671}
KNOWN = frozenset(
    {
        *("layout", "queue_type", "heartbeat", "max_deliveries", "max_length", "prefetch", "namespace"),
        *("result_ttl", "send_timeout", "connect_timeout", "ack_timeout"),
    }
)
"""Of the broker and of the backend: both may be given the same URL."""
BLOCKED_SECONDS = 300.0
"""A connection that the server has blocked for so long is opened anew: the alarm may have been forgotten."""
_ENOUGH_NAMESPACE = 32


@dataclass(frozen=True, slots=True)
class AmqpSettings:
    """Read from a URL; immutable. Its repr shows no secret."""

    address: Address
    layout: Literal["native", "dingo"] = "native"
    queue_type: Literal["quorum", "classic"] = "quorum"
    heartbeat: int = 10
    """Seconds; a dead connection is noticed after about two of them."""
    max_deliveries: int = 5
    """Workers that a task may take with it before it is put aside."""
    max_length: int | None = None
    """Tasks that may wait in one queue."""
    prefetch: int | None = None
    """Tasks that one listener may hold, at most."""
    namespace: str = "tdg"
    result_ttl: float = 3600.0
    send_timeout: float = 10.0
    connect_timeout: float = 5.0
    ack_timeout: float | None = None
    """Seconds that a task may run before the server takes it back; None: what the server is configured for."""
    client: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", repr=False)

    @classmethod
    def parse(cls, url: str, *, max_length: int | None = None) -> AmqpSettings:
        """``max_length``: where the URL has none. Raises ``ConfigError``, which never repeats the URL."""
        address = Address.parse(url, ports=PORTS, known=KNOWN, secrets="TYPEDDINGO_AMQP")
        given = address.settings
        namespace = given.text("namespace", "tdg")
        if not namespace or len(namespace.encode()) > _ENOUGH_NAMESPACE:
            raise ConfigError(f"namespace= in the URL: expected 1 to {_ENOUGH_NAMESPACE} bytes")
        return cls(
            address=address,
            layout="dingo" if given.choice("layout", "native", "native", "dingo") == "dingo" else "native",
            queue_type="classic"
            if given.choice("queue_type", "quorum", "quorum", "classic") == "classic"
            else "quorum",
            heartbeat=max(1, round(given.seconds("heartbeat", 10.0))),
            max_deliveries=given.count("max_deliveries", 5) or 5,
            max_length=given.count("max_length", max_length),
            prefetch=given.count("prefetch", None),
            namespace=namespace,
            result_ttl=given.seconds("result_ttl", 3600.0),
            send_timeout=given.seconds("send_timeout", 10.0),
            connect_timeout=given.seconds("connect_timeout", 5.0),
            ack_timeout=given.seconds("ack_timeout", 1800.0) if given.text("ack_timeout", "") else None,
        )

    @property
    def virtual_host(self) -> str:
        """``amqp://host`` and ``amqp://host/`` are the default one, ``amqp://host/name`` and ``…/%2F`` are named."""
        return self.address.path.removeprefix("/") or "/"

    def parameters(self, side: str) -> pika.ConnectionParameters:
        """What pika needs to connect; ``side`` is what an operator sees as the name of the connection.
        Raises ``ConfigError`` for TLS files that cannot be used."""
        address = self.address
        tls = address.tls
        return pika.ConnectionParameters(
            host=address.host,
            port=address.port,
            virtual_host=self.virtual_host,
            credentials=pika.PlainCredentials(address.username or "guest", address.password or "guest"),
            heartbeat=self.heartbeat,
            ssl_options=None if tls is None else pika.SSLOptions(tls.context(), tls.server_name or address.host),
            connection_attempts=1,
            socket_timeout=self.connect_timeout,
            stack_timeout=self.connect_timeout * 1.5,
            blocked_connection_timeout=BLOCKED_SECONDS,
            client_properties={"connection_name": f"typeddingo-{self.client}-{side}", "product": "typeddingo"},
        )
