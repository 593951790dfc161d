"""Servers that speak TLS, with certificates of an authority that nobody else knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.security.certificates import Certificate, authority
from tests.servers import RabbitServer, RedisServer
from tests.servers.fixtures import started
from tests.servers.ports import free_port


class Encrypted(NamedTuple):
    """A server behind TLS."""

    scheme: str
    port: int
    ca: Path
    """The certificate to trust."""
    other_ca: Path
    """One that has not signed the server's."""
    rest: str = ""
    """What stands in the URL between host and settings."""

    def url(self, settings: str = "", host: str = "127.0.0.1") -> str:
        """Credentials as every RabbitMQ has them; Redis needs none."""
        user = "guest:guest@" if self.scheme == "amqps" else ""
        return f"{self.scheme}://{user}{host}:{self.port}{self.rest}?{settings}".rstrip("?")


class Authority(NamedTuple):
    ca: Path
    other_ca: Path
    server: Certificate


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    directory = tmp_path_factory.mktemp("certificates")
    ca, server = started(lambda: authority(directory, "trusted"))
    other_ca, _ = authority(directory, "other")
    return Authority(ca, other_ca, server)


@pytest.fixture(scope="session")
def encrypted_redis(certificates: Authority) -> Iterator[Encrypted]:
    server, port = certificates.server, free_port()
    files = ("--tls-cert-file", server.certificate, "--tls-key-file", server.key, "--tls-ca-cert-file", certificates.ca)
    options = [*map(str, files), "--tls-auth-clients", "no", "--tls-port", str(port)]
    with started(lambda: RedisServer(*options)):
        yield Encrypted("rediss", port, certificates.ca, certificates.other_ca)


@pytest.fixture(scope="session")
def encrypted_rabbit(certificates: Authority) -> Iterator[Encrypted]:
    server, port = certificates.server, free_port()
    lines = (
        f"listeners.ssl.default = 127.0.0.1:{port}",
        f"ssl_options.cacertfile = {certificates.ca}",
        f"ssl_options.certfile = {server.certificate}",
        f"ssl_options.keyfile = {server.key}",
        "ssl_options.verify = verify_none",
        "ssl_options.fail_if_no_peer_cert = false",
    )
    with started(lambda: RabbitServer("\n".join(lines) + "\n")):
        yield Encrypted("amqps", port, certificates.ca, certificates.other_ca)
