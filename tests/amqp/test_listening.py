"""How tasks are held, given back and taken again; and that a listener outlives whatever happens to its queue."""

from __future__ import annotations

import time

import pytest

from tests.amqp.by_hand import KICK_ALL, by_hand, codes, count, die_with, heard, send, take
from tests.servers import RabbitServer
from tests.servers.ports import free_port
from typeddingo._io.threads import Deadline
from typeddingo.broker import Receipt
from typeddingo.brokers._amqp_listener import AmqpListener
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.errors import ConfigError
from typeddingo.events import EventCode
from typeddingo.testing import eventually


def cut(broker: AmqpBroker) -> None:
    """As if its process had been killed: there is no public way to die."""
    for link in (broker._receiving, broker._sending):  # pyright: ignore[reportPrivateUsage]  # as the docstring says
        link.submit(link.cut)
        link.close(Deadline(0))


def test_slow_tasks_are_left_to_others(amqp_url: str) -> None:
    """A taker that asks for one at a time makes its listener hold one at a time, whatever it is allowed to."""
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 800)
    send(broker, "job", *[b"%d" % number for number in range(50)])
    (delivery,) = take(listener)
    time.sleep(0.2)
    assert count(amqp_url, "tdg.task.job") >= 48
    delivery.settle(Receipt.OK)
    broker.close()


def test_short_tasks_are_fetched_ahead_and_given_back_when_they_turn_slow(amqp_url: str) -> None:
    broker, other = AmqpBroker(amqp_url), AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 800)
    send(broker, "job", *[b"%d" % number for number in range(600)])
    seen: list[bytes] = []
    for _ in range(3):  # short ones: it asks for many
        batch = take(listener, 64)
        seen += [delivery.body for delivery in batch]
        listener.settle([(delivery, Receipt.OK) for delivery in batch])
    eventually(lambda: count(amqp_url, "tdg.task.job") < 350, "it holds many")
    held = take(listener)  # a slow one, and nobody asks for more
    eventually(lambda: count(amqp_url, "tdg.task.job") > 390, "the others are back for somebody else", 5)
    rest = take(other.add_listener("job", 500), 600 - 3 * 64 - 1 - 16)
    assert {delivery.attempt for delivery in rest} == {1}
    assert len({*seen, *(d.body for d in rest), held[0].body}) == 3 * 64 + len(rest) + 1
    other.close()
    broker.close()


