"""What every limiter promises, asked directly: a slot is a lease, the line is kept, keys do not mix."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.servers import Proxy
from tests.unit.by_hand import SECONDS
from typeddingo.bridges.urls import open_broker
from typeddingo.broker import NamedBroker
from typeddingo.brokers import _amqp_limits
from typeddingo.brokers.local import LocalNamedBroker
from typeddingo.config import Config
from typeddingo.limits import Bounds, Limiter, Rate, Want
from typeddingo.role import Role
from typeddingo.testing import eventually

LEASE = 1.0


@pytest.fixture(params=["local", "redis", "amqp"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "local":
        return ""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return f"{url}?lease={LEASE}" if request.param == "redis" else url


def opened(url: str) -> NamedBroker:
    broker = open_broker(url, Config())
    assert isinstance(broker, NamedBroker)
    broker.expect(Role.PRODUCER | Role.NAMED_CONSUMER)
    return broker


@pytest.fixture
def brokers(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[NamedBroker]]:
    """Two that share a server, or one twice."""
    monkeypatch.setattr(_amqp_limits, "LEASE", LEASE)
    found: list[NamedBroker] = [opened(url), opened(url)] if url else [LocalNamedBroker()] * 2
    yield found
    for broker in found:
        broker.close()


@pytest.fixture
def slow(url: str) -> Iterator[NamedBroker]:
    """One to which every byte takes its time."""
    if not url:
        pytest.skip("there is no way to be slow on")
    target = urlsplit(url).port
    assert target is not None
    with Proxy(target) as proxy:
        proxy.weather.latency = 0.15
        broker = opened(proxy.url(url))
        yield broker
        broker.close()


def limiter_of(broker: NamedBroker) -> Limiter:
    limiter = broker.limiter()
    assert limiter is not None
    assert broker.limiter() is limiter
    return limiter


def want(id: str, bounds: Bounds, key: str = "") -> Want:
    return Want("task", key, id, bounds)


def test_a_slot_is_one_for_all_processes_and_comes_back(brokers: list[NamedBroker]) -> None:
    one, two = map(limiter_of, brokers)
    bounds = Bounds(None, 1)
    assert one.acquire([want("first", bounds)]) == [0.0]
    assert two.acquire([want("second", bounds)])[0] > 0
    assert two.acquire([want("second", bounds, "another key"), want("first", bounds)]) == [0.0, 0.0]
    one.release([want("first", bounds)])
    two.release([want("first", bounds)])
    eventually(lambda: two.acquire([want("second", bounds)]) == [0.0], "its place is free", SECONDS)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_slot_is_kept_while_its_worker_lives_and_not_for_long_after(brokers: list[NamedBroker], busy: bool) -> None:
    if brokers[0] is brokers[1]:
        pytest.skip("both die together")
    one, two = map(limiter_of, brokers)
    bounds = Bounds(None, 1)
    assert one.acquire([want("first", bounds)]) == [0.0]
    began = time.monotonic()
    while time.monotonic() - began < 2.5 * LEASE:
        assert two.acquire([want("second", bounds)])[0] > 0
        if busy:
            one.acquire([want("short", bounds, "another key")])
            one.release([want("short", bounds, "another key")])
        time.sleep(0.1)  # there is nothing to wait for: it must not start
    one._held.clear()  # type: ignore[attr-defined]  # pyright: ignore  # as one that died, it says no more of it
    eventually(lambda: two.acquire([want("second", bounds)]) == [0.0], "its place is free", SECONDS)


def test_a_rate_is_one_for_all_processes(brokers: list[NamedBroker]) -> None:
    limiters = [limiter_of(broker) for broker in brokers]
    bounds = Bounds(Rate(3, 0.6))
    began = time.monotonic()
    due = {f"task {number}": 0.0 for number in range(9)}
    started: list[tuple[float, str]] = []
    asked = 0
    while due:
        id = min(due, key=lambda id: due[id])
        time.sleep(max(0.0, due[id] - time.monotonic()))  # what whoever waits does
        (wait,) = limiters[asked % 2].acquire([want(id, bounds)])
        asked += 1
        if wait:
            due[id] = time.monotonic() + wait
        else:
            started.append((time.monotonic(), id))
            del due[id]
    times = [at for at, _ in started]
    assert all(later - earlier > 0.6 - 0.03 for earlier, later in zip(times, times[3:], strict=False))
    assert times[-1] - began < 1.2 / 0.8 + 0.5
    places = {id: place for place, (_, id) in enumerate(started)}
    assert all(abs(place - int(id.split()[1])) <= 3 for id, place in places.items()), started
    assert asked <= 40


def test_a_start_counts_from_when_its_worker_hears_of_it(brokers: list[NamedBroker], slow: NamedBroker) -> None:
    bounds = Bounds(Rate(1, 1.5))
    assert limiter_of(slow).acquire([want("first", bounds)]) == [0.0]
    heard = time.monotonic()
    other = limiter_of(brokers[0])
    while wait := other.acquire([want("second", bounds)])[0]:
        time.sleep(wait)  # what whoever waits does
    assert time.monotonic() - heard > 1.5 - 0.03
