"""A task may not go through more functions than ``benchmarks.calls`` allows: speed that no noisy machine can hide."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.calls import BOUNDS, Calls, calls_of, count, own
from benchmarks.servers import Servers
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def servers(redis_server: RedisServer, rabbit_server: RabbitServer) -> Iterator[Servers]:
    with Servers(redis_server, rabbit_server) as servers:
        yield servers


def need_few(path: str, calls: Calls) -> None:
    ours, of_all = BOUNDS[path]
    assert own(calls) <= ours, f"python -m benchmarks.calls {path.partition(',')[0]} tells which"
    assert sum(calls.values()) <= of_all, f"python -m benchmarks.calls {path.partition(',')[0]} tells which"


@pytest.mark.parametrize("path", [path for path in BOUNDS if path.startswith("local")])
def test_a_local_task_goes_through_no_more_functions_than_it_may(path: str) -> None:
    need_few(path, count(path, Servers()))


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", [path for path in BOUNDS if not path.startswith("local")])
def test_a_remote_task_goes_through_no_more_functions_than_it_may(path: str, servers: Servers) -> None:
    need_few(path, count(path, servers))


def test_what_runs_for_every_task_is_counted_and_what_runs_seldom_is_not() -> None:
    def often() -> None: ...

    def seldom() -> None: ...

    def work(begin: object) -> None:
        for number in range(100):
            often()
            often()
            if number % 10 == 0:
                seldom()

    calls = calls_of(work, 100)
    found = {name.rpartition(".")[2]: times for name, times in calls.items()}
    assert found["often"] == 2
    assert "seldom" not in found


def test_what_was_before_the_beginning_does_not_count() -> None:
    def early() -> None: ...

    def work(begin: object) -> None:
        for _ in range(100):
            early()
        assert callable(begin)
        begin()

    assert not any("early" in name for name in calls_of(work, 100))
