"""What an operator sees and does."""

from __future__ import annotations

import time

import pytest

from tests.amqp.by_hand import count, send, take
from tests.servers import RabbitServer
from tests.servers.ports import free_port
from typeddingo.broker import Parcel, Receipt
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.header import frame_bytes
from typeddingo.inspection import Inspector, QueueState
from typeddingo.message import Meta
from typeddingo.testing import eventually


def kill(broker: AmqpBroker, url: str, *bodies: bytes) -> None:
    """Make dead letters of them, one after the other."""
    listener = broker.add_listener("job", 1)
    for number, body in enumerate(bodies, 1):
        send(broker, "job", body)
        take(listener)[0].settle(Receipt.NOK)
        eventually(lambda number=number: count(url, "tdg.dead.job") == number, "it is dead")  # type: ignore[misc]  # bound for this round
    listener.close()


def test_a_queue_that_does_not_exist_is_empty(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    assert isinstance(broker, Inspector)
    assert broker.queue("job") == QueueState("job", 0, 0, 0, 0)
    assert (list(broker.dead("job")), broker.replay("job"), broker.purge("job")) == ([], 0, 0)
    broker.close()


def test_depths_are_what_the_server_knows(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    send(broker, "job", b"a", b"b", b"c", b"d")
    (held,) = take(broker.add_listener("job", 1))
    eventually(lambda: broker.queue("job") == QueueState("job", 3, 1, 0, 1), "three wait, one runs")
    held.settle(Receipt.NOK)
    eventually(lambda: broker.queue("job").dead == 1, "one is dead")
    broker.close()


def test_dead_letters_are_looked_at_and_stay(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    frame = frame_bytes("the id", "job", b"{}")
    listener = broker.add_listener("job")
    broker.send([Parcel(Meta("job", "the id", "tdg.reply.me"), frame)]).wait(10)
    take(listener)[0].settle(Receipt.NOK)
    listener.close()
    eventually(lambda: broker.queue("job").dead == 1, "it is dead")
    for _ in range(3):
        (letter,) = broker.dead("job")
        assert (letter.name, letter.id, letter.body, letter.deliveries) == ("job", "the id", frame, 1)
        assert letter.reason == "its worker refused it for good"
        assert abs(letter.time - time.time()) < 60
    broker.close()


def test_the_oldest_come_first_and_no_more_than_wanted(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    kill(broker, amqp_url, b"1", b"2", b"3")
    assert [letter.body for letter in broker.dead("job", 2)] == [b"1", b"2"]
    assert [letter.body for letter in broker.dead("job")] == [b"1", b"2", b"3"]
    assert len({letter.key for letter in broker.dead("job")}) == 3
    broker.close()


def test_replayed_ones_are_new_tasks_and_the_others_stay(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    kill(broker, amqp_url, b"1", b"2", b"3")
    key = next(letter.key for letter in broker.dead("job") if letter.body == b"2")
    assert broker.replay("job", [key, "no such key"]) == 1
    listener = broker.add_listener("job", 5)
    (again,) = take(listener)
    assert (again.body, again.attempt) == (b"2", 1)
    again.settle(Receipt.OK)
    assert broker.replay("job") == 2
    rest = take(listener, 2)
    assert [d.body for d in rest] == [b"1", b"3"]
    listener.settle([(d, Receipt.OK) for d in rest])
    assert (broker.queue("job").dead, broker.replay("job")) == (0, 0)
    broker.close()


def test_purged_ones_are_gone_and_the_others_stay(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    kill(broker, amqp_url, b"1", b"2", b"3")
    key = next(letter.key for letter in broker.dead("job") if letter.body == b"2")
    assert broker.purge("job", [key]) == 1
    assert [letter.body for letter in broker.dead("job")] == [b"1", b"3"]
    assert broker.purge("job") == 2
    assert list(broker.dead("job")) == []
    broker.close()


def test_ping_tells_a_living_server_from_one_that_is_gone_or_refuses_us(rabbit_server: RabbitServer) -> None:
    broker = AmqpBroker(rabbit_server.url())
    broker.ping()
    broker.close()
    with pytest.raises(ConnectionLost):
        broker.ping()
    gone = AmqpBroker(f"amqp://127.0.0.1:{free_port()}/?connect_timeout=0.3&send_timeout=0.3")
    for ask in (gone.ping, lambda: gone.queue("job")):
        with pytest.raises(ConnectionLost):
            ask()
    gone.close()
    refused = AmqpBroker(f"amqp://guest:wrong@127.0.0.1:{rabbit_server.port}/")
    with pytest.raises(ConfigError):
        refused.ping()
    refused.close()
