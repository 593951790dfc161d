"""Secrets in URLs, values and keys, everything going wrong, logging at DEBUG: nothing shows any of them (see F41)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.servers import RabbitServer, RedisServer
from tests.servers.ports import free_port
from tests.support.canary import CANARY, chain, shown_by, spellings
from typeddingo import (
    App,
    ArgumentError,
    Event,
    EventCode,
    EventLevel,
    JSONMarshaller,
    Meta,
    Parcel,
    SignedMarshaller,
    TypedDingoError,
)
from typeddingo.bridges.urls import open_backend, open_broker
from typeddingo.config import Config
from typeddingo.header import compose_bytes, frame_bytes
from typeddingo.testing import eventually

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECONDS = 20.0
PASSWORD = f"pass-{CANARY}/?#@"
KEY = f"key-{CANARY}-{CANARY}".encode()


@dataclass
class Account:
    owner: str
    cents: int


class Everything:
    """All that is shown: log records, events, reprs, errors."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        self._records = records
        self.parts: list[str] = []
        self.events: list[Event] = []

    def watch(self, app: App) -> None:
        self.show(app)
        app._runtime.events.subscribe(self.events.append)  # pyright: ignore[reportPrivateUsage]  # more than 10 may come

    def show(self, *things: object) -> None:
        for thing in things:
            self.parts += [str(thing), repr(thing)]

    def error(self, error: BaseException) -> None:
        """Source lines aside: a test's own source holds no secret, a user's might."""
        self.parts.append("\n".join(line for line in shown_by(error).splitlines() if not line.startswith("    ")))

    def text(self) -> str:
        formatter = logging.Formatter("%(asctime)s %(name)s %(message)s")
        logged = [formatter.format(record) + repr(record.args) for record in self._records]
        return "\n".join([*self.parts, *logged, *(f"{event} {event!r}" for event in self.events)])


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[Everything]:
    """What was shown in a test, in which something must have been shown and no secret."""
    with caplog.at_level(logging.DEBUG):
        shown = Everything(caplog.records)
        yield shown
    text = shown.text()
    assert text
    for spelling in (*spellings(CANARY), *spellings(PASSWORD), *spellings(KEY)):
        assert spelling not in text, f"{spelling!r} is shown: …{text[max(0, text.find(spelling) - 200) :][:400]}…"


Url = Callable[[str, int | None], str]


@pytest.fixture(params=["redis", "amqp"])
def url(request: pytest.FixtureRequest, redis_server: RedisServer, rabbit_server: RabbitServer) -> Url:
    """With these credentials, at this port or the server's."""

    def made(credentials: str, port: int | None = None) -> str:
        own = redis_server.port if request.param == "redis" else rabbit_server.port
        return f"{request.param}://{credentials}@127.0.0.1:{port or own}/?send_timeout=1&connect_timeout=1"

    return made


SECRET = f"user-{CANARY}:{quote(PASSWORD, safe='')}"


def add(account: Account, more: int) -> Account:
    return Account(account.owner, account.cents + more)


def fail(account: Account) -> Account:
    raise ValueError(f"{len(account.owner)} letters")


def test_a_server_that_cannot_be_reached(url: Url, everything: Everything) -> None:
    app = App(url(SECRET, free_port()))
    everything.watch(app)
    with app:
        task = app.register("add", add)
        with pytest.raises(TypedDingoError) as caught:
            task.call(Account(CANARY, 1), 2)
        everything.error(caught.value)
        everything.show(task)


def test_a_server_that_refuses_the_password(url: Url, everything: Everything) -> None:
    app = App(url(SECRET, None))
    everything.watch(app)
    with app:
        task = app.register("add", add)
        with pytest.raises(TypedDingoError) as caught:
            task.call(Account(CANARY, 1), 2)
        everything.error(caught.value)
        with pytest.raises(TypedDingoError) as caught:
            app.allocate(task)
        everything.error(caught.value)


def test_the_objects_of_an_adapter(url: Url, everything: Everything) -> None:
    where = url(SECRET, None)
    broker, backend = open_broker(where, Config()), open_backend(where, Config())
    everything.show(broker, backend)
    for part in (*vars(broker).values(), *vars(backend).values()):
        everything.show(part, *getattr(part, "__dict__", {}).values())
    broker.close()
    backend.close()


