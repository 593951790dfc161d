"""A signed frame on a real server, copied by somebody who can read and write its queues but has no key."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.servers import RabbitServer, RedisServer
from typeddingo import (
    App,
    Config,
    Confirmation,
    JSONMarshaller,
    Meta,
    Parcel,
    Producer,
    Role,
    SignedMarshaller,
    TaskFailed,
)
from typeddingo.bridges.urls import open_backend, open_broker
from typeddingo.broker import NamedBroker
from typeddingo.errors import ResultTimeout
from typeddingo.testing import eventually

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECONDS = 20.0
SIGNED = SignedMarshaller(JSONMarshaller(), {"k": bytes(range(32))}, sign_with="k")


class Tapped(Producer):
    """Sends through a broker, and keeps what was sent."""

    def __init__(self, inner: NamedBroker) -> None:
        self._inner = inner
        self.seen: list[Parcel] = []

    @property
    def carries_reply_to(self) -> bool:
        return self._inner.carries_reply_to

    def expect(self, roles: Role) -> None: ...

    def declare_task(self, name: str) -> None:
        self._inner.declare_task(name)

    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        self.seen += parcels
        return self._inner.send(parcels)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_a_copied_task_does_not_run_again_where_it_ran(
    technology: str, redis_server: RedisServer, rabbit_server: RabbitServer
) -> None:
    url = redis_server.url(730) if technology == "redis" else rabbit_server.url(rabbit_server.new_vhost())
    ran: list[int] = []

    def pay(cents: int) -> int:
        ran.append(cents)
        if cents < 0:
            raise ValueError("less than nothing")
        return cents

    with App(url) as shop, App("remote") as caller:
        for app in (shop, caller):
            app.add_marshaller(9, SIGNED)
        task = shop.register("pay", pay, marshaller=9, report_marshaller=9)
        broker = open_broker(url, Config())
        assert isinstance(broker, NamedBroker)
        tapped = Tapped(broker)
        caller.use(tapped, Role.PRODUCER)
        caller.use(open_backend(url, Config()))
        handle = caller.register("pay", pay, marshaller=9, report_marshaller=9)
        shop.allocate(task, 2)
        assert handle.call(5).get(SECONDS) == 5
        with pytest.raises(TaskFailed):
            handle.call(-5).get(SECONDS)
        assert ran == [5, -5]
        copies = [Parcel(Meta("pay", f"copy {n}", f"elsewhere {n}"), tapped.seen[n % 2].body) for n in range(6)]
        broker.send(copies).wait(SECONDS)
        assert [handle.call(n).get(SECONDS) for n in range(4)] == [0, 1, 2, 3]
        inspector = shop._inspector()  # pyright: ignore[reportPrivateUsage]  # what the command line uses
        assert inspector is not None
        eventually(lambda: inspector.queue("pay")[1:4] == (0, 0, 0), "all copies are settled", SECONDS)
        assert sorted(ran) == [-5, 0, 1, 2, 3, 5]


@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_a_task_that_nobody_signed_is_put_aside_and_nobody_says_that_it_failed(
    technology: str, redis_server: RedisServer, rabbit_server: RabbitServer
) -> None:
    url = redis_server.url(731) if technology == "redis" else rabbit_server.url(rabbit_server.new_vhost())

    def pay(cents: int) -> int:
        return cents

    with App(url) as shop, App(url) as careless:
        shop.add_marshaller(9, SIGNED)
        task = shop.register("pay", pay, marshaller=9, report_marshaller=9)
        unsigned = careless.register("pay", pay)
        shop.allocate(task)
        result = unsigned.call(666)
        inspector = shop._inspector()  # pyright: ignore[reportPrivateUsage]  # what the command line uses
        assert inspector is not None
        eventually(lambda: inspector.queue("pay").dead == 1, "it is put aside", SECONDS)
        assert "was not made by a SignedMarshaller" in inspector.dead("pay")[0].reason
        assert task.call(5).get(SECONDS) == 5
        with pytest.raises(ResultTimeout):
            result.get(0.2)
