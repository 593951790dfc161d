"""One connection: replies have one shape whatever the version of redis-py, and what is lost is told as what it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.inside import inside
from tests.servers import RedisServer
from typeddingo._io.redis_link import Call, RedisLink, Script
from typeddingo._io.redis_reply import Refused, whole
from typeddingo._io.redis_settings import RedisSettings
from typeddingo.errors import ConfigError, ConnectionLost, QueueFull
from typeddingo.testing import eventually


@pytest.fixture
def link(redis_url: str) -> Iterator[RedisLink]:
    link = RedisLink(RedisSettings.parse(redis_url), 5.0)
    link.open()
    yield link
    link.close()


class TestShapes:
    """As the protocol has them: lists in lists, bytes, numbers and None."""

    def test_a_stream_that_is_read(self, link: RedisLink) -> None:
        link.call(("XADD", "s", "1-1", "b", b"\xff", "r", ""))
        link.call(("XGROUP", "CREATE", "s", "g", "0"))
        entry = [b"1-1", [b"b", b"\xff", b"r", b""]]
        assert link.call(("XREAD", "STREAMS", "s", "0")) == [[b"s", [entry]]]
        assert link.call(("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")) == [[b"s", [entry]]]
        assert link.call(("XRANGE", "s", "-", "+")) == [entry]
        assert link.call(("XCLAIM", "s", "g", "d", 0, "1-1")) == [entry]
        pending = whole(whole(link.call(("XPENDING", "s", "g", "-", "+", 9)))[0])
        assert (pending[0], pending[1], pending[3]) == (b"1-1", b"d", 2)

    def test_nothing_is_none(self, link: RedisLink) -> None:
        assert link.call(("XREAD", "STREAMS", "none", "0")) is None
        assert link.call(("XREAD", "BLOCK", 1, "STREAMS", "none", "0")) is None
        assert link.call(("GET", "none")) is None
        assert link.call(("BRPOP", "none", 0.01)) is None
        assert link.call(("XRANGE", "none", "-", "+")) == []

    def test_texts_and_numbers(self, link: RedisLink) -> None:
        assert link.call(("SET", "k", b"\0\r\n")) == b"OK"
        assert link.call(("GET", "k")) == b"\0\r\n"
        assert link.call(("STRLEN", "k")) == 3
        assert link.call(("TIME",)) != []

    def test_an_entry_that_was_deleted_while_it_was_held(self, link: RedisLink) -> None:
        link.call(("XADD", "s", "1-1", "b", "x"))
        link.call(("XGROUP", "CREATE", "s", "g", "0"))
        link.call(("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"))
        link.call(("XDEL", "s", "1-1"))
        assert link.call(("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "0")) == [[b"s", [[b"1-1", None]]]]


class TestPosted:
    def test_the_answers_to_what_is_posted_are_read_later(self, link: RedisLink) -> None:
        script = Script("return ARGV[1]")
        link.call(("SCRIPT", "FLUSH"))
        link.post([("PING",), Call(script, [], ["a"]), Call(script, [], ["b"])])
        eventually(link.has_news, "the answers are here")
        assert link.answers([("PING",), Call(script, [], ["a"]), Call(script, [], ["b"])]) == [b"PONG", b"a", b"b"]
        assert not link.has_news()

    def test_there_is_news_when_the_first_answer_is_there_or_none_will_be(self, link: RedisLink) -> None:
        link.post([("BLPOP", "none", 0.2)])
        assert not link.has_news()
        eventually(link.has_news, "the answer is here")
        assert link.answers([("BLPOP", "none", 0.2)]) == [None]
        link.close()
        assert link.has_news()
        with pytest.raises(ConnectionLost):
            link.post([("PING",)])


class TestRefusals:
    def test_one_of_a_pipeline_leaves_the_others(self, link: RedisLink) -> None:
        link.call(("SET", "k", "text"))
        first, second, third = link.pipeline([("GET", "k"), ("LPUSH", "k", "x"), ("STRLEN", "k")])
        assert (first, third) == (b"text", 4)
        assert isinstance(second, Refused)
        assert second.code == "WRONGTYPE"
        assert not link.broken

    def test_a_script_that_the_server_has_forgotten_is_sent_whole(self, link: RedisLink) -> None:
        script = Script("return {KEYS[1], ARGV[1]}")
        for _ in range(2):
            assert link.call(Call(script, ["k"], ["a"])) == [b"k", b"a"]
            link.call(("SCRIPT", "FLUSH"))
            assert link.pipeline([("PING",), Call(script, ["k"], ["a"]), ("PING",)]) == [b"PONG", [b"k", b"a"], b"PONG"]

    def test_each_has_its_error(self) -> None:
        errors = {"OOM": QueueFull, "NOPERM": ConfigError, "LOADING": ConnectionLost, "READONLY": ConnectionLost}
        for code, error in errors.items():
            assert type(Refused(code, "…").error()) is error
        assert type(Refused("ERR", "…").error()) is ConfigError


class TestLosses:
    def test_no_answer_in_time_is_a_lost_connection(self, own_server: RedisServer) -> None:
        link = RedisLink(RedisSettings.parse(own_server.url()), 5.0)
        link.open()
        own_server.freeze()
        start = time.monotonic()
        with pytest.raises(ConnectionLost, match="does not answer"):
            link.call(("PING",), 0.2)
        assert time.monotonic() - start < 2
        assert link.broken
        own_server.thaw()

    def test_the_patience_is_for_each_answer_and_not_for_all_of_them(self, own_server: RedisServer) -> None:
        link = RedisLink(RedisSettings.parse(own_server.url()), 0.4)
        link.open()
        for _ in range(5):
            assert link.call(("BRPOP", "none", 0.1)) is None
        assert link.pipeline([("BRPOP", "none", 0.1)] * 5) == [None] * 5
        link.close()

    def test_a_server_that_accepts_and_says_nothing_does_not_hold_us_up(self, own_server: RedisServer) -> None:
        own_server.freeze()
        link = RedisLink(RedisSettings.parse(own_server.url()), 0.3)
        start = time.monotonic()
        with pytest.raises(ConnectionLost):
            link.open()
        assert time.monotonic() - start < 2
        own_server.thaw()

    def test_a_blocking_read_ends_when_another_thread_closes_the_link(self, link: RedisLink) -> None:
        errors: list[Exception] = []

        def read() -> None:
            try:
                link.call(("BRPOP", "none", 5), 10)
            except ConnectionLost as error:
                errors.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        eventually(lambda: inside(thread, "answers"), "it waits for the server")
        link.close()
        thread.join(3)
        assert not thread.is_alive()
        assert len(errors) == 1

    def test_nobody_listening_is_told_with_the_address(self) -> None:
        link = RedisLink(RedisSettings.parse("redis://127.0.0.1:1/2"), 1.0)
        with pytest.raises(ConnectionLost, match=r"redis://127\.0\.0\.1:1/2: the server cannot be reached"):
            link.open()
        with pytest.raises(ConnectionLost):
            RedisLink(RedisSettings.parse("unix:///nowhere.sock"), 1.0).open()
