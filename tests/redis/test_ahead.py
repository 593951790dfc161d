"""A caller who goes on calling writes what he has sent, and reads the answers later, or somebody else does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import pytest

from tests.redis.bench import NAME, STREAM, Bench, frame, parcel, send, take
from tests.servers import RedisServer
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Confirmation, Parcel
from typeddingo.brokers import _redis_sender
from typeddingo.brokers._redis_sender import AHEAD, AHEAD_BYTES, Sending
from typeddingo.brokers.redis import RedisBroker
from typeddingo.errors import QueueFull, SendError, SendUnknown
from typeddingo.header import Header
from typeddingo.message import Meta
from typeddingo.testing import eventually


@pytest.fixture
def no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when it is called, and does not look by itself."""
    monkeypatch.setattr(_redis_sender, "LOOK", 3600.0)


def call(broker: RedisBroker, count: int, first: int = 0) -> Sequence[Confirmation]:
    """So many tasks one after the other, none of which is waited for."""
    made: list[Confirmation] = []
    for number in range(first, first + count):
        made.append(broker.send([Parcel(Meta(NAME, str(number)), frame(str(number)))]))
    return made


def length(bench: Bench) -> object:
    return bench.ask("XLEN", STREAM)


@pytest.mark.usefixtures("no_background")
def test_many_calls_are_under_way_while_more_are_made(bench: Bench) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    call(broker, AHEAD - 1)
    time.sleep(0.1)  # there is nothing to wait for: it must not be sent
    assert length(bench) == 1
    call(broker, 1, AHEAD)
    eventually(lambda: length(bench) == AHEAD + 1, "they are stored")


@pytest.mark.usefixtures("no_background")
def test_what_was_written_ahead_is_answered_to_whoever_waits(bench: Bench) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    first, *others = call(broker, AHEAD)
    threads = Threads("test")
    for confirmation in (first, others[0], others[-1]):
        threads.start("waiter", confirmation.wait)
    threads.start("caller", lambda: send(broker, parcel("another")))
    assert threads.join(Deadline(10)) == []
    for confirmation in others:
        confirmation.wait(0)
    assert length(bench) == AHEAD + 2


@pytest.mark.usefixtures("no_background")
def test_nobody_need_wait_for_what_was_written_ahead(bench: Bench) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    answers: list[BaseException | None] = []
    for confirmation in call(broker, 3 * AHEAD):
        confirmation.add_done_callback(answers.append)
    eventually(lambda: len(answers) == 3 * AHEAD, "all were called")
    assert set(answers) == {None}


def test_all_that_is_called_keeps_its_order(bench: Bench) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    for confirmation in call(broker, 20 * AHEAD + 7):
        confirmation.wait()
    listener = broker.add_listener(NAME, 30 * AHEAD)
    bodies = [delivery.body for delivery in take(listener, 20 * AHEAD + 8)]
    assert bodies[1:] == [frame(str(number)) for number in range(20 * AHEAD + 7)]


