"""What ``send`` promises: stored, certainly not stored, or unknown; never anything else, and in time."""

from __future__ import annotations

import time

import pytest

from tests.amqp.by_hand import by_hand, codes, count, get, heard, send
from tests.servers import RabbitServer
from tests.servers.ports import free_port
from typeddingo.broker import Parcel
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.errors import (
    BrokerBlocked,
    ConfigError,
    ConnectionLost,
    PayloadTooLarge,
    QueueFull,
    SendError,
    SendUnknown,
)
from typeddingo.events import EventCode
from typeddingo.message import Meta
from typeddingo.testing import eventually

TASK = Parcel(Meta("job", "1"), b"frame")


def test_a_confirmed_task_is_in_a_durable_quorum_queue(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    broker.send([Parcel(Meta("job", "17", "tdg.reply.me"), b"frame")]).wait(10)
    with by_hand(amqp_url) as channel:
        _, properties, body = get(channel, "tdg.task.job")
        assert body == b"frame"
        assert (properties.message_id, properties.reply_to, properties.delivery_mode) == ("17", "tdg.reply.me", 2)
    broker.close()


def test_a_queue_that_somebody_deleted_is_declared_again(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    send(broker, "job", b"before")
    with by_hand(amqp_url) as channel:
        channel.queue_delete("tdg.task.job")
    send(broker, "job", b"after")
    assert count(amqp_url, "tdg.task.job") == 1
    broker.close()


def test_more_than_may_wait_is_queue_full_and_what_was_confirmed_stays(amqp_url: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?max_length=3")
    outcomes: list[str] = []
    for number in range(12):
        try:
            send(broker, "job", b"%d" % number)
            outcomes.append("stored")
        except QueueFull:
            outcomes.append("full")
    assert outcomes[-1] == "full"
    eventually(lambda: count(amqp_url, "tdg.task.job") == outcomes.count("stored"), "all that was confirmed is there")
    broker.close()


def test_a_task_above_the_limit_never_reaches_the_socket(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url, max_frame=1000)
    with pytest.raises(PayloadTooLarge, match="1001 bytes; the limit is 1000"):
        broker.send([Parcel(Meta("job", "1"), bytes(1001))])
    send(broker, "job", bytes(b"x" * 100))
    broker.close()


def test_a_queue_with_other_arguments_is_a_config_error_that_names_it(amqp_url: str) -> None:
    with by_hand(amqp_url) as channel:
        channel.queue_declare("tdg.task.job", durable=True)
    broker = AmqpBroker(amqp_url)
    with pytest.raises(ConfigError, match=r"inequivalent arg 'x-.*tdg\.task\.job"):
        broker.send([TASK]).wait(10)
    send(broker, "other", b"is not harmed")
    broker.close()


@pytest.mark.parametrize(
    ("wrong", "what"), [("guest:canary@", "credentials"), ("guest:guest@", "virtual host|not found")]
)
def test_a_server_that_refuses_us_is_a_config_error_at_once(rabbit_server: RabbitServer, wrong: str, what: str) -> None:
    vhost = "%2F" if "canary" in wrong else "nowhere"
    broker = AmqpBroker(f"amqp://{wrong}127.0.0.1:{rabbit_server.port}/{vhost}")
    events = heard(broker.events())
    begin = time.monotonic()
    with pytest.raises(ConfigError, match=what) as caught:
        broker.send([TASK]).wait(10)
    assert time.monotonic() - begin < 5
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r} {events} {broker.settings!r}"
    with pytest.raises(ConfigError, match=what):
        broker.add_listener("job")
    broker.close()


def test_who_may_have_the_queues_of_tasks_alone_sends_all_the_same(rabbit_server: RabbitServer, amqp_url: str) -> None:
    """The queue that is made for a moment, so that a new one is safe, is refused then."""
    vhost, rights = amqp_url.rpartition("/")[2], r"^tdg\.(task|dead)\."
    rabbit_server.add_user("narrow", "narrow")
    grant = f'<<"narrow">>, <<"{vhost}">>, <<"{rights}">>, <<".*">>, <<".*">>, <<"tests">>'.replace("\\", "\\\\")
    assert "ok" in rabbit_server.eval(f"rabbit_auth_backend_internal:set_permissions({grant}), ok.")
    broker = AmqpBroker(rabbit_server.url(vhost, "narrow", "narrow"))
    send(broker, "job", b"1")
    send(broker, "another", b"2")
    assert [count(amqp_url, f"tdg.task.{name}") for name in ("job", "another")] == [1, 1]
    broker.close()


def test_without_a_server_a_send_ends_in_time_and_says_that_nothing_was_sent() -> None:
    broker = AmqpBroker(f"amqp://127.0.0.1:{free_port()}/?send_timeout=0.5")
    begin = time.monotonic()
    with pytest.raises(SendError, match="nothing was sent") as caught:
        broker.send([TASK]).wait()
    assert isinstance(caught.value.__cause__, ConnectionLost)
    assert 0.4 < time.monotonic() - begin < 3
    broker.close()


def test_a_frozen_server_makes_it_unknown(own_rabbit: RabbitServer) -> None:
    broker = AmqpBroker(f"{own_rabbit.url()}?send_timeout=0.5")
    send(broker, "job", b"before")
    own_rabbit.freeze()
    try:
        with pytest.raises(SendUnknown):
            broker.send([TASK]).wait()
        begin = time.monotonic()
        broker.close()
        assert time.monotonic() - begin < 6
    finally:
        own_rabbit.thaw()


def test_a_blocked_server_is_told_once_and_ends_sends_in_time(own_rabbit: RabbitServer) -> None:
    broker = AmqpBroker(f"{own_rabbit.url()}?send_timeout=1")
    events = heard(broker.events())
    send(broker, "blocked", b"before")
    own_rabbit.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.0001), ok.")
    errors: list[str] = []
    try:
        deadline = time.monotonic() + 20
        while "BrokerBlocked" not in errors and time.monotonic() < deadline:
            try:
                broker.send([Parcel(Meta("blocked", "1"), b"x")]).wait()
            except (BrokerBlocked, SendUnknown) as error:
                errors.append(type(error).__name__)
    finally:
        own_rabbit.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.9), ok.")
    assert errors[-1] == "BrokerBlocked"
    eventually(lambda: len(codes(events, EventCode.CONNECTION)) == 2, "blocked and unblocked were told")
    send(broker, "blocked", b"after")
    assert [("no messages" in what, "again" in what) for what in codes(events, EventCode.CONNECTION)] == [
        (True, False),
        (False, True),
    ]
    broker.close()


