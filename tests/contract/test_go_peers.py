"""Go callers and Go workers, played by hand on both servers: what they may count on holds with ours."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import urlsplit

import pika
import pytest
import redis
from pika.exceptions import ChannelClosedByBroker

from tests.amqp.by_hand import by_hand
from typeddingo import App
from typeddingo.errors import ConfigError
from typeddingo.header import Header, compose_bytes, decompose_bytes, frame_bytes
from typeddingo.marshaller import MarshallerID
from typeddingo.testing import eventually

PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="text/json")


class Peer(abc.ABC):
    """A Go process."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}?layout=dingo"

    def call(self, name: str, id: str, args: str, option: str = '{"IR":false,"MP":false}') -> None:
        """Send a task, as the default caller of Go but in JSON."""
        self.send(name, id, frame_bytes(id, name, f'{{"O":{option},"A":{args}}}'.encode()))

    def answer(self, name: str, id: str) -> bytes:
        """The payload of the next report."""
        frame = self.frame(name, id)
        return frame[Header.from_bytes(frame).length :]

    def frame(self, name: str, id: str) -> bytes:
        """The next report."""
        found: list[bytes] = []

        def arrived() -> bool:
            found.extend(self.reports(name, id))
            return bool(found)

        eventually(arrived, "a report arrives")
        return found[0]

    @abc.abstractmethod
    def send(self, name: str, id: str, frame: bytes) -> None: ...

    @abc.abstractmethod
    def reports(self, name: str, id: str) -> list[bytes]:
        """At most one that is there."""

    @abc.abstractmethod
    def tasks(self, name: str) -> list[bytes]:
        """All that wait, taken away."""

    @abc.abstractmethod
    def has_results(self, name: str, id: str) -> bool:
        """Something is kept for who asks for this result."""


class OnRedis(Peer):
    def _ask(self, *command: str | bytes) -> object:
        parts = urlsplit(self.url)
        with redis.Redis(port=parts.port or 0, db=int(parts.path[1:])) as client:
            untyped = cast("object", client.execute_command)  # pyright: ignore[reportUnknownMemberType]  # redis' own
            return cast("Callable[..., object]", untyped)(*command)

    def send(self, name: str, id: str, frame: bytes) -> None:
        self._ask("LPUSH", f"dingo.tasks.{name}", frame)

    def reports(self, name: str, id: str) -> list[bytes]:
        popped = self._ask("RPOP", f"dingo.result.{name}.{id}")
        return [popped] if isinstance(popped, bytes) else []

    def tasks(self, name: str) -> list[bytes]:
        popped = self._ask("RPOP", f"dingo.tasks.{name}", "100")
        return cast("list[bytes]", popped or [])

    def has_results(self, name: str, id: str) -> bool:
        return bool(self._ask("EXISTS", f"dingo.result.{name}.{id}"))


class OnRabbit(Peer):
    def send(self, name: str, id: str, frame: bytes) -> None:
        with by_hand(self.url) as channel:
            channel.exchange_declare("dingo.x.task", "direct", durable=True)
            channel.queue_declare(f"dingo.q.task.{name}", durable=True)
            channel.queue_bind(f"dingo.q.task.{name}", "dingo.x.task", name)
            channel.basic_publish("dingo.x.task", name, frame, PERSISTENT)

    def reports(self, name: str, id: str) -> list[bytes]:
        return self._get(f"dingo.q.{name}.{id}")

    def tasks(self, name: str) -> list[bytes]:
        taken: list[bytes] = []
        while got := self._get(f"dingo.q.task.{name}"):
            taken += got
        return taken

    def has_results(self, name: str, id: str) -> bool:
        try:
            with by_hand(self.url) as channel:
                channel.queue_declare(f"dingo.q.{name}.{id}", passive=True)
        except ChannelClosedByBroker:
            return False
        return True

    def _get(self, queue: str) -> list[bytes]:
        try:
            with by_hand(self.url) as channel:
                _, _, body = channel.basic_get(queue, auto_ack=True)
        except ChannelClosedByBroker:  # there is no such queue
            return []
        return [body] if isinstance(body, bytes) else []


@pytest.fixture(params=["redis", "amqp"])
def peer(request: pytest.FixtureRequest) -> Peer:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return OnRedis(url) if request.param == "redis" else OnRabbit(url)


@pytest.fixture
def app(peer: Peer) -> Iterator[App]:
    with App(peer.url) as app:
        yield app


def test_a_task_whose_id_was_used_before_is_another_task(peer: Peer, app: App) -> None:
    """Go's SeqIDMaker begins with 1 in every process."""
    ran: list[int] = []

    @app.task(name="double")
    def double(number: int) -> int:
        ran.append(number)
        return 2 * number

    app.allocate(double)
    for number in (1, 21):
        peer.call("double", "1", f"[{number}]")
        assert f'"R":[{2 * number}]'.encode() in peer.answer("double", "1")
    peer.call("double", "1", "[77]", '{"IR":true,"MP":false}')
    eventually(lambda: ran == [1, 21, 77], "it runs")
    assert peer.reports("double", "1") == []


def test_reports_are_in_the_form_of_the_calls(peer: Peer, app: App) -> None:
    """Go's default is JSONSAFE for both, and a Go caller does not survive a report in another form."""

    @app.task(name="double", marshaller=MarshallerID.JSONSAFE)
    def double(number: int) -> int:
        return 2 * number

    app.allocate(double)
    option = b'{"IR":false,"MP":false}'
    peer.send("double", "1", compose_bytes("1", "double", [b"21", option]))
    report = peer.frame("double", "1")
    assert decompose_bytes(Header.from_bytes(report), report) == [b"42", b"3", b"null", option]


def test_who_wants_no_reports_hears_nothing_of_arguments_that_cannot_be_read(peer: Peer, app: App) -> None:
    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    app.allocate(double)
    peer.call("double", "wrong", '["x"]', '{"IR":true,"MP":false}')
    peer.call("double", "right", "[1]")
    assert b'"R":[2]' in peer.answer("double", "right")
    assert not peer.has_results("double", "wrong")


def test_a_report_of_what_cannot_be_read_has_the_option_of_its_call(peer: Peer, app: App) -> None:
    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    app.allocate(double)
    peer.call("double", "wrong", '["x"]', '{"IR":false,"MP":true}')
    assert b'"MP":true' in peer.answer("double", "wrong")


def test_a_go_worker_gets_every_argument_by_position(peer: Peer, app: App) -> None:
    @app.task(name="area")
    def area(width: int, height: int = 7) -> int:
        return width * height

    quiet = area.with_options(ignore_report=True)
    quiet.call(1)
    quiet.call(width=2)
    quiet.call(height=3, width=4)
    sent = [frame[frame.index(b'"A":') :] for frame in peer.tasks("area")]
    assert sent == [
        b'"A":[1,7]}',
        b'"A":[2,7]}',
        b'"A":[4,3]}',
    ]


def test_what_a_go_worker_cannot_be_given_is_refused(peer: Peer, app: App) -> None:
    @app.task(name="area")
    def area(width: int, *, height: int = 7) -> int:
        return width * height

    with pytest.raises(ConfigError, match="Go has no named arguments, and 'height'"):
        area.call(1)
    assert peer.tasks("area") == []
