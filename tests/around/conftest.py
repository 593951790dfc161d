"""Every way a task can travel: what is put around it is the same on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from tests.leftovers import running
from typeddingo import App, Config, LocalBackend, LocalBroker
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.testing import eventually


class MakeApp(Protocol):
    """An app of one way, with more settings."""

    def __call__(self, **settings: Any) -> App: ...


def by_reference(request: pytest.FixtureRequest) -> MakeApp:
    return lambda **settings: App("local", **settings)


def through_codec(request: pytest.FixtureRequest) -> MakeApp:
    return lambda **settings: App("local", config=Config(marshal_locally=True), **settings)


def mapped(request: pytest.FixtureRequest) -> MakeApp:
    return _remote(LocalBroker)


def named(request: pytest.FixtureRequest) -> MakeApp:
    return _remote(LocalNamedBroker)


def redis(request: pytest.FixtureRequest) -> MakeApp:
    url: str = request.getfixturevalue("redis_url")
    return lambda **settings: App(url, **settings)


def amqp(request: pytest.FixtureRequest) -> MakeApp:
    url: str = request.getfixturevalue("amqp_url")
    return lambda **settings: App(url, **settings)


def _remote(broker: Callable[[], object]) -> MakeApp:
    def make(**settings: Any) -> App:
        app = App("remote", **settings)
        app.use(broker())
        app.use(LocalBackend())
        return app

    return make


HERE = [by_reference, through_codec, mapped, named]
ON_SERVERS = [pytest.param(way, marks=pytest.mark.servers) for way in (redis, amqp)]


@pytest.fixture(params=[*HERE, *ON_SERVERS], ids=lambda way: way.__name__)
def make_app(request: pytest.FixtureRequest) -> Iterator[MakeApp]:
    """When it is over, no thread is left of the apps that were made."""
    yield request.param(request)
    eventually(lambda: running() == [], f"no thread is left: {running()}")


@pytest.fixture
def app(make_app: MakeApp) -> Iterator[App]:
    """An open app; closed after the test."""
    with make_app() as app:
        yield app
