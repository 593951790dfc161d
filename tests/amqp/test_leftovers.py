"""After close nothing of ours is left: no thread, connection or consumer, and only the queues that must last."""

from __future__ import annotations

import os
import time
import warnings

import pytest

from tests.amqp.by_hand import send, take
from tests.leftovers import running
from tests.servers import RabbitServer
from typeddingo.backends.amqp import AmqpBackend
from typeddingo.broker import Parcel, Receipt
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.message import Meta
from typeddingo.testing import eventually

CONNECTIONS = "length(rabbit_networking:connections())."
QUEUES = '[binary_to_list(element(4, amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list(<<"{vhost}">>)].'


def test_nothing_is_left_but_the_queues_of_tasks(rabbit_server: RabbitServer, amqp_url: str) -> None:
    before = rabbit_server.eval(CONNECTIONS)
    broker, caller, worker = AmqpBroker(amqp_url), AmqpBackend(amqp_url), AmqpBackend(amqp_url)
    listener = broker.add_listener("job", 10)
    meta = Meta("job", "1", caller.reply_to)
    stream = caller.poll(meta)
    send(broker, "job", b"1")
    (delivery,) = take(listener)
    worker.report([Parcel(meta, b"report")])
    assert list(stream.take(10)) == [b"report"]
    delivery.settle(Receipt.OK)
    for each in (broker, caller, worker):
        each.close()
        each.close()
    assert running() == []
    eventually(lambda: rabbit_server.eval(CONNECTIONS) == before, "our connections are gone")
    vhost = amqp_url.rpartition("/")[2]
    queues = rabbit_server.eval(QUEUES.format(vhost=vhost))
    assert all(f"tdg.{kind}.job" in queues for kind in ("task", "suspect", "dead"))
    assert "reply" not in queues


def test_an_object_that_was_never_used_has_opened_nothing(rabbit_server: RabbitServer, amqp_url: str) -> None:
    before = rabbit_server.eval(CONNECTIONS)
    broker, backend = AmqpBroker(amqp_url), AmqpBackend(amqp_url)
    broker.declare_task("job")
    assert running() == []
    assert rabbit_server.eval(CONNECTIONS) == before
    broker.close()
    backend.close()
    assert running() == []


def test_ten_thousand_outstanding_results_need_one_queue_and_one_connection(
    rabbit_server: RabbitServer, amqp_url: str
) -> None:
    before = rabbit_server.eval(CONNECTIONS)
    store = AmqpBackend(amqp_url)
    for number in range(10_000):
        store.poll(Meta("job", str(number), store.reply_to))
    assert len(running()) == 2
    vhost = amqp_url.rpartition("/")[2]
    assert rabbit_server.eval(QUEUES.format(vhost=vhost)).count("tdg.") == 1
    store.close()
    eventually(lambda: rabbit_server.eval(CONNECTIONS) == before, "our connection is gone")
    assert running() == []


def test_an_idle_worker_stays_awake_over_many_heartbeats(amqp_url: str) -> None:
    """Heartbeats of a second: what lies in ten minutes of the usual ones lies in a minute of these."""
    broker = AmqpBroker(f"{amqp_url}?heartbeat=1")
    listener = broker.add_listener("job", 5)
    send(broker, "job", b"first")
    take(listener)[0].settle(Receipt.OK)
    assert list(listener.take(1, 6)) == []
    begin = time.monotonic()
    send(broker, "job", b"second")
    take(listener)[0].settle(Receipt.OK)
    assert time.monotonic() - begin < 0.5
    broker.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_touches_no_connection_of_its_parent(amqp_url: str) -> None:
    broker, caller = AmqpBroker(amqp_url), AmqpBackend(amqp_url)
    send(broker, "job", b"before")
    caller.poll(Meta("job", "1", caller.reply_to))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of what is tested here
        child = os.fork()
    if child == 0:
        begin = time.monotonic()
        broker.close()
        caller.close()
        os._exit(0 if time.monotonic() - begin < 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    send(broker, "job", b"after")
    caller.ping()
    broker.close()
    caller.close()
