"""What many workers bring together: complete once, in order, and somebody is told, whoever comes last."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from typeddingo.broker import Joins, Part, Producer
from typeddingo.brokers._local_joins import SECONDS, LocalJoins
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.brokers.local import LocalBroker
from typeddingo.brokers.redis import RedisBroker
from typeddingo.message import Meta
from typeddingo.role import Role


@pytest.fixture(params=["local", "redis", "amqp", "amqp classic"])
def brokers(request: pytest.FixtureRequest) -> Iterator[list[Joins]]:
    """Two of them, as two processes have; in memory it is one."""
    make: Callable[[], LocalBroker | RedisBroker | AmqpBroker] = LocalBroker
    if request.param == "redis":
        redis: str = request.getfixturevalue("redis_url")
        make = lambda: RedisBroker(redis)  # noqa: E731  # each its own
    if "amqp" in request.param:
        amqp: str = request.getfixturevalue("amqp_url")
        settings = "?queue_type=classic" if "classic" in request.param else ""
        make = lambda: AmqpBroker(f"{amqp}{settings}")  # noqa: E731  # each its own
    made = [make()] if request.param == "local" else [make(), make()]
    for broker in made:
        assert isinstance(broker, Producer)
        broker.expect(Role.PRODUCER)
    yield [*made]
    for broker in made:
        broker.close()


def new_meta() -> Meta:
    return Meta("work", f"{uuid.uuid4()}.1")


def body(index: int) -> bytes:
    return b"value %d" % index


def all_of(count: int) -> list[bytes]:
    return [body(index) for index in range(count)]


def one(broker: Joins, part: Part) -> Sequence[bytes] | None:
    (bodies,) = broker.join([part])
    return bodies


def test_the_last_part_completes_it_in_order(brokers: list[Joins]) -> None:
    meta = new_meta()
    for index in (2, 0, 3):
        assert one(brokers[index % len(brokers)], Part(meta, index, 4, body(index))) is None
    assert one(brokers[0], Part(meta, 1, 4, body(1))) == all_of(4)
    brokers[0].forget_joins([meta])


def test_one_part_may_be_all(brokers: list[Joins]) -> None:
    assert one(brokers[0], Part(new_meta(), 0, 1, b"it")) == [b"it"]


def test_a_part_that_comes_twice_counts_once(brokers: list[Joins]) -> None:
    meta = new_meta()
    for text in (b"value 0", b"again"):
        assert one(brokers[0], Part(meta, 0, 3, text)) is None
    assert one(brokers[-1], Part(meta, 2, 3, body(2))) is None
    assert one(brokers[-1], Part(meta, 1, 3, body(1))) == all_of(3)


def test_parts_of_several_wholes_come_in_one_batch(brokers: list[Joins]) -> None:
    one, two = new_meta(), new_meta()
    parts = [Part(meta, index, 2, body(index)) for meta in (one, two) for index in range(2)]
    told = brokers[0].join(parts[:3])
    assert [bodies for bodies in told if bodies is not None] == [all_of(2)]
    assert list(brokers[0].join(parts[3:])) == [all_of(2)]


def test_what_was_not_passed_on_is_completed_again(brokers: list[Joins]) -> None:
    """Whoever brings its part once more, as a worker does that takes over the task of another one."""
    meta = new_meta()
    assert one(brokers[0], Part(meta, 0, 2, body(0))) is None
    assert one(brokers[0], Part(meta, 1, 2, body(1))) == all_of(2)
    brokers[0].release_joins([meta])
    assert one(brokers[-1], Part(meta, 1, 2, body(1))) == all_of(2)


def test_forgetting_twice_does_no_harm(brokers: list[Joins]) -> None:
    meta = new_meta()
    assert one(brokers[0], Part(meta, 0, 1, body(0))) == all_of(1)
    brokers[0].forget_joins([meta])
    brokers[0].forget_joins([meta])


@pytest.mark.parametrize("seed", range(4))
def test_of_all_who_come_at_the_same_moment_somebody_is_told(brokers: list[Joins], seed: int) -> None:
    """Many times over; some parts come twice, in any order."""
    rounds, count, draw = 10, 4, random.Random(seed)
    for _ in range(rounds):
        meta, told = new_meta(), list[Sequence[bytes]]()
        parts = [Part(meta, index, count, body(index)) for index in range(count)]
        parts += draw.sample(parts, seed % 3)
        draw.shuffle(parts)
        gate = threading.Barrier(len(parts))

        def bring(
            at: int,
            part: Part,
            meta: Meta = meta,
            told: list[Sequence[bytes]] = told,
            gate: threading.Barrier = gate,
        ) -> None:
            broker = brokers[at % len(brokers)]
            gate.wait()
            bodies = one(broker, part)
            if bodies is not None:
                told.append(bodies)
                broker.forget_joins([meta])

        with ThreadPoolExecutor(len(parts)) as pool:
            for _ in pool.map(bring, range(len(parts)), parts):
                pass
        assert told, "nobody was told"
        assert all(bodies == all_of(count) for bodies in told)


def test_in_memory_what_nobody_completes_is_kept_for_days() -> None:
    now = 0.0
    joins, meta = LocalJoins(lambda: now), new_meta()
    assert joins.add(Part(meta, 0, 2, b"")) is None
    now = SECONDS
    assert joins.add(Part(new_meta(), 0, 2, b"")) is None
    assert len(joins) == 2
    now = SECONDS + 1
    assert joins.add(Part(new_meta(), 0, 2, b"")) is None
    assert len(joins) == 2
