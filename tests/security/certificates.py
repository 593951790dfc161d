"""A certificate authority made for one test session, and certificates of servers signed by it. Needs ``openssl``."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.servers.process import find

__all__ = ["Certificate", "authority"]


class Certificate(NamedTuple):
    """Files in PEM format."""

    certificate: Path
    key: Path


def authority(directory: Path, name: str) -> tuple[Path, Certificate]:
    """The certificate to trust, and one of a server called ``server.test`` at 127.0.0.1. Raises ``Missing``."""
    openssl = find("openssl")
    ca, ca_key = directory / f"{name}-ca.pem", directory / f"{name}-ca.key"
    key, request, certificate = (directory / f"{name}-server.{end}" for end in ("key", "csr", "pem"))
    extensions = directory / f"{name}.ext"
    extensions.write_text("subjectAltName = DNS:server.test, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    usage = ("-addext", "keyUsage = critical, keyCertSign, cRLSign")
    _run(openssl, "req", "-x509", *new_key, *usage, "-days", "2", "-subj", f"/CN={name}", "-keyout", ca_key, "-out", ca)
    _run(openssl, "req", *new_key, "-subj", "/CN=server.test", "-keyout", key, "-out", request)
    signing = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions)
    _run(openssl, "x509", "-req", "-in", request, *signing, "-out", certificate)
    key.chmod(0o644)  # it protects nothing, and RabbitMQ may be another user
    return ca, Certificate(certificate, key)


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
