"""Tasks that are not due yet: where they wait, that they wait for nobody, and that they survive what tasks survive."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.amqp.by_hand import KICK_ALL, codes, count, die_with, heard, take
from tests.servers import RabbitServer
from tests.servers.fixtures import started
from tests.unit.by_hand import SECONDS
from typeddingo import App, ConfigError
from typeddingo._io.amqp_clock import difference
from typeddingo._io.amqp_later import CLASSES, LONGEST, UNIT_MS, Levels
from typeddingo._io.amqp_message import Route
from typeddingo.broker import Delivery, Feature, Listener, Parcel, Receipt
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.events import EventCode
from typeddingo.message import Meta
from typeddingo.terms import Terms
from typeddingo.testing import eventually

IMPATIENCE = {
    "consumer_timeout": 2000,
    "channel_tick_interval": 1000,
    "dead_letter_worker_publisher_confirm_timeout": 1000,
}
"""Milliseconds, of a server that is as usual otherwise: 30 minutes, 1 minute, 3 minutes."""
QUEUE_TYPES = pytest.mark.parametrize("queue_type", ["quorum", "classic"])


@pytest.fixture(scope="module")
def impatient_rabbit() -> Iterator[RabbitServer]:
    """Takes back what is not acknowledged within two seconds, and looks every second; a queue that was full is tried
    again after one."""
    with started(RabbitServer) as server:
        for name, value in IMPATIENCE.items():
            server.eval(f"application:set_env(rabbit, {name}, {value}).")
        yield server


def send(broker: AmqpBroker, name: str, body: bytes, terms: Terms) -> None:
    broker.send([Parcel(Meta(name, body.decode()), body, terms)]).wait(SECONDS)


def settle(delivery: Delivery, receipt: Receipt, delay: float) -> None:
    delivery.delay = delay
    delivery.settle(receipt)


def take_one(listener: Listener) -> Delivery:
    return take(listener)[0]


# The plan, without a server.


@given(st.floats(0, LONGEST))
def test_the_levels_of_a_delay_add_up_to_it(seconds: float) -> None:
    route, headers = Levels("tdg").wait(seconds, "tdg.due.0.job", Route("", "tdg.task.job"))
    units = 1 + sum(2 ** (int(name.removeprefix("tdg-")) - 1) for name, passes in headers.items() if passes)
    assert seconds * 1000 <= units * UNIT_MS <= seconds * 1000 + UNIT_MS + 0.01
    assert route.key == "tdg.due.0.job"
    assert route.exchange in {"", *(f"tdg.later.{level}" for level in CLASSES)}


def test_the_longest_delay_is_longer_than_thirty_days() -> None:
    assert LONGEST > 77 * 86400


def test_a_longer_delay_is_refused(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    with pytest.raises(ConfigError, match="77 days at most"):
        send(broker, "job", b"1", Terms(delay=78 * 86400.0))
    with pytest.raises(ConfigError, match="77 days at most"):
        send(broker, "job", b"1", Terms(eta=time.time() + 78 * 86400))
    broker.close()


def test_the_layout_of_go_dingo_has_no_place_for_it(amqp_url: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?layout=dingo")
    assert broker.features is Feature.NONE
    with pytest.raises(ConfigError, match="use the native one"):
        send(broker, "job", b"1", Terms(delay=1.0))
    with pytest.raises(ConfigError, match="cannot cancel"):
        broker.cancel([Meta("job", "1")])
    broker.close()


# On a server.


@QUEUE_TYPES
def test_what_is_due_sooner_is_not_held_up_by_what_is_due_later(amqp_url: str, queue_type: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?queue_type={queue_type}")
    listener = broker.add_listener("job", 10)
    began = time.time()
    for delay in (30 * 86400, 3600, 1.6, 0.8, 0.4, 0.01):
        send(broker, "job", str(delay).encode(), Terms(delay=delay))
    send(broker, "job", b"0", Terms(eta=began - 5))
    arrived = [(float(delivery.body), time.time() - began) for delivery in take(listener, 5)]
    assert [delay for delay, _ in arrived] == sorted(delay for delay, _ in arrived) or arrived[0][0] in (0, 0.01)
    assert all(after >= delay for delay, after in arrived)
    assert list(listener.take(1, 0.2)) == []
    broker.close()


@QUEUE_TYPES
def test_a_retry_counts_and_keeps_what_is_written_on_a_task(amqp_url: str, queue_type: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?queue_type={queue_type}")
    listener = broker.add_listener("job")
    end = time.time() + 3600
    broker.send([Parcel(Meta("job", "id", "somewhere"), b"body", Terms(expires=end, priority=3))]).wait(SECONDS)
    seen: list[tuple[bytes, str, int, int, bool]] = []
    for receipt in (Receipt.RETRY, Receipt.LATER, Receipt.RETRY, Receipt.OK):
        delivery = take_one(listener)
        seen.append((delivery.body, delivery.reply_to, delivery.attempt, delivery.retries, delivery.expired))
        settle(delivery, receipt, 0.05)
    assert seen == [(b"body", "somewhere", 1, retries, False) for retries in (0, 1, 1, 2)]
    eventually(lambda: broker.queue("job").waiting == 0)
    broker.close()


@QUEUE_TYPES
def test_a_task_that_expires_while_it_waits_comes_as_expired(amqp_url: str, queue_type: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?queue_type={queue_type}")
    listener = broker.add_listener("job")
    send(broker, "job", b"retried", Terms(lifetime=0.3))
    settle(take_one(listener), Receipt.RETRY, 0.5)
    delivery = take_one(listener)
    assert (delivery.expired, delivery.retries) == (True, 1)
    delivery.settle(Receipt.OK)
    broker.close()


@pytest.mark.parametrize("shift", [-3600.0, 3600.0])
def test_a_worker_whose_clock_is_wrong_expires_neither_early_nor_late(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    broker = AmqpBroker(amqp_url)
    send(broker, "job", b"late", Terms(expires=time.time() - 10))
    send(broker, "job", b"in time", Terms(lifetime=600.0))
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + shift)
    late, in_time = take(broker.add_listener("job", 2), 2)
    assert (late.body, late.expired) == (b"late", True)
    assert (in_time.body, in_time.expired) == (b"in time", False)
    broker.close()


@given(st.floats(0, 2e9), st.floats(0, 2), st.floats(-7200, 7200), st.floats(0, 1))
def test_the_servers_clock_is_known_to_a_second(ours: float, seconds: float, ahead: float, when: float) -> None:
    """``when``, between question and answer, the server has looked at its clock."""
    second = math.floor(ours + seconds * when + ahead)
    assert abs(difference(ours, ours + seconds, second) - ahead) <= 1 + seconds + 1e-3


def test_workers_that_die_are_counted_anew_after_a_retry(amqp_url: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?max_deliveries=2")
    send(broker, "job", b"fragile", Terms(lifetime=3600.0))
    die_with(amqp_url, "tdg.task.job")
    listener = broker.add_listener("job")
    suspect = take_one(listener)
    assert (suspect.attempt, suspect.retries) == (2, 0)
    settle(suspect, Receipt.RETRY, 0.01)
    again = take_one(listener)
    assert (again.attempt, again.retries) == (1, 1)
    again.settle(Receipt.OK)
    broker.close()


def test_what_failed_for_good_is_kept_with_its_failure_and_starts_anew_when_replayed(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    events = heard(broker.events())
    listener = broker.add_listener("job")
    send(broker, "job", b"broken", Terms(lifetime=3600.0))
    settle(take_one(listener), Receipt.RETRY, 0.01)
    delivery = take_one(listener)
    delivery.reason = "ValueError: no\n" + "at length " * 10_000
    delivery.settle(Receipt.FAILED)
    eventually(lambda: count(amqp_url, "tdg.dead.job") == 1)
    (letter,) = broker.dead("job")
    assert letter.reason.startswith("failed: ValueError: no")
    assert codes(events, EventCode.DEAD_LETTER)
    assert broker.replay("job") == 1
    again = take_one(listener)
    assert (again.retries, again.attempt, again.expired) == (0, 1, False)
    again.settle(Receipt.OK)
    broker.close()


def test_a_full_queue_takes_what_is_due_when_there_is_room_and_others_do_not_wait_for_that(
    impatient_rabbit: RabbitServer,
) -> None:
    """RabbitMQ hands over 32 tasks at a time: as many that find no room would hold up all that are due."""
    broker = AmqpBroker(f"{impatient_rabbit.url(impatient_rabbit.new_vhost())}?max_length=1")
    send(broker, "full", b"usual", Terms())
    for number in range(40):
        send(broker, "full", str(number).encode(), Terms(delay=0.1))
    send(broker, "job", b"due", Terms(delay=0.2))
    listener = broker.add_listener("job")
    take_one(listener).settle(Receipt.OK)
    full = broker.add_listener("full")
    bodies: set[bytes] = set()
    for _ in range(41):
        delivery = take_one(full)
        bodies.add(delivery.body)
        delivery.settle(Receipt.OK)
    assert len(bodies) == 41
    broker.close()


@pytest.mark.parametrize("receipt", [Receipt.RETRY, Receipt.FAILED])
def test_a_delivery_that_is_no_longer_ours_is_neither_put_off_nor_put_aside(amqp_url: str, receipt: Receipt) -> None:
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 2)
    send(broker, "job", b"1", Terms(lifetime=3600.0))
    stale = take_one(listener)
    for link in (broker._receiving, broker._sending):  # pyright: ignore[reportPrivateUsage]  # what it is about
        link.submit(link.cut)
    again = take_one(listener)
    settle(stale, receipt, 0.01)
    again.settle(Receipt.OK)
    assert list(listener.take(1, 0.5)) == []
    assert broker.queue("job").dead == 0
    broker.close()


def test_tasks_that_wait_survive_a_restart_of_the_server(own_rabbit: RabbitServer) -> None:
    with App(own_rabbit.url(own_rabbit.new_vhost())) as app:

        @app.task(name="flaky", retries=2, backoff=0.0, context=False)
        def flaky(number: int) -> float:
            runs.append(number)
            if runs.count(number) < 2:
                raise ConnectionError
            return time.time()

        runs: list[int] = []
        app.allocate("flaky", 1)
        due = time.time() + 4
        results = [flaky.with_options(delay=4.0).call(number) for number in range(20)]
        own_rabbit.restart()
        times = [result.get(60) for result in results]
    assert all(when >= due for when in times)
    assert sorted(runs) == sorted([*range(20), *range(20)])


# What users of other queues report most, by their number in the survey of the field.


def test_03_a_delayed_task_outlasts_the_consumer_timeout_of_the_server(impatient_rabbit: RabbitServer) -> None:
    """Celery and dramatiq keep delayed tasks in a worker, unacknowledged: RabbitMQ closes its channel after 30 minutes,
    and all of it comes again. Here nothing that waits is in a worker."""
    url = impatient_rabbit.url(impatient_rabbit.new_vhost())
    broker = AmqpBroker(url)
    events = heard(broker.events())
    listener = broker.add_listener("job", 10)
    send(broker, "job", b"later", Terms(delay=5.0))
    (delivery,) = take(listener, timeout=15.0)
    assert (delivery.body, delivery.attempt) == (b"later", 1)
    delivery.settle(Receipt.OK)
    assert list(listener.take(1, 0.5)) == []
    assert not codes(events, EventCode.CONNECTION)
    broker.close()


def test_03_this_server_does_take_back_what_a_worker_keeps_for_too_long(impatient_rabbit: RabbitServer) -> None:
    """Else the test above would prove nothing."""
    url = impatient_rabbit.url(impatient_rabbit.new_vhost())
    broker = AmqpBroker(url)
    listener = broker.add_listener("job", 2)
    send(broker, "job", b"slow", Terms())
    assert take_one(listener).attempt == 1
    assert take(listener, timeout=20.0)[0].body == b"slow"
    broker.close()


def test_05_delayed_tasks_do_not_hold_up_others_on_a_quorum_queue(amqp_url: str) -> None:
    """On quorum queues Celery's worker cannot raise its prefetch for the delayed tasks that it keeps: with as many of
    them as its prefetch, it does nothing else. Here a worker that holds one task at a time does all the others."""
    with App(f"{amqp_url}?prefetch=1") as app:

        @app.task(name="note")
        def note(number: int) -> int:
            return number

        app.allocate("note", 1)
        with app.batch():
            delayed = [note.with_options(delay=3600.0).call(number) for number in range(200)]
        began = time.monotonic()
        assert [note.call(number).get(SECONDS) for number in range(50)] == list(range(50))
        assert time.monotonic() - began < SECONDS
        assert not any(result.done for result in delayed)


def test_16_connections_that_are_cut_lose_no_task_that_is_put_off(rabbit_server: RabbitServer, amqp_url: str) -> None:
    vhost = amqp_url.rpartition("/")[2]
    broker = AmqpBroker(amqp_url)
    listener = broker.add_listener("job", 4)
    for number in range(20):
        send(broker, "job", str(number).encode(), Terms())
    done: set[bytes] = set()
    for turn in range(200):
        if turn in (10, 30):
            rabbit_server.eval(KICK_ALL.replace('"test"', f'"test {vhost}"'))
        for delivery in listener.take(1, 1.0):
            if delivery.retries:
                done.add(delivery.body)
                delivery.settle(Receipt.OK)
            else:
                settle(delivery, Receipt.RETRY, 0.1)
        if len(done) == 20:
            break
    assert len(done) == 20
    broker.close()
