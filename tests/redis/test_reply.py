"""What Redis answers is read as the protocol has it, in whatever pieces it comes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typeddingo._io.redis_reply import Refused, Replies, Reply, whole

PLAIN: st.SearchStrategy[Any] = st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40)
NEARLY = st.lists(st.sampled_from([b"*2\r\n", b"$3\r\n", b":x\r\n", b"$-7\r\n", b"ab"])).map(b"".join)
REPLIES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def written(reply: Any) -> bytes:
    """As the server writes it."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n%b" % (len(reply), b"".join(map(written, reply)))


def read(pieces: Sequence[bytes], count: int) -> list[Reply]:
    """The replies in what comes piece by piece, before the server closes."""
    ours, theirs = socket.socketpair()
    replies = Replies(ours, 5.0)

    def send() -> None:
        with theirs, contextlib.suppress(OSError):  # the reader has seen enough
            for piece in pieces:
                theirs.sendall(piece)

    thread = threading.Thread(target=send)
    thread.start()
    with ours:
        try:
            return [replies.next(5.0) for _ in range(count)]
        finally:
            ours.shutdown(socket.SHUT_RD)
            thread.join()


@given(st.lists(REPLIES, max_size=4), st.integers(1, 50))
@settings(deadline=None)
def test_replies_come_back_in_whatever_pieces_they_arrive(replies: list[Any], size: int) -> None:
    data = b"".join(map(written, replies))
    assert read([data[at : at + size] for at in range(0, len(data), size)], len(replies)) == replies


def test_a_reply_of_many_megabytes_is_read_whole() -> None:
    body = bytes(range(256)) * 20_000
    assert read([written([b"a", body, 7])], 1) == [[b"a", body, 7]]


def test_a_line_an_error_and_no_list_are_what_they_are() -> None:
    said, refused, nothing = read([b"+OK\r\n-WRONGTYPE it is a list\r\n*-1\r\n"], 3)
    assert (said, nothing) == (b"OK", None)
    assert isinstance(refused, Refused)
    assert (refused.code, str(refused)) == ("WRONGTYPE", "WRONGTYPE it is a list")


def test_an_error_inside_a_list_leaves_the_others() -> None:
    (reply,) = read([b"*3\r\n:1\r\n-ERR no\r\n$1\r\nx\r\n"], 1)
    first, second, third = whole(reply)
    assert (first, third) == (1, b"x")
    assert isinstance(second, Refused)


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"*2\r\n", b"$3\r\n", b":x\r\n", b"$-7\r\n", b"ab"])).map(b"".join)
)
@settings(deadline=None)
def test_what_is_no_reply_ends_in_a_lost_connection_and_in_nothing_else(data: bytes) -> None:
    with pytest.raises(OSError, match=r"."):
        read([data], 100)


def test_lists_in_lists_without_end_are_no_reply() -> None:
    with pytest.raises(ConnectionError, match="no reply of Redis"):
        read([b"*1\r\n" * 100_000], 1)


def test_a_reply_that_does_not_begin_in_time_is_a_timeout() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        Replies(ours, 5.0).next(0.01)


def test_a_reply_that_does_not_go_on_is_a_timeout() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"$10\r\nhalf")
    with ours, theirs, pytest.raises(TimeoutError):
        Replies(ours, 0.01).next(5.0)
