"""Keys and rows: what Python writes, scripts read alike, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers import RedisServer
from typeddingo._io.redis_keys import RESULT_KEY, DingoKeys, NativeKeys
from typeddingo._io.redis_link import Call, RedisLink, Script, packed
from typeddingo._io.redis_rows import CUT, cut, row
from typeddingo._io.redis_settings import RedisSettings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARTS = st.lists(st.binary(max_size=30), max_size=20)

RESULT = Script(f"{RESULT_KEY} return result_key(ARGV[1], ARGV[2], ARGV[3])")
PIECES = Script(f"{CUT} return cut(ARGV[1], ARGV[2])")


@pytest.fixture(scope="module")
def link(redis_server: RedisServer) -> Iterator[RedisLink]:
    link = RedisLink(RedisSettings.parse(redis_server.url()), 5.0)
    link.open()
    yield link
    link.close()


@given(TEXT, TEXT, TEXT)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_script_makes_the_same_key_of_a_name_and_an_id(link: RedisLink, space: str, name: str, id: str) -> None:
    keys = NativeKeys(space)
    assert link.call(Call(RESULT, [], [keys.prefix, name, id])) == keys.result(name, id).encode()


@given(PARTS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_script_cuts_a_row_into_the_same_parts(link: RedisLink, parts: list[bytes]) -> None:
    assert link.call(Call(PIECES, [], row(parts))) == parts


@given(PARTS)
def test_a_row_is_cut_into_what_it_was_made_of(parts: list[bytes]) -> None:
    assert cut(*row(parts)) == parts


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_what_is_no_row_is_refused_or_read_whole(sizes: bytes, data: bytes) -> None:
    try:
        parts = cut(sizes, data)
    except ValueError:
        return
    assert b"".join(parts) == data


@pytest.mark.parametrize(
    ("sizes", "data"),
    [
        (b"\1\0\0\0", b""),
        (b"", b"x"),
        (b"\1\0\0\0\1\0\0\0", b"xyz"),
        (b"\1\0\0", b"x"),
        (b"\0\0\0\1", b"x"),
        (b"\1\0\0\0\xff\xff\xff\xff", b"x"),
        (b"1", b"x"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(sizes: bytes, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        cut(sizes, data)


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_two_tasks_never_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = NativeKeys("tdg")
    assert (keys.result(*one) == keys.result(*other)) == (one == other)


@given(TEXT, TEXT)
def test_no_key_is_another_kind_of_key(name: str, id: str) -> None:
    keys = NativeKeys("tdg")
    every = [keys.tasks(name), keys.dead(name), keys.sent(name), keys.result(name, id), keys.replies(name)]
    assert len(set(every)) == len(every)
    assert all(key.count("{") == key.count("}") == 1 for key in every)


def test_the_keys_are_what_the_documentation_says() -> None:
    keys = NativeKeys("tdg")
    assert keys.tasks("shop.order") == "tdg:{shop.order}:tasks"
    assert keys.tasks("a:b {c}") == "tdg:{a%3Ab%20%7Bc%7D}:tasks"
    assert keys.result("größe", "1/2") == "tdg:{gr%C3%B6%C3%9Fe}:result:1%2F2"
    assert DingoKeys.tasks("a.b") == "dingo.tasks.a.b"
    assert DingoKeys.result("a.b", "c") == "dingo.result.a.b.c"


def test_a_command_is_packed_as_the_protocol_has_it() -> None:
    assert packed([("SET", "ключ", b"\r\n", 1, 2.5), ("PING",)]) == (
        b"*5\r\n$3\r\nSET\r\n$8\r\n\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\r\n$2\r\n\r\n\r\n$1\r\n1\r\n$3\r\n2.5\r\n"
        b"*1\r\n$4\r\nPING\r\n"
    )