def test_one_taker_of_short_tasks_soon_gets_as_many_as_it_asks_for(amqp_url: str) -> None:
    """It holds one batch while the next is on its way. With room for one batch alone it gets half of one, and then what
    has become free meanwhile, which is the other half: for ever."""
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 800)
    assert isinstance(listener, AmqpListener)
    send(broker, "job", *[b"%d" % number for number in range(400)])
    sizes: list[int] = []
    asked = 1
    while sum(sizes) < 400:
        batch = listener.take(asked, 10)
        if asked == 4:  # all that there is room for has come meanwhile, as it does while tasks run and report
            left = min(4, 400 - sum(sizes))
            eventually(lambda: listener.held >= left, "it holds as much as it asks for")  # noqa: B023  # called at once
        listener.settle([(delivery, Receipt.OK) for delivery in batch])
        sizes.append(len(batch))
        asked = min(4, max(asked, 2 * len(batch)))
    assert sorted(sizes)[len(sizes) // 2] == 4
    broker.close()


def test_what_is_given_back_while_the_listener_lives_comes_first_again(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 5)
    send(broker, "job", b"a", b"b", b"c")
    held = take(listener, 3)
    listener.settle([(held[0], Receipt.GIVE_BACK), (held[1], Receipt.GIVE_BACK)])
    again = take(listener, 2)
    assert [(d.body, d.attempt) for d in again] == [(b"a", 1), (b"b", 1)]
    held[0].settle(Receipt.OK)  # too late: it is in other hands
    listener.settle([(d, Receipt.OK) for d in (*again, held[2])])
    broker.close()
    assert count(amqp_url, "tdg.task.job") == 0


@pytest.mark.parametrize("how", ["listener", "broker"])
def test_what_is_given_back_at_the_end_is_there_for_others_within_a_second(amqp_url: str, how: str) -> None:
    """And nobody is blamed: it counts as never delivered."""
    broker, other = AmqpBroker(amqp_url), AmqpBroker(amqp_url)
    elsewhere = other.add_listener("job", 10)
    send(broker, "job", b"warm-up")
    take(elsewhere)[0].settle(Receipt.OK)
    elsewhere.close()
    listener = broker.add_listener("job", 10)
    send(broker, "job", *[b"%d" % number for number in range(6)])
    held = take(listener, 3)
    begin = time.monotonic()
    if how == "listener":
        listener.close()
        listener.settle([(delivery, Receipt.GIVE_BACK) for delivery in held])
    else:
        broker.close()
    got = take(other.add_listener("job", 10), 6)
    assert time.monotonic() - begin < 1.5  # half a second for a machine that is busy
    assert sorted((d.body, d.attempt) for d in got) == [(b"%d" % number, 1) for number in range(6)]
    other.close()
    broker.close()


def test_a_deleted_queue_is_declared_and_consumed_anew_within_two_seconds(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    events = heard(broker.events())
    listener = broker.add_listener("job", 5)
    with by_hand(amqp_url) as channel:
        channel.queue_delete("tdg.task.job")
    begin = time.monotonic()
    eventually(lambda: codes(events, EventCode.CONNECTION), "we were told")
    send(broker, "job", b"after")
    assert take(listener)[0].body == b"after"
    assert time.monotonic() - begin < 2.5
    assert ["ended our consumer" in what for what in codes(events, EventCode.CONNECTION)] == [True]
    broker.close()


def test_a_listener_of_a_queue_with_other_arguments_is_refused(amqp_url: str) -> None:
    with by_hand(amqp_url) as channel:
        channel.queue_declare("tdg.task.job", durable=True)
    broker = AmqpBroker(amqp_url)
    with pytest.raises(ConfigError, match=r"tdg\.task\.job"):
        broker.add_listener("job")
    broker.add_listener("other")
    broker.close()


def test_a_listener_without_a_server_waits_for_one(own_rabbit: RabbitServer) -> None:
    broker = AmqpBroker(f"{own_rabbit.url()}?connect_timeout=1&heartbeat=2&namespace=waits")
    events = heard(broker.events())
    own_rabbit.stop()
    begin = time.monotonic()
    listener = broker.add_listener("job", 5)
    assert 0.9 < time.monotonic() - begin < 4
    own_rabbit.start()
    send(broker, "job", b"at last")
    assert take(listener, timeout=20)[0].body == b"at last"
    told = codes(events, EventCode.CONNECTION)
    assert ["cannot be reached" in what for what in told].count(True) == 1  # not at every try
    broker.close()


def test_every_connection_lost_again_and_again_loses_nothing(rabbit_server: RabbitServer, amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 50)
    done: set[bytes] = set()
    send(broker, "job", *[b"%d" % number for number in range(300)])
    for _ in range(8):
        for delivery in listener.take(20, 1):
            done.add(delivery.body)
            delivery.settle(Receipt.OK)
        rabbit_server.eval(KICK_ALL)
    deadline = time.monotonic() + 20
    while len(done) < 300 and time.monotonic() < deadline:
        for delivery in listener.take(50, 1):
            done.add(delivery.body)
            delivery.settle(Receipt.OK)
    assert len(done) == 300
    broker.close()
    assert count(amqp_url, "tdg.dead.job") == 0


def test_closing_without_a_server_takes_no_longer_than_five_seconds() -> None:
    broker = AmqpBroker(f"amqp://127.0.0.1:{free_port()}/?connect_timeout=0.3")
    broker.add_listener("job")
    begin = time.monotonic()
    broker.close()
    assert time.monotonic() - begin < 5


def test_an_early_acknowledgement_is_on_the_server_when_it_returns(amqp_url: str) -> None:
    """Nobody gets the task of one who dies right after it: at most once."""
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 5)
    send(broker, "job", *[b"%d" % number for number in range(5)])
    held = take(listener, 5)
    assert listener.acknowledge(held)
    assert not listener.acknowledge(held)
    cut(broker)
    other = AmqpBroker(amqp_url)
    assert list(other.add_listener("job", 5).take(5, 0.5)) == []
    other.close()
    broker.close()


def test_an_early_acknowledgement_that_cannot_be_sure_says_so_and_the_task_comes_again(
    rabbit_server: RabbitServer, amqp_url: str
) -> None:
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 5)
    send(broker, "job", b"1")
    (delivery,) = take(listener)
    rabbit_server.eval(KICK_ALL)
    (again,) = take(listener)
    assert not listener.acknowledge([delivery])
    assert listener.acknowledge([again])
    assert list(listener.take(1, 0.3)) == []
    broker.close()


