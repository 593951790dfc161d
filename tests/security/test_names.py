"""Names and ids that mean something to a server or a shell mean nothing here: each call has its own answer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers import RabbitServer, RedisServer
from typeddingo import App, Result
from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo._io.amqp_topology import NativeTopology
from typeddingo._io.redis_keys import NativeKeys
from typeddingo.testing import eventually

SECONDS = 20.0
NAMES = [
    "a",
    "a.b",
    "a.b.c",
    "*",
    "#",
    "a.*",
    "{}",
    "{a}",
    "../a",
    "a:tasks",
    "%2F",
    "a%2Eb",
    "ünï \U0001f511",
    "n" * 128,
]
IDS = ["", "c", "b.c", "*", "{}", "\0", "\r\n", "../../x", "ünï", "\u202e", "%00", "'; --", "i" * 128]

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
odd_text = st.text(st.sampled_from(".:{}%/*# ab\n\0é"), max_size=6)


class Given:
    """An id maker that gives what it was told."""

    def __init__(self) -> None:
        self.next = ""

    def new_id(self, name: str) -> str:
        return self.next


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_every_call_has_its_own_answer(technology: str, redis_server: RedisServer, rabbit_server: RabbitServer) -> None:
    url = redis_server.url(720) if technology == "redis" else rabbit_server.url(rabbit_server.new_vhost())
    ids = Given()
    with App(url) as app:
        app.add_id_maker(9, ids)
        tasks = [app.register(name, _tagged(number), id_maker=9) for number, name in enumerate(NAMES)]
        for task in tasks:
            app.allocate(task)
        results: dict[tuple[int, str], Result[str]] = {}
        for (number, task), id in product(enumerate(tasks), IDS):
            ids.next = id
            results[number, id] = task.call(id)
        assert [result.get(SECONDS) for result in results.values()] == [f"{n} {id!r}" for n, id in results]
        inspector = app._inspector()  # pyright: ignore[reportPrivateUsage]  # what the command line uses
        assert inspector is not None
        for name in NAMES:
            eventually(lambda name=name: inspector.queue(name).running == 0, f"{name!r} is settled")  # type: ignore[misc]  # bound now
            assert inspector.queue(name)[:4] == (name, 0, 0, 0)


def _tagged(number: int) -> Callable[[str], str]:
    def tag(id: str) -> str:
        return f"{number} {id!r}"

    return tag


KEYS = NativeKeys("tdg")
TOPOLOGY = NativeTopology(AmqpSettings.parse("amqp://localhost"))


@given(st.lists(st.tuples(any_text | odd_text, any_text | odd_text), min_size=2, max_size=2, unique=True))
def test_no_two_calls_share_a_key_of_redis(calls: list[tuple[str, str]]) -> None:
    first, second = ({KEYS.tasks(name), KEYS.dead(name), KEYS.sent(name), KEYS.result(name, id)} for name, id in calls)
    shared = first & second
    assert not any(":result:" in key for key in shared)
    assert not shared or calls[0][0] == calls[1][0]


@given(name=any_text | odd_text, id=any_text | odd_text)
def test_all_keys_of_one_name_lie_together(name: str, id: str) -> None:
    tags = {
        key.partition("{")[2].partition("}")[0] for key in (KEYS.tasks(name), KEYS.dead(name), KEYS.result(name, id))
    }
    assert len(tags) == 1


@given(st.lists(any_text | odd_text, min_size=2, max_size=2, unique=True))
def test_no_two_names_share_a_queue_of_rabbitmq(names: list[str]) -> None:
    first, second = (TOPOLOGY.task(name) for name in names)
    assert not set(first[:3]) & set(second[:3])
