"""A task whose worker died runs again, alone; the one that kills its workers is put aside, and only that one."""

from __future__ import annotations

import threading

import pytest

from tests.amqp.by_hand import KICK_ALL, by_hand, codes, count, die_with, get, heard, send, take
from tests.inside import inside
from tests.servers import RabbitServer
from typeddingo._io.threads import Deadline
from typeddingo.broker import Receipt
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.events import EventCode
from typeddingo.testing import eventually

QUEUE_TYPES = pytest.mark.parametrize("queue_type", ["quorum", "classic"])


@QUEUE_TYPES
def test_a_task_whose_worker_died_comes_again_and_says_so(amqp_url: str, queue_type: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?queue_type={queue_type}")
    send(broker, "job", b"fragile")
    die_with(amqp_url, "tdg.task.job")
    (delivery,) = take(broker.add_listener("job"))
    assert (delivery.body, delivery.attempt) == (b"fragile", 2)
    delivery.settle(Receipt.OK)
    broker.close()
    assert count(amqp_url, "tdg.task.job") == count(amqp_url, "tdg.suspect.job") == count(amqp_url, "tdg.dead.job") == 0


@QUEUE_TYPES
def test_a_task_that_kills_every_worker_is_dead_after_max_deliveries(amqp_url: str, queue_type: str) -> None:
    """The first start is on the task's own queue, the others among the suspects."""
    url = f"{amqp_url}?queue_type={queue_type}&max_deliveries=3"
    broker = AmqpBroker(url)
    events = heard(broker.events())
    send(broker, "job", b"poison", b"neighbour")
    die_with(amqp_url, "tdg.task.job")
    attempts: list[int] = []
    for _ in range(2):
        listener = broker.add_listener("job")
        (poison,) = take(listener)
        assert poison.body == b"poison"
        attempts.append(poison.attempt)
        _drop_connections(broker)
        broker = AmqpBroker(url)
        broker.events().subscribe(events.append)
    listener = broker.add_listener("job")
    eventually(lambda: codes(events, EventCode.DEAD_LETTER), "it was put aside")
    assert attempts == [2, 3]
    eventually(lambda: count(amqp_url, "tdg.dead.job") == 1, "it is among the dead")
    (neighbour,) = take(listener)
    assert (neighbour.body, neighbour.attempt) == (b"neighbour", 2)  # it had been fetched by one that died
    neighbour.settle(Receipt.OK)
    assert list(listener.take(1, 0.2)) == []
    (letter,) = broker.dead("job")
    assert (letter.body, letter.reason, letter.deliveries) == (b"poison", "3 workers have died with it", 3)
    broker.close()


def _drop_connections(broker: AmqpBroker) -> None:
    """As if the process had been killed: no good-bye, nothing given back."""
    links = broker._receiving, broker._sending  # pyright: ignore[reportPrivateUsage]  # there is no public way to die
    for link in links:
        link.submit(link.cut)
        link.close(Deadline(0))


def test_a_suspect_runs_alone_and_others_wait_for_it(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    send(broker, "job", b"suspect")
    die_with(amqp_url, "tdg.task.job")
    listener = broker.add_listener("job", 10)
    (suspect,) = take(listener)
    send(broker, "job", b"usual")
    assert list(listener.take(1, 0.3)) == []
    suspect.settle(Receipt.OK)
    (usual,) = take(listener)
    assert (usual.body, usual.attempt) == (b"usual", 1)
    broker.close()


def test_a_suspect_waits_until_nothing_else_is_held(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 10)
    send(broker, "job", b"running")
    (running,) = take(listener)
    with by_hand(amqp_url) as channel:  # a suspect of another worker
        channel.basic_publish("", "tdg.suspect.job", b"suspect")
    taken: list[bytes] = []
    thread = threading.Thread(target=lambda: taken.extend(d.body for d in take(listener)))
    thread.start()
    eventually(lambda: inside(thread, "enter_alone"), "it waits for its turn", 20)
    assert taken == []
    running.settle(Receipt.OK)
    thread.join(10)
    assert taken == [b"suspect"]
    broker.close()


def test_what_a_living_worker_held_when_its_connection_broke_is_no_suspect(
    rabbit_server: RabbitServer, amqp_url: str
) -> None:
    broker = AmqpBroker(amqp_url)
    events = heard(broker.events())
    listener = broker.add_listener("job", 10)
    send(broker, "job", b"a", b"b", b"c")
    held = take(listener, 3)
    rabbit_server.eval(KICK_ALL)
    again = take(listener, 3)
    assert [(d.body, d.attempt) for d in again] == [(b"a", 1), (b"b", 1), (b"c", 1)]
    for delivery in (*held, *again):  # the receipts of the first connection are worth nothing, and harm nothing
        delivery.settle(Receipt.OK)
    eventually(lambda: any("back" in what for what in codes(events, EventCode.CONNECTION)), "the connection is back")
    assert list(listener.take(1, 0.2)) == []
    broker.close()
    assert count(amqp_url, "tdg.task.job") == count(amqp_url, "tdg.suspect.job") == 0


@pytest.mark.parametrize("receipt", [Receipt.NOK, Receipt.WORKER_NOT_FOUND])
def test_a_refused_task_is_among_the_dead_with_its_reason(amqp_url: str, receipt: Receipt) -> None:
    broker = AmqpBroker(amqp_url)
    events = heard(broker.events())
    send(broker, "job", b"bad", b"good")
    bad, good = take(broker.add_listener("job", 2), 2)
    bad.reason = "the payload is no JSON"
    bad.settle(receipt)
    good.settle(Receipt.OK)
    eventually(lambda: count(amqp_url, "tdg.dead.job") == 1, "it was put aside")
    with by_hand(amqp_url) as channel:
        _, properties, body = get(channel, "tdg.dead.job")
    headers = properties.headers or {}
    assert (body, headers["tdg-name"], headers["tdg-attempts"]) == (b"bad", "job", 1)
    assert headers["tdg-reason"] == "refused: the payload is no JSON"
    assert [(e.task, e.id) for e in events if e.code in (EventCode.DEAD_LETTER, EventCode.WORKER_NOT_FOUND)] == [
        ("job", "bad")
    ]
    broker.close()
    assert count(amqp_url, "tdg.task.job") == 0
