"""From a URL to an adapter, and what is said when it is not there."""

from __future__ import annotations

import importlib

import pytest

from typeddingo import Config, ConfigError
from typeddingo.bridges.urls import open_backend, open_broker


def without(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What imports the module fails as if it were not installed."""

    def missing(_: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(importlib, "import_module", missing)


@pytest.mark.parametrize(("url", "library", "extra"), [("redis://x", "redis", "redis"), ("amqp://x", "pika", "amqp")])
def test_a_client_library_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, url: str, library: str, extra: str
) -> None:
    without(library, monkeypatch)
    with pytest.raises(ConfigError, match=rf"pip install 'typeddingo\[{extra}\]'"):
        open_broker(url, Config())
    with pytest.raises(ConfigError, match=rf"pip install 'typeddingo\[{extra}\]'"):
        open_backend(url, Config())


def test_another_module_that_is_missing_is_not_taken_for_the_client_library(monkeypatch: pytest.MonkeyPatch) -> None:
    without("hashlib", monkeypatch)
    with pytest.raises(ModuleNotFoundError, match="hashlib"):
        open_broker("redis://x", Config())


def test_a_url_of_no_technology_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError, match="redis://") as caught:
        open_broker("kafka://me:secret@host", Config())
    assert "secret" not in str(caught.value)
