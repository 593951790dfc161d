"""From a URL to the adapter of its server. Comes from ``App("redis://…")``; imports the adapter when asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from typeddingo.backend import Backend
from typeddingo.broker import Broker, NamedBroker
from typeddingo.errors import ConfigError

__all__ = ["open_backend", "open_broker"]

_TECHNOLOGY = {"redis": "redis", "rediss": "redis", "amqp": "amqp", "amqps": "amqp"}


def open_broker(url: str) -> Broker | NamedBroker:
    """The broker behind a URL. Raises ``ConfigError``."""
    return cast("Broker | NamedBroker", _open("brokers", url))


def open_backend(url: str) -> Backend:
    """The backend behind a URL. Raises ``ConfigError``."""
    return cast("Backend", _open("backends", url))


def _open(room: str, url: str) -> object:
    """Each adapter module has a function ``connect(url)``. The URL may hold a password: no error repeats it."""
    scheme = urlsplit(url).scheme
    if (technology := _TECHNOLOGY.get(scheme)) is None:
        raise ConfigError(
            "App(where): expected 'local', 'remote' or a URL that begins with redis://, rediss://, amqp:// or amqps://"
        )
    try:
        module = importlib.import_module(f"typeddingo.{room}.{technology}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{scheme}:// needs the {technology} adapter, which is not available here: "
            f"pip install 'typeddingo[{technology}]'"
        ) from error
    return cast("Callable[[str], object]", module.connect)(url)