def test_holding_more_and_less_under_load_makes_nobody_a_suspect(amqp_url: str) -> None:
    """What a quorum queue has on its way to a consumer that is cancelled would come back as if a worker had died."""
    broker = AmqpBroker(amqp_url)
    for round in range(8):
        send(broker, "job", *[b"%d-%d" % (round, number) for number in range(200)])
        listener = broker.add_listener("job", 800)
        wanted, got = 1, 0
        while got < 150:
            batch = listener.take(wanted, 5)
            assert {delivery.attempt for delivery in batch} == {1}
            listener.settle([(delivery, Receipt.OK) for delivery in batch])
            got += len(batch)
            wanted = min(64, wanted * 2)
        listener.close()
    rest = broker.add_listener("job", 800)
    seen = 0
    while batch := rest.take(100, 0.5):
        assert {delivery.attempt for delivery in batch} == {1}
        rest.settle([(delivery, Receipt.OK) for delivery in batch])
        seen += len(batch)
    assert broker.queue("job").waiting == 0
    broker.close()


def test_at_most_once_what_comes_back_stays_in_its_queue_until_it_is_acknowledged(amqp_url: str) -> None:
    """Nobody has run it, so it is no suspect; a worker that died while it moves it would leave it in both queues."""
    heir, other = AmqpBroker(amqp_url), AmqpBroker(amqp_url)
    send(heir, "job", b"1", b"2")
    die_with(amqp_url, "tdg.task.job")
    heir.run_at_most_once()
    first, second = take(listener := heir.add_listener("job", 5), 2)
    assert {first.body, second.body} == {b"1", b"2"}
    assert listener.acknowledge([first])
    cut(heir)
    eventually(lambda: count(amqp_url, "tdg.task.job") == 1, "the other is back")
    other.add_listener("job", 5).close()  # it declares all there is
    assert count(amqp_url, "tdg.suspect.job") == 0
    other.close()
    heir.close()


@pytest.mark.parametrize("once", [True, False])
def test_at_most_once_what_is_put_off_is_taken_away_before_it_is_stored_elsewhere(amqp_url: str, once: bool) -> None:
    dying = AmqpBroker(amqp_url)
    if once:
        dying.run_at_most_once()
    listener = dying.add_listener("job", 5)
    send(dying, "job", b"1")
    (delivery,) = take(listener)
    dying._sending.close(Deadline(0))  # pyright: ignore[reportPrivateUsage]  # it dies before it can store anything
    delivery.delay = 0.1
    delivery.settle(Receipt.LATER)
    listener.close()
    cut(dying)
    other = AmqpBroker(amqp_url)
    left = [d.body for d in other.add_listener("job", 5).take(5, 1.0)]
    assert left == ([] if once else [b"1"])
    other.close()
    dying.close()


def test_at_most_once_what_is_put_off_comes_again(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    broker.run_at_most_once()
    listener = broker.add_listener("job", 5)
    send(broker, "job", b"1")
    for _ in range(3):
        (delivery,) = take(listener)
        delivery.delay = 0.1
        delivery.settle(Receipt.LATER)
    (delivery,) = take(listener)
    assert delivery.body == b"1"
    assert listener.acknowledge([delivery])
    assert list(listener.take(1, 0.5)) == []
    broker.close()


def test_at_most_once_no_more_is_held_than_the_server_acknowledges_for_sure(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    broker.run_at_most_once()
    listener = broker.add_listener("job", 800)
    assert isinstance(listener, AmqpListener)
    send(broker, "job", *[b"%d" % number for number in range(200)])
    for _ in range(3):
        batch = listener.take(64, 5)
        assert len(batch) <= 24
        assert listener.acknowledge(batch)
    eventually(lambda: listener.held == 24, "it holds what it may")
    assert len(listener.take(64, 5)) == 24
    broker.close()
    broker.close()


def test_at_most_once_what_is_given_back_at_the_end_is_there_for_others(amqp_url: str) -> None:
    broker, other = AmqpBroker(amqp_url), AmqpBroker(amqp_url)
    for each in (broker, other):
        each.run_at_most_once()
    listener = broker.add_listener("job", 5)
    send(broker, "job", *[b"%d" % number for number in range(6)])
    held = take(listener, 3)
    listener.close()
    listener.settle([(delivery, Receipt.GIVE_BACK) for delivery in held])
    got = take(other.add_listener("job", 10), 6)
    assert sorted(d.body for d in got) == [b"%d" % number for number in range(6)]
    other.close()
    broker.close()
