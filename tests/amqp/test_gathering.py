"""What is sent and not waited for yet leaves together: when somebody waits, when there is much of it, or soon."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import pytest

from tests.amqp.by_hand import by_hand, count, send
from typeddingo._io import amqp_publisher
from typeddingo._io.amqp_publisher import AHEAD
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Confirmation, Parcel
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.message import Meta
from typeddingo.testing import eventually


@pytest.fixture
def broker(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> Generator[AmqpBroker]:
    """It has sent a task, and does not look by itself."""
    monkeypatch.setattr(amqp_publisher, "TICK_SECONDS", 3600.0)
    broker = AmqpBroker(f"{amqp_url}?send_timeout=72000")
    send(broker, "job", b"first")
    yield broker
    broker.close()


def call(broker: AmqpBroker, count: int, first: int = 0) -> Sequence[Confirmation]:
    """So many tasks one after the other, none of which is waited for."""
    return [broker.send([Parcel(Meta("job", str(n)), b"%d" % n)]) for n in range(first, first + count)]


def test_they_leave_in_one_piece_when_somebody_waits(
    broker: AmqpBroker, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = broker._sending.stream  # pyright: ignore[reportPrivateUsage]  # nobody else sees what is written
    assert stream is not None
    write, pieces = stream.write, list[bytes]()

    def noted(data: bytes) -> None:
        pieces.append(data)
        write(data)

    monkeypatch.setattr(stream, "write", noted)
    made = call(broker, 50)
    time.sleep(0.1)  # there is nothing to wait for: nothing may leave
    assert pieces == []
    made[-1].wait(10)
    for confirmation in made:
        confirmation.wait(10)
    assert len(pieces) == 1
    assert count(amqp_url, "tdg.task.job") == 51


def test_who_wants_to_be_called_back_waits_too(broker: AmqpBroker) -> None:
    answers: list[BaseException | None] = []
    for confirmation in call(broker, 3):
        confirmation.add_done_callback(answers.append)
    eventually(lambda: answers == [None] * 3, "all were called")


def test_many_leave_while_more_are_sent(broker: AmqpBroker, amqp_url: str) -> None:
    call(broker, AHEAD - 1)
    time.sleep(0.1)  # as above
    assert count(amqp_url, "tdg.task.job") == 1
    call(broker, 1, AHEAD)
    eventually(lambda: count(amqp_url, "tdg.task.job") == AHEAD + 1, "they are stored")


def test_all_keep_their_order_and_are_stored_once(broker: AmqpBroker, amqp_url: str) -> None:
    for confirmation in call(broker, 20 * AHEAD + 7):
        confirmation.wait(20)
    with by_hand(amqp_url) as channel:
        bodies: list[bytes] = []
        while (body := channel.basic_get("tdg.task.job", auto_ack=True)[2]) is not None:
            bodies.append(body)
    assert bodies == [b"first", *(b"%d" % n for n in range(20 * AHEAD + 7))]


def test_threads_that_send_and_wait_do_not_hold_each_other_up(broker: AmqpBroker, amqp_url: str) -> None:
    threads = Threads("test")

    def calls() -> None:
        for confirmation in call(broker, 2 * AHEAD):
            confirmation.wait(20)
        for number in range(20):
            send(broker, "job", b"%d" % number)

    for _ in range(6):
        threads.start("caller", calls)
    assert threads.join(Deadline(30)) == []
    assert count(amqp_url, "tdg.task.job") == 1 + 6 * (2 * AHEAD + 20)


def test_closing_sends_them(broker: AmqpBroker, amqp_url: str) -> None:
    made = call(broker, 5)
    broker.close()
    for confirmation in made:
        confirmation.wait(0)
    assert count(amqp_url, "tdg.task.job") == 6


def test_without_anybody_who_waits_they_leave_after_a_moment(amqp_url: str) -> None:
    broker = AmqpBroker(amqp_url)
    call(broker, 1)
    send(broker, "job", b"second")
    call(broker, 3)
    eventually(lambda: count(amqp_url, "tdg.task.job") == 5, "all are stored")
    publisher = broker._publisher  # pyright: ignore[reportPrivateUsage]  # nobody else can tell
    eventually(lambda: not publisher._ticking, "nobody looks any more")  # pyright: ignore[reportPrivateUsage]  # as above
    call(broker, 3)
    eventually(lambda: count(amqp_url, "tdg.task.job") == 8, "these, too")
    broker.close()
