"""What stands between pika and the network, with neither of them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from pika import BasicProperties
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport
from pika.frame import Body, Header, Heartbeat, Method
from pika.spec import Basic

from typeddingo._io import amqp_stream
from typeddingo._io.amqp_frames import Delivered
from typeddingo._io.amqp_socket import PlainSocket
from typeddingo._io.amqp_stream import Stream
from typeddingo.testing import eventually

OURS, OTHER = 1, 2


class Upper(AbstractStreamProtocol):
    """In place of pika, and a lane of channel ``OURS``: what comes, in order."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.lost: list[BaseException | None] = []

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        self.heard.append("made")

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.append(error)

    def eof_received(self) -> bool | None:
        return None

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def delivered(self, message: Delivered) -> None:
        self.heard.append(message.body)

    def confirmed(self, tag: int, multiple: bool) -> None:
        self.heard.append(tag)


class Lower(AbstractStreamTransport):
    """In place of the network."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_protocol(self) -> AbstractStreamProtocol:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


def message(channel: int, body: bytes) -> bytes:
    frames = (
        Method(channel, Basic.Deliver("tasks", 1, False, "", "key")),
        Header(channel, len(body), BasicProperties()),
        Body(channel, body),
    )
    return b"".join(frame.marshal() for frame in frames)


def ack(channel: int, tag: int) -> bytes:
    return Method(channel, Basic.Ack(tag)).marshal()


@pytest.fixture
def upper() -> Upper:
    return Upper()


@pytest.fixture
def stream(upper: Upper) -> Stream:
    stream = Stream(upper)
    stream.connection_made(Lower())
    upper.heard.clear()
    stream.join(OURS, upper)
    return stream


def test_common_frames_take_the_short_way_and_all_others_go_to_pika_in_order(upper: Upper, stream: Stream) -> None:
    first, second, third = ack(OTHER, 1), message(OTHER, b"theirs"), Heartbeat().marshal()
    stream.data_received(first + message(OURS, b"ours") + second + third + ack(OURS, 5) + first)
    assert upper.heard == [first, b"ours", second + third, 5, first]


def test_it_does_not_matter_in_which_pieces_they_come(upper: Upper, stream: Stream) -> None:
    nack = Method(OURS, Basic.Ack(1)).marshal().replace(b"\0\x3c\0\x50", b"\0\x3c\0\x78")
    data = message(OURS, b"ours") + nack + ack(OURS, 5) + message(OURS, b"last")
    for size in (1, 7, 8, 30, 77):
        upper.heard.clear()
        for start in range(0, len(data), size):
            stream.data_received(data[start : start + size])
        assert upper.heard == [b"ours", nack, 5, b"last"]


def test_a_large_message_goes_to_pika(upper: Upper, stream: Stream) -> None:
    large = message(OURS, b"x" * 100_000)
    stream.data_received(large[:50_000])
    stream.data_received(large[50_000:] + ack(OURS, 1))
    assert b"".join(part for part in upper.heard if isinstance(part, bytes)) == large
    assert upper.heard[-1] == 1


def test_what_is_no_frame_is_pikas_to_refuse(upper: Upper, stream: Stream) -> None:
    stream.data_received(b"AMQP\0\0\x09\x01")
    assert upper.heard == [b"AMQP\0\0\x09\x01"]


def test_a_channel_that_has_parted_is_pikas_again(upper: Upper, stream: Stream) -> None:
    stream.part(OURS, Upper())  # somebody else's word
    stream.data_received(ack(OURS, 1))
    stream.part(OURS, upper)
    stream.data_received(ack(OURS, 2))
    assert upper.heard == [1, ack(OURS, 2)]


def test_pika_hears_that_the_server_lives_though_everything_takes_the_short_way(
    upper: Upper, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_stream, "ALIVE_SECONDS", 0.0)
    stream.data_received(ack(OURS, 1))
    assert upper.heard == [1, Heartbeat().marshal()]


def test_what_is_written_while_something_is_read_leaves_together(upper: Upper) -> None:
    lower, heard = Lower(), list[str]()

    class Echo(Upper):
        def confirmed(self, tag: int, multiple: bool) -> None:
            stream.write(b"%d" % tag)
            stream.when_read(done)

    def done() -> None:
        heard.append("done")
        stream.write(b"end")

    stream = Stream(upper)
    stream.write(b"too early")
    stream.connection_made(lower)
    stream.join(OURS, Echo())
    stream.data_received(ack(OURS, 1) + ack(OURS, 2))
    stream.write(b"alone")
    assert (lower.sent, heard) == ([b"12end", b"alone"], ["done"])


def test_a_lost_connection_writes_nothing(upper: Upper, stream: Stream) -> None:
    stream.connection_lost(None)
    stream.write(b"x")
    stream.abort()
    assert (upper.lost, stream.get_write_buffer_size(), stream.get_protocol()) == ([None], 0, upper)


def test_only_over_a_plain_socket_may_any_thread_write(upper: Upper, stream: Stream) -> None:
    at_first = stream.for_any_thread
    loop, (ours, far) = IOLoop(), socket.socketpair()
    with ours, far:
        stream.connection_made(PlainSocket(loop, ours, stream))
        assert (at_first, stream.for_any_thread) == (False, True)
    loop.close()


class Both:
    """A socket whose other end is the test's, and the loop that it lives on."""

    def __init__(self) -> None:
        self.loop = IOLoop()
        ours, self.far = socket.socketpair()
        ours.setblocking(False)
        self.far.settimeout(10)
        self.upper = Upper()
        self.near = PlainSocket(self.loop, ours, self.upper)
        self.thread = threading.Thread(target=self.loop.start)
        self.thread.start()

    def close(self) -> None:
        self.loop.add_callback_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.far.close()
        self.loop.close()


@pytest.fixture
def both() -> Iterator[Both]:
    both = Both()
    yield both
    if both.near.get_protocol() is both.upper and not both.upper.lost:
        both.loop.add_callback_threadsafe(both.near.abort)
        eventually(lambda: bool(both.upper.lost))
    both.close()


def test_a_socket_sends_at_once_and_what_does_not_fit_later(both: Both) -> None:
    both.near.write(b"small")
    assert both.far.recv(100) == b"small"
    large = bytes(range(256)) * 40_000
    both.near.write(large)
    both.near.write(b"end")
    assert both.near.get_write_buffer_size() > 0
    got = bytearray()
    while not got.endswith(b"end"):
        time.sleep(0.0001)
        got += both.far.recv(1_000_000)
    assert got == large + b"end"
    eventually(lambda: both.near.get_write_buffer_size() == 0)
    both.near.write(b"again")
    assert both.far.recv(100) == b"again"


def test_a_socket_hands_on_what_it_reads_and_tells_of_the_end_once(both: Both) -> None:
    both.far.sendall(b"hello")
    eventually(lambda: both.upper.heard == [b"hello"])
    both.far.close()
    eventually(lambda: both.upper.lost == [None])
    both.near.write(b"ignored")
    both.near.abort()
    assert both.upper.lost == [None]


def test_a_socket_that_was_reset_says_why(both: Both) -> None:
    both.far.shutdown(socket.SHUT_RD)
    both.near.write(b"x")
    eventually(lambda: bool(both.upper.lost))
    assert isinstance(both.upper.lost[0], OSError)
