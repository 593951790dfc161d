"""Every way a task can travel: what happens to it between its call and its end is the same on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.amqp.by_hand import await_urgent
from tests.leftovers import running
from typeddingo import App, Config
from typeddingo.backends.local import LocalBackend
from typeddingo.broker import Broker, Feature, NamedBroker
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.testing import eventually


def by_reference(request: pytest.FixtureRequest) -> App:
    return App("local")


def through_codec(request: pytest.FixtureRequest) -> App:
    return App("local", config=Config(marshal_locally=True))


def mapped(request: pytest.FixtureRequest) -> App:
    app = App("remote")
    app.use(LocalBroker())
    app.use(LocalBackend())
    return app


def named(request: pytest.FixtureRequest) -> App:
    app = App("remote")
    app.use(LocalNamedBroker())
    app.use(LocalBackend())
    return app


def redis(request: pytest.FixtureRequest) -> App:
    url: str = request.getfixturevalue("redis_url")
    return App(f"{url}?lease=2")


def amqp(request: pytest.FixtureRequest) -> App:
    url: str = request.getfixturevalue("amqp_url")
    return App(url)


WAYS: list[Callable[[pytest.FixtureRequest], App]] = [by_reference, through_codec, mapped, named, redis, amqp]


def wait_for_urgent(app: App, count: int) -> None:
    """What was sent is stored, but need not be with its workers yet where a server is in between: wait until so many
    urgent tasks are."""

    for broker in app._bridge.attached():  # pyright: ignore[reportPrivateUsage]  # nobody else can see it
        if isinstance(broker, AmqpBroker):
            await_urgent(broker, count)


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    """An open app; closed after the test, and then no thread of it is left."""
    make: Callable[[pytest.FixtureRequest], App] = request.param
    with make(request) as app:
        for adapter in app._bridge.attached():  # pyright: ignore[reportPrivateUsage]  # until every broker can
            if isinstance(adapter, (Broker, NamedBroker)) and Feature.LATER not in adapter.features:
                pytest.skip(f"{type(adapter).__name__} cannot yet")
        yield app
    eventually(lambda: running() == [], f"no thread is left: {running()}")