def test_ten_thousand_tasks_of_one_batch_are_stored(amqp_url: str) -> None:
    broker = AmqpBroker(f"{amqp_url}?queue_type=classic")
    broker.send([Parcel(Meta("job", str(number)), b"%d" % number) for number in range(10_000)]).wait(30)
    assert count(amqp_url, "tdg.task.job") == 10_000
    broker.close()


def test_what_amqp_cannot_carry_is_refused_and_harms_nothing(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    with pytest.raises(ConfigError, match="255 bytes"):
        broker.send([Parcel(Meta("x" * 300, "1"), b"")])
    with pytest.raises(ConfigError, match="lone surrogate"):
        broker.send([Parcel(Meta("\ud800", "1"), b"")])
    broker.send([Parcel(Meta("job", "i" * 300), b"a long id")]).wait(10)
    with pytest.raises(SendError, match="cannot be sent"):
        broker.send([Parcel(Meta("job", "1", "r" * 300), b"")]).wait(10)
    send(broker, "job", b"after")
    broker.close()


def test_a_failure_inside_the_client_library_costs_the_connection_and_no_more(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    events = heard(broker.events())
    send(broker, "job", b"before")
    link = broker._sending  # pyright: ignore[reportPrivateUsage]  # nobody else can make the library fail

    def fail() -> None:
        raise AssertionError("as the library does at times")

    assert link.connection is not None
    link.connection.ioloop.add_callback_threadsafe(fail)
    eventually(lambda: any("back" in what for what in codes(events, EventCode.CONNECTION)), "the connection is back")
    send(broker, "job", b"after")
    assert count(amqp_url, "tdg.task.job") == 2
    broker.close()