@pytest.fixture
def working(request: pytest.FixtureRequest, redis_server: RedisServer, rabbit_server: RabbitServer) -> Iterator[str]:
    """A server that takes these credentials."""
    user = f"user-{CANARY}"
    if request.param == "redis":
        redis_server.ask("ACL", "SETUSER", user, "on", f">{PASSWORD}", "allkeys", "allchannels", "+@all")
        yield f"redis://{SECRET}@127.0.0.1:{redis_server.port}/710"
        redis_server.ask("ACL", "DELUSER", user)
    else:
        vhost = rabbit_server.new_vhost()
        rabbit_server.ctl("add_user", user, PASSWORD)
        rabbit_server.ctl("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
        yield f"amqp://{SECRET}@127.0.0.1:{rabbit_server.port}/{vhost}"
        rabbit_server.ctl("delete_user", user)
        rabbit_server.drop_vhost(vhost)


@pytest.mark.parametrize("working", ["redis", "amqp"], indirect=True)
def test_calls_that_work_and_everything_that_does_not(working: str, everything: Everything) -> None:
    app = App(working)
    everything.watch(app)
    marshaller = SignedMarshaller(JSONMarshaller(), {"key": KEY}, sign_with="key")
    app.add_marshaller(9, marshaller)
    everything.show(marshaller, vars(marshaller), app)
    wrong: Any = {"owner": CANARY, "cents": CANARY}
    with app:
        add_task, fail_task = app.register("add", add), app.register("fail", fail, marshaller=9, report_marshaller=9)
        app.allocate(add_task)
        app.allocate(fail_task)
        good = add_task.call(Account(CANARY, 1), 2)
        assert good.get(SECONDS) == Account(CANARY, 3)
        everything.show(good)
        bad: Any
        for bad in (wrong, Account(wrong, 1), Account("", wrong), CANARY):
            with pytest.raises(ArgumentError) as caught:
                add_task.call(bad, 1)
            everything.error(caught.value)
        failed = fail_task.call(Account(CANARY, 1))
        report = failed.wait(SECONDS)
        assert report.error is not None
        everything.show(failed, report.error, report.failure)
        _inject_malformed(working)
        eventually(lambda: len(_refused(everything)) >= len(MALFORMED), "all of them are refused", SECONDS)
        inspector = app._inspector()  # pyright: ignore[reportPrivateUsage]  # what the command line uses
        assert inspector is not None
        eventually(lambda: len(inspector.dead("add")) == len(MALFORMED), "all of them are put aside", SECONDS)
        for dead in inspector.dead("add"):
            everything.show(dead.name, dead.reason, dead.key)


_VALUE = CANARY.encode()
MALFORMED = [
    b"\0" * 7 + _VALUE,
    frame_bytes("1", "add", b'{"A":[{"owner":"%b","cents":"%b"},1]}' % (_VALUE, _VALUE)),
    frame_bytes("2", "add", b'{"A":[{"%b":"%b"},1]}' % (_VALUE, _VALUE)),
    frame_bytes("3", "add", b'{"A":[{"owner":"a","cents":1,"%b":1},"%b"]}' % (_VALUE, _VALUE)),
    frame_bytes("4", "add", b'{"A":["%b' % _VALUE),
    frame_bytes("5", "add", b'{"%b":1,"%b":2}' % (_VALUE, _VALUE)),
    frame_bytes("6", "add", b'{"A":[],"O":{"X":{"K":{"%b":"%b"}}}}' % (_VALUE, _VALUE)),
    compose_bytes("7", "add", [b'{"owner":"%b"}' % _VALUE, b"1"]),
]


def _inject_malformed(url: str) -> None:
    broker = open_broker(url, Config())
    broker.send([Parcel(Meta("add", str(number)), frame) for number, frame in enumerate(MALFORMED)]).wait(SECONDS)
    broker.close()


def _refused(everything: Everything) -> list[Event]:
    return [event for event in everything.events if event.code is EventCode.UNDECODABLE]


def test_what_is_sent_in_the_clear_holds_only_what_the_page_says(everything: Everything) -> None:
    """The canary itself: it would be found."""
    error = ValueError(CANARY)
    error.__context__ = KeyError("inner")
    assert CANARY in shown_by(error)
    assert [type(each) for each in chain(error)] == [ValueError, KeyError]
    everything.show(urlsplit("redis://db"), EventLevel.DEBUG)
