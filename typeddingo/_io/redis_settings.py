"""What a Redis URL says. Comes from the user, goes to the links, brokers and backends of Redis."""

from __future__ import annotations

from dataclasses import dataclass

from typeddingo._io.address import Address
from typeddingo.errors import ConfigError

__all__ = ["RedisSettings"]

PORTS = {"redis": 6379, "rediss": 6379, "unix": 0}
SETTINGS = frozenset(
    {
        *("layout", "lease", "max_deliveries", "max_length", "namespace"),
        *("result_ttl", "send_timeout", "connect_timeout", "check", "db"),
    }
)
"""Broker and backend may share one URL, so each knows the settings of both."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """All of them; times in seconds."""

    address: Address
    db: int
    dingo: bool
    """Speak the layout of Go dingo."""
    lease: float
    """How long a task stays with a worker that shows no sign of life."""
    max_deliveries: int
    """How often a task may be started before it is dead-lettered."""
    max_length: int | None
    """Tasks that a queue may hold, those that run included."""
    namespace: str
    """What every key begins with."""
    result_ttl: float
    send_timeout: float
    connect_timeout: float
    check: bool
    """Look at the server's configuration before it is used."""

    @classmethod
    def parse(cls, url: str, *, max_length: int | None = None) -> RedisSettings:
        """Raises ``ConfigError``; no text of it holds a credential."""
        address = Address.parse(url, ports=PORTS, known=SETTINGS, secrets="TYPEDDINGO_REDIS")
        settings = address.settings
        namespace = settings.text("namespace", "tdg")
        if not namespace:
            raise ConfigError("namespace= in the URL: expected the text that every key begins with")
        return cls(
            address=address,
            db=_database(address),
            dingo=settings.choice("layout", "native", "native", "dingo") == "dingo",
            lease=settings.seconds("lease", 60.0),
            max_deliveries=settings.count("max_deliveries", 5) or 5,
            max_length=settings.count("max_length", max_length),
            namespace=namespace,
            result_ttl=settings.seconds("result_ttl", 3600.0),
            send_timeout=settings.seconds("send_timeout", 10.0),
            connect_timeout=settings.seconds("connect_timeout", 5.0),
            check=settings.choice("check", "yes", "yes", "no") == "yes",
        )


def _database(address: Address) -> int:
    """The number in the path; for a socket, whose path is its file, the setting ``db``."""
    in_path = "" if address.port == 0 else address.path.strip("/")
    in_setting = address.settings.text("db", "")
    if in_path and in_setting:
        raise ConfigError(f"{address}: the database is given twice, in the path and as db=")
    text = in_path or in_setting or "0"
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{address}: expected the number of a database after the host, for example /0")
    return int(text)
