"""The bad network of the fault tests is as bad as it says, and no worse."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from tests.servers.proxy import Proxy
from typeddingo.testing import eventually


@pytest.fixture
def echo() -> Iterator[Proxy]:
    """A proxy to a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening,), daemon=True).start()
        with Proxy(listening.getsockname()[1]) as proxy:
            yield proxy
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket) -> None:
    while True:
        try:
            link, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(link,), daemon=True).start()


def _answer(link: socket.socket) -> None:
    with link:
        try:
            while piece := link.recv(65536):
                link.sendall(piece)
        except OSError:
            return


@contextmanager
def link_to(proxy: Proxy) -> Generator[socket.socket, None, None]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as link:
        yield link


def asked(link: socket.socket, text: bytes = b"hello") -> bytes:
    link.sendall(text)
    answer = b""
    while len(answer) < len(text):
        if not (piece := link.recv(65536)):
            break
        answer += piece
    return answer


def is_silent(link: socket.socket, text: bytes = b"hello") -> bool:
    link.settimeout(0.1)
    try:
        link.sendall(text)
        return link.recv(1) == b"?"
    except TimeoutError:
        return True
    finally:
        link.settimeout(10)


def assert_is_reset(proxy: Proxy) -> None:
    """A new connection is, while it is made or soon after."""

    def try_it() -> None:
        with link_to(proxy) as link:
            link.recv(1)

    with pytest.raises(ConnectionResetError):
        try_it()


def test_bytes_pass_in_both_directions_and_connections_are_counted(echo: Proxy) -> None:
    many = bytes(range(256)) * 4000
    with link_to(echo) as one, link_to(echo) as other:
        assert asked(one, many) == many
        assert asked(other) == b"hello"
        assert (echo.connections, echo.open) == (2, 2)
    eventually(lambda: echo.open == 0)


def test_a_reset_reaches_every_connection_and_new_ones_pass(echo: Proxy) -> None:
    with link_to(echo) as one, link_to(echo) as other:
        assert asked(one) == asked(other) == b"hello"
        echo.reset_all()
        for link in (one, other):
            with pytest.raises(ConnectionResetError):
                link.recv(1)
    with link_to(echo) as link:
        assert asked(link) == b"hello"


def test_resets_come_again_and_again_until_it_is_calm(echo: Proxy) -> None:
    echo.reset_every(0.02)
    for _ in range(3):
        assert_is_reset(echo)
    echo.calm()
    with link_to(echo) as link:
        assert asked(link) == b"hello"


def test_a_black_hole_swallows_requests_and_closes_nothing(echo: Proxy) -> None:
    with link_to(echo) as link:
        assert asked(link) == b"hello"
        echo.weather.blackhole = True
        assert is_silent(link)
        echo.calm()
        assert asked(link, b"again") == b"again"


def test_without_replies_the_server_hears_and_the_client_does_not(echo: Proxy) -> None:
    with link_to(echo) as link:
        echo.weather.drop_replies = True
        assert is_silent(link)
        echo.calm()
        assert asked(link, b"again") == b"again"


def test_new_connections_can_be_refused(echo: Proxy) -> None:
    echo.weather.refuse = True
    assert_is_reset(echo)


def test_latency_is_added_in_both_directions(echo: Proxy) -> None:
    echo.weather.latency = 0.05
    with link_to(echo) as link:
        before = time.monotonic()
        assert asked(link) == b"hello"
        assert time.monotonic() - before >= 0.1


def test_bandwidth_is_limited(echo: Proxy) -> None:
    echo.weather.bandwidth = 100_000
    with link_to(echo) as link:
        before = time.monotonic()
        assert len(asked(link, bytes(10_000))) == 10_000
        assert time.monotonic() - before >= 0.2


def test_a_server_that_is_gone_is_a_reset_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = listening.getsockname()[1]
    with Proxy(nobody) as proxy:
        assert_is_reset(proxy)
