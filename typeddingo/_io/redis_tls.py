"""An encrypted connection to Redis by the rules that every technology here shares. Used by the links of Redis."""

from __future__ import annotations

import ssl
from typing import Any

import redis

from typeddingo._io.address import TLS

__all__ = ["TLSConnection"]


class TLSConnection(redis.SSLConnection):
    """redis-py's own holds the certificate against the host alone; behind a tunnel the server has another name."""

    def __init__(self, *, tls: TLS, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]  # redis-py leaves its types open
        self._server_name = tls.server_name
        self._tls_context = tls.context()

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:  # redis-py has no public place for a context
        return self._tls_context.wrap_socket(sock, server_hostname=self._server_name or self.host)
