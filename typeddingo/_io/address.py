"""Where a server is and how to speak to it, read from a URL. Comes from the user, goes to the links of the adapters.

The URL may hold a password: no repr, text or error made here does.
"""

from __future__ import annotations

import math
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from typeddingo.errors import ConfigError

__all__ = ["Address", "Settings", "TLS"]

TLS_SETTINGS = frozenset({"ca", "cert", "key", "verify", "server_name"})
_told: set[str] = set()
_lock = threading.Lock()
ENCRYPTED = ("rediss", "amqps")
_ENOUGH_DIGITS = 18


@dataclass(frozen=True, slots=True)
class TLS:
    """How an encrypted connection proves who is at its ends."""

    ca: str | None = None
    """A file with the certificates to trust; None: the system's."""
    cert: str | None = None
    """A file with our own certificate, and its key if ``key`` is None."""
    key: str | None = None
    verify: bool = True
    """False accepts any server: for tests only."""
    server_name: str | None = None
    """The name on the server's certificate; None: the host of the URL."""

    def context(self) -> ssl.SSLContext:
        """Raises ``ConfigError`` for files that cannot be used."""
        if self.key is not None and self.cert is None:
            raise ConfigError("TLS: key= in the URL is of no use without cert=, the certificate that it belongs to")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"TLS: ca, cert or key in the URL cannot be used: {type(error).__name__}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Settings:
    """The part of a URL after ``?``: each adapter takes its settings out of it. A wrong one is a ``ConfigError``."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    @property
    def names(self) -> frozenset[str]:
        """Which settings there are."""
        return frozenset(self._values)

    def text(self, name: str, default: str) -> str:
        return self._values.get(name, default)

    def choice(self, name: str, default: str, *choices: str) -> str:
        if (value := self.text(name, default)) not in choices:
            raise ConfigError(f"{name}= in the URL: expected {' or '.join(choices)}")
        return value

    def seconds(self, name: str, default: float) -> float:
        """Above zero."""
        try:
            value = float(self._values.get(name, default))
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise ConfigError(f"{name}= in the URL: expected a number of seconds above 0")
        return value

    def count(self, name: str, default: int | None, *, least: int = 1) -> int | None:
        if name not in self._values:
            return default
        value = self._values[name]
        if not (value.isascii() and value.isdigit() and len(value) <= _ENOUGH_DIGITS) or int(value) < least:
            raise ConfigError(f"{name}= in the URL: expected a whole number of at least {least}")
        return int(value)

    def only(self, known: frozenset[str]) -> None:
        """Refuse a setting that nobody knows: a misspelt one would silently do nothing."""
        if unknown := sorted(self._values.keys() - known):
            raise ConfigError(f"unknown setting in the URL: {', '.join(unknown)}; known are {', '.join(sorted(known))}")

    def tls(self) -> TLS:
        texts = {name: self._values.get(name) for name in ("ca", "cert", "key", "server_name")}
        return TLS(**texts, verify=self.choice("verify", "full", "full", "none") == "full")


@dataclass(frozen=True, slots=True)
class Address:
    """One server. ``str()`` of it is safe to show: credentials and settings are left out."""

    scheme: str
    host: str
    port: int
    path: str
    """What follows the host, unquoted: a database, a virtual host or the path of a socket."""
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    tls: TLS | None
    """None: the connection is not encrypted."""
    settings: Settings = field(repr=False, compare=False)

    @classmethod
    def parse(cls, url: str, *, ports: Mapping[str, int], known: frozenset[str], secrets: str) -> Address:
        """``ports``: the default port of each scheme (0: a socket's path); ``known``: the settings this technology has;
        ``secrets``: credentials that the URL leaves out are read from the environment, as ``<secrets>_USERNAME`` and
        ``<secrets>_PASSWORD``. Raises ``ConfigError``."""
        if (parts := _split(url)) is None:
            raise ConfigError(f"{_shown(url)}: this is not a URL; expected {_expected(ports)}")
        if parts.scheme not in ports:
            raise ConfigError(f"{_shown(url)}: expected a URL that begins with {_expected(ports)}")
        if parts.fragment or "@" in parts.path + parts.query:
            # Most likely a part of the password: neither repeated nor taken for a path.
            raise ConfigError(f"{_shown(url)}: write # as %23, / as %2F, ? as %3F and @ as %40, in a password too")
        encrypted = parts.scheme in ENCRYPTED
        settings = Settings(_query(parts))
        if not encrypted and (astray := TLS_SETTINGS & settings.names):
            raise ConfigError(f"{', '.join(sorted(astray))} in the URL: {parts.scheme}:// is not encrypted")
        settings.only(known | TLS_SETTINGS)
        default = ports[parts.scheme]
        if default == 0 and (parts.hostname or parts.port or not parts.path.strip("/")):
            raise ConfigError(f"{_shown(url)}: expected the path of a socket, {parts.scheme}:///run/server.sock")
        if parts.port == 0:
            raise ConfigError(f"{_shown(url)}: no server has the port 0")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "localhost",
            port=default if parts.port is None else parts.port,
            path=unquote(parts.path),
            username=_credential(parts.username, f"{secrets}_USERNAME"),
            password=_credential(parts.password, f"{secrets}_PASSWORD"),
            tls=settings.tls() if encrypted else None,
            settings=settings,
        )

    @property
    def is_loopback(self) -> bool:
        """Nothing leaves this machine."""
        return self.port == 0 or self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def dangers(self) -> list[str]:
        """What whoever runs this should know, and may have wanted."""
        found: list[str] = []
        if self.tls is None and not self.is_loopback:
            found.append(f"everything travels unencrypted to another machine, passwords too; use {self.scheme}s://")
        if self.tls is not None and not self.tls.verify:
            found.append("the server's certificate is not verified (verify=none): anybody may answer in its place")
        if self.password is None and not self.is_loopback:
            found.append("no password is given: whoever reaches the server can run tasks and read results")
        return [f"{self}: {text}" for text in found]

    def tell_dangers(self, tell: Callable[[str], object]) -> None:
        """Call ``tell`` with what no adapter of this process has told yet: a broker and a backend have many links."""
        for text in self.dangers:
            with _lock:
                new = text not in _told
                _told.add(text)
            if new:
                tell(text)

    def distrusted(self, error: BaseException) -> ConfigError | None:
        """What to say of a connection that failed because of the server's certificate; None: it was something else."""
        if (found := _certificate_error(error)) is None:
            return None
        return ConfigError(
            f"{self}: the server's certificate is refused ({found.verify_message.rstrip('.')}): "
            "name the authority that signed it with ca=, and the server's name on it with server_name="
        )

    def __str__(self) -> str:
        if self.port == 0:
            return f"{self.scheme}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Libraries wrap it: as cause, as context, as one of several, as an argument."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        each = todo.pop()
        if isinstance(each, ssl.SSLCertVerificationError):
            return each
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            several = getattr(each, "exceptions", ())
            todo += (each.__cause__, each.__context__, *each.args, *several, getattr(each, "exception", None))
    return None


def _split(url: str) -> SplitResult | None:
    """None: not a URL. Python's own error would show a part of it, perhaps the password, even as a mere context."""
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port >= 0 else None
    except ValueError:
        return None


def _credential(in_url: str | None, variable: str) -> str | None:
    return unquote(in_url) if in_url else os.environ.get(variable) or None


def _query(parts: SplitResult) -> dict[str, str]:
    fields = parts.query.split("&") if parts.query else []
    if not all("=" in field for field in fields):
        raise ConfigError("the URL's settings: expected name=value pairs joined by & after the ?")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ConfigError("the URL's settings: one is given twice")
    return values


def _shown(url: str) -> str:
    """No more of a URL that cannot be read than is certainly no secret."""
    scheme, found, _ = url.partition("://")
    return f"{scheme}://…" if found and scheme.isalnum() else "the URL"


def _expected(ports: Mapping[str, int]) -> str:
    return " or ".join(f"{scheme}://" for scheme in ports)