def test_calls_of_many_threads_are_stored_once_each_and_in_the_order_of_each_thread(bench: Bench) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    threads = Threads("test")

    def calls(first: int) -> None:
        for confirmation in call(broker, 2 * AHEAD, first):
            confirmation.wait()
        for number in range(first + 2 * AHEAD, first + 2 * AHEAD + 10):
            send(broker, parcel(str(number)))

    for thread in range(6):
        threads.start("caller", partial(calls, thread * 10_000))
    assert threads.join(Deadline(30)) == []
    taken = take(broker.add_listener(NAME, 9999), 6 * (2 * AHEAD + 10) + 1)
    numbers = [int(Header.from_bytes(delivery.body).id) for delivery in taken[1:]]
    for thread in range(6):
        wanted = range(thread * 10_000, thread * 10_000 + 2 * AHEAD + 10)
        assert [number for number in numbers if number // 10_000 == thread] == list(wanted)
    assert length(bench) == len(taken)


def test_a_large_task_is_no_reason_to_wait_and_keeps_its_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    sender = broker._layout._sender  # pyright: ignore[reportPrivateUsage]  # nobody else sees what is written ahead
    begin, weights = sender._begin, list[int]()  # pyright: ignore[reportPrivateUsage]  # as above
    assert begin is not None

    def weighed(batch: Sequence[Sending]) -> _redis_sender.Written | None:
        weights.append(sum(len(parcel.body) for sending in batch for parcel in sending.parcels))
        return begin(batch)

    monkeypatch.setattr(sender, "_begin", weighed)
    bodies = [frame(str(number)) + b" " * (200_000 if number % 50 == 0 else 0) for number in range(2 * AHEAD)]
    made = [broker.send([Parcel(Meta(NAME, str(number)), body)]) for number, body in enumerate(bodies)]
    for confirmation in made:
        confirmation.wait()
    assert max(weights, default=0) <= AHEAD_BYTES
    listener = broker.add_listener(NAME, 999)
    assert [delivery.body for delivery in take(listener, 2 * AHEAD + 1)][1:] == bodies


def test_a_batch_that_is_refused_is_refused_for_those_that_do_not_fit(bench: Bench) -> None:
    broker = bench.broker(f"max_length={AHEAD}")
    send(broker, parcel("first"))
    refused = 0
    for confirmation in call(broker, 2 * AHEAD):
        try:
            confirmation.wait()
        except QueueFull:
            refused += 1
    assert length(bench) == AHEAD
    assert refused == AHEAD + 1


@pytest.mark.parametrize("when", ["before the answer is read", "before it is written"])
@pytest.mark.usefixtures("no_background")
def test_a_connection_that_is_lost_meanwhile_loses_and_doubles_nothing(bench: Bench, when: str) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    made: list[Confirmation] = []
    if when == "before it is written":
        bench.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    made += call(broker, AHEAD)
    if when == "before the answer is read":
        eventually(lambda: length(bench) == AHEAD + 1, "they are stored")
        bench.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    made += call(broker, 2 * AHEAD, AHEAD)
    for confirmation in made:
        confirmation.wait()
    assert length(bench) == 3 * AHEAD + 1


def test_a_server_that_does_not_answer_holds_nobody_up_who_calls(own_server: RedisServer, own_bench: Bench) -> None:
    broker = own_bench.broker("send_timeout=3&connect_timeout=3")
    send(broker, parcel("first"))
    own_server.freeze()
    start = time.monotonic()
    made = call(broker, 4 * AHEAD)
    assert time.monotonic() - start < 2.5
    unknown = 0
    for confirmation in made:
        with pytest.raises((SendError, SendUnknown)) as caught:
            confirmation.wait()
        unknown += isinstance(caught.value, SendUnknown)
    assert time.monotonic() - start < 10
    assert unknown >= AHEAD, "what was written may be stored"
    own_server.thaw()
    send(broker, parcel("last"))


@pytest.mark.usefixtures("no_background")
def test_closing_reads_the_answers(bench: Bench) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    made = call(broker, AHEAD + 3)
    broker.close()
    for confirmation in made:
        confirmation.wait(0)
    assert length(bench) == AHEAD + 4


def test_a_call_that_is_interrupted_while_it_writes_leaves_the_others_to_whoever_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = bench.broker()
    send(broker, parcel("first"))
    sender = broker._layout._sender  # pyright: ignore[reportPrivateUsage]  # there is no other way to hit the moment
    begin = sender._begin  # pyright: ignore[reportPrivateUsage]  # as above
    assert begin is not None

    def interrupted(batch: Sequence[Sending]) -> _redis_sender.Written | None:
        begin(batch)
        raise KeyboardInterrupt

    monkeypatch.setattr(sender, "_begin", interrupted)
    made = list(call(broker, AHEAD - 1))
    with pytest.raises(KeyboardInterrupt):
        call(broker, 1, AHEAD)
    monkeypatch.undo()
    for confirmation in made:
        confirmation.wait()
    assert length(bench) == AHEAD + 1
