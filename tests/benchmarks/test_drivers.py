"""Every workload, for a moment, with our own driver and the raw ones; peers are installed on demand and not here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.measure import ALL, SMOKE, measure
from benchmarks.servers import Servers
from benchmarks.systems import SYSTEMS, System, chosen
from tests.servers import RabbitServer, RedisServer

pytestmark = [pytest.mark.servers, pytest.mark.slow]

OWN = [system for system in SYSTEMS if not system.needs and system.name != "typeddingo classic"]
FIGURES_OF_ALL = {"W1 enqueue", "W1 enqueue many", "W2 drain", "W3 100 in flight", "W4 idle p99", "W5 100 in flight"}
FIGURES_OF_OURS = {"W6 8 threads", "W6 100 coroutines", "W7 fast p95 alone", "W7 fast p95 between slow ones"}


@pytest.fixture(scope="module")
def servers(redis_server: RedisServer, rabbit_server: RabbitServer) -> Iterator[Servers]:
    with Servers(redis_server, rabbit_server) as servers:
        yield servers


@pytest.mark.parametrize("system", OWN, ids=lambda system: f"{system.technology}-{system.name}".replace(" ", "-"))
def test_every_workload_gives_its_figures(system: System, servers: Servers) -> None:
    taken = measure(system, servers, ALL, replace(SMOKE, idle=3, mixed=2))
    assert taken.failures == []
    assert FIGURES_OF_ALL | (FIGURES_OF_OURS if system.is_ours else set()) <= taken.figures.keys()
    assert all(value >= 0 for value in taken.figures.values())
    assert taken.configuration.settings
    assert taken.configuration.versions


def test_a_system_that_fails_says_why_and_goes_on(servers: Servers) -> None:
    broken = System("broken", "redis", "typeddingo", query="no_such_setting=1")
    taken = measure(broken, servers, ["W1", "W7"], SMOKE)
    assert taken.figures == {}
    assert len(taken.failures) == 3
    assert "no_such_setting" in taken.failures[0]


def test_raw_and_ours_are_always_there() -> None:
    assert [system.name for system in chosen("redis", ())] == ["raw", "typeddingo"]
    assert [system.name for system in chosen("amqp", ("celery",))] == [
        "raw",
        "typeddingo",
        "typeddingo classic",
        "celery",
    ]


def test_an_unknown_peer_is_an_error() -> None:
    with pytest.raises(LookupError, match="unknown peers: celeri"):
        chosen("redis", ("celeri",))
