"""From a URL to the adapter of its server. Comes from ``App("redis://…")``; imports the adapter when asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from typeddingo.backend import Backend
from typeddingo.broker import Broker, NamedBroker
from typeddingo.config import Config
from typeddingo.errors import ConfigError

__all__ = ["open_backend", "open_broker"]

_TECHNOLOGY = {"redis": "redis", "rediss": "redis", "unix": "redis", "amqp": "amqp", "amqps": "amqp"}
_LIBRARY = {"redis": "redis", "amqp": "pika"}


def open_broker(url: str, config: Config) -> Broker | NamedBroker:
    """The broker behind a URL. Raises ``ConfigError``."""
    return cast("Broker | NamedBroker", _open("brokers", url, config))


def open_backend(url: str, config: Config) -> Backend:
    """The backend behind a URL. Raises ``ConfigError``."""
    return cast("Backend", _open("backends", url, config))


def _open(room: str, url: str, config: Config) -> object:
    """Each adapter module has a function ``connect(url, config)``. The URL may hold a password: no error repeats it."""
    scheme = url.partition("://")[0].lower()
    if (technology := _TECHNOLOGY.get(scheme)) is None:
        raise ConfigError(
            "App(where): expected 'local', 'remote' or a URL that begins with redis://, rediss://, unix://, "
            "amqp:// or amqps://"
        )
    try:
        module = importlib.import_module(f"typeddingo.{room}.{technology}")
    except ModuleNotFoundError as error:
        if error.name not in (_LIBRARY[technology], f"typeddingo.{room}.{technology}"):
            raise
        raise ConfigError(
            f"{scheme}:// needs the {technology} adapter, which is not available here: "
            f"pip install 'typeddingo[{technology}]'"
        ) from error
    return cast("Callable[[str, Config], object]", module.connect)(url, config)
