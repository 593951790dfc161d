"""Every way a task can travel without a server: what is promised to users is tested on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.leftovers import running
from typeddingo import App, Config
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalBroker, LocalNamedBroker
from typeddingo.testing import eventually

MakeApp = Callable[[], App]


def by_reference() -> App:
    return App("local")


def through_codec() -> App:
    return App("local", config=Config(marshal_locally=True))


def mapped() -> App:
    app = App("remote")
    app.use(LocalBroker())
    app.use(LocalBackend())
    return app


def named() -> App:
    app = App("remote")
    app.use(LocalNamedBroker())
    app.use(LocalBackend())
    return app


@pytest.fixture(params=[by_reference, through_codec, mapped, named], ids=lambda way: way.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    """An open app; closed after the test, and then no thread of it is left."""
    make: MakeApp = request.param
    with make() as app:
        yield app
    eventually(lambda: running() == [], f"no thread is left: {running()}")


@pytest.fixture(params=[mapped, named], ids=lambda way: way.__name__)
def remote(request: pytest.FixtureRequest) -> Iterator[App]:
    """As ``app``, with the two remote ways only."""
    make: MakeApp = request.param
    with make() as app:
        yield app
    eventually(lambda: running() == [], f"no thread is left: {running()}")
