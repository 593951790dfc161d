"""Sending to Redis: stored once, refused or told apart, by whoever happens to write."""

from __future__ import annotations

import re
import threading
import time
from functools import partial

import pytest

from tests.inside import inside
from tests.redis.bench import NAME, STREAM, Bench, frame, heard, parcel, send, take
from tests.servers import RedisServer
from typeddingo import App
from typeddingo._io.redis_reply import whole
from typeddingo._io.threads import Deadline, Threads
from typeddingo.broker import Parcel, Receipt
from typeddingo.brokers.redis import RedisBroker
from typeddingo.errors import ConnectionLost, QueueFull, SendError, SendUnknown
from typeddingo.message import Meta
from typeddingo.testing import eventually


def length(bench: Bench) -> object:
    return bench.ask("XLEN", STREAM)


class TestOnce:
    def test_a_task_that_is_sent_again_is_stored_once_and_told(self, bench: Bench) -> None:
        broker = bench.broker()
        events = heard(broker.events())
        send(broker, parcel("1"))
        send(broker, parcel("1"), parcel("2"))
        assert length(bench) == 2
        assert [event.message for event in events if "again" in event.message] == [
            "1 tasks were sent again and are stored already"
        ]

    def test_by_another_process_too_and_after_it_is_done(self, bench: Bench) -> None:
        broker, peer = bench.broker(), bench.broker()
        send(broker, parcel("1"))
        (delivery,) = take(broker.add_listener(NAME))
        delivery.settle(Receipt.OK)
        eventually(lambda: length(bench) == 0, "it is done")
        send(peer, parcel("1"))
        assert length(bench) == 0

    @pytest.mark.parametrize(
        "other",
        [
            parcel("1", reply_to="somebody else"),
            parcel("1", frame("1") + b" "),
            parcel("1", frame("1"), name="another.name"),
        ],
        ids=["caller", "arguments", "name"],
    )
    def test_counting_id_makers_of_two_callers_do_not_swallow_each_others_tasks(
        self, bench: Bench, other: Parcel
    ) -> None:
        broker = bench.broker()
        send(broker, parcel("1", reply_to="me"))
        send(broker, other)
        stored = length(bench), bench.ask("XLEN", "tdg:{another.name}:tasks")
        assert stored in ((2, 0), (1, 1))

    def test_the_windows_are_one_key_of_small_members_and_expire(self, bench: Bench) -> None:
        send(bench.broker(), *[parcel(str(number)) for number in range(50)])
        (window,) = (key for key in bench.all_keys() if key.startswith("tdg:{shop.order}:sent:"))
        assert {len(member) for member in whole(bench.ask("SMEMBERS", window)) if isinstance(member, bytes)} == {12}
        assert bench.ask("SCARD", window) == 50
        left = bench.ask("TTL", window)
        assert isinstance(left, int)
        assert 1200 < left <= 1800


class TestBound:
    def test_a_batch_that_does_not_fit_is_refused_whole(self, bench: Bench) -> None:
        broker = bench.broker("max_length=3")
        send(broker, parcel("1"), parcel("2"))
        with pytest.raises(QueueFull, match="max_length"):
            send(broker, parcel("3"), parcel("4"))
        assert length(bench) == 2
        send(broker, parcel("5"))
        assert length(bench) == 3

    def test_no_queue_of_it_takes_anything_when_one_is_full(self, bench: Bench) -> None:
        broker = bench.broker("max_length=1")
        send(broker, parcel("1"))
        with pytest.raises(QueueFull):
            send(broker, parcel("2", name="free"), parcel("3"))
        assert bench.ask("XLEN", "tdg:{free}:tasks") == 0

    def test_what_is_stored_already_is_not_refused(self, bench: Bench) -> None:
        broker = bench.broker("max_length=1")
        send(broker, parcel("1"))
        send(broker, parcel("1"))

    def test_many_threads_at_the_bound_get_their_own_answers(self, bench: Bench) -> None:
        broker = bench.broker("max_length=10")
        answers: list[bool] = []

        def call(number: int) -> None:
            try:
                send(broker, parcel(str(number)))
                answers.append(True)
            except QueueFull:
                answers.append(False)

        threads = Threads("test")
        for number in range(30):
            threads.start("caller", partial(call, number))
        assert threads.join(Deadline(10)) == []
        assert (answers.count(True), answers.count(False)) == (10, 20)
        assert length(bench) == 10


class TestWhoWrites:
    def test_a_caller_who_waits_writes_in_his_own_thread(self, bench: Bench) -> None:
        broker = bench.broker()
        before = threading.active_count()
        for number in range(20):
            send(broker, parcel(str(number)))
        assert threading.active_count() - before <= 1

    def test_what_nobody_waits_for_is_written_all_the_same(self, bench: Bench) -> None:
        broker = bench.broker()
        for number in range(5):
            broker.send([parcel(str(number))])
        eventually(lambda: length(bench) == 5, "all are stored")
        sender = broker._layout._sender  # pyright: ignore[reportPrivateUsage]  # nobody else can tell
        eventually(lambda: sender._asleep, "the background sleeps")  # pyright: ignore[reportPrivateUsage]  # as above
        broker.send([parcel("late")])
        eventually(lambda: length(bench) == 6, "the late one, too")

    def test_a_callback_is_called_without_anybody_waiting(self, bench: Bench) -> None:
        broker = bench.broker()
        answers: list[BaseException | None] = []
        for number in range(5):
            broker.send([parcel(str(number))]).add_done_callback(answers.append)
        eventually(lambda: len(answers) == 5, "all were called")
        assert answers == [None] * 5

    def test_a_callback_that_raises_harms_nobody(self, bench: Bench) -> None:
        broker = bench.broker()
        confirmation = broker.send([parcel()])
        confirmation.add_done_callback(lambda error: 1 // 0)
        confirmation.wait()
        send(broker, parcel())

    def test_many_threads_are_confirmed_in_few_exchanges(self, bench: Bench) -> None:
        broker = bench.broker()
        send(broker, parcel())
        before = _calls(bench)
        threads = Threads("test")

        def call() -> None:
            for _ in range(20):
                send(broker, parcel())

        for _ in range(16):
            threads.start("caller", call)
        assert threads.join(Deadline(20)) == []
        assert length(bench) == 321
        assert _calls(bench) - before < 320

    def test_a_large_batch_keeps_its_order(self, bench: Bench) -> None:
        broker = bench.broker()
        bodies = [frame(str(number)) for number in range(3000)]
        send(broker, *[Parcel(Meta(NAME, str(number)), body) for number, body in enumerate(bodies)])
        listener = broker.add_listener(NAME, 3000)
        assert [delivery.body for delivery in take(listener, 3000)] == bodies

    def test_closing_sends_what_was_handed_over(self, bench: Bench) -> None:
        broker = bench.broker()
        confirmations = [broker.send([parcel()]) for _ in range(10)]
        broker.close()
        for confirmation in confirmations:
            confirmation.wait()
        assert length(bench) == 10


class TestNoAnswer:
    def test_a_server_that_was_never_reached_has_stored_nothing(self) -> None:
        broker = RedisBroker("redis://127.0.0.1:1?send_timeout=0.3")
        start = time.monotonic()
        with pytest.raises(SendError) as caught:
            send(broker, parcel())
        assert time.monotonic() - start < 2
        assert isinstance(caught.value.__cause__, ConnectionLost)
        broker.close()

    def test_a_server_that_does_not_answer_may_have_stored_it(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker("send_timeout=0.5&connect_timeout=0.5")
        send(broker, parcel("1"))
        own_server.freeze()
        start = time.monotonic()
        with pytest.raises(SendUnknown):
            send(broker, parcel("2"))
        assert time.monotonic() - start < 2
        own_server.thaw()
        send(broker, parcel("2"))
        assert length(own_bench) == 2

    def test_a_wait_with_a_timeout_ends_then_and_can_be_repeated(
        self, own_server: RedisServer, own_bench: Bench
    ) -> None:
        broker = own_bench.broker()
        send(broker, parcel("1"))
        own_server.freeze()
        confirmation = broker.send([parcel("2")])
        with pytest.raises(SendUnknown):
            confirmation.wait(0.2)
        own_server.thaw()
        confirmation.wait(5)
        assert length(own_bench) == 2

    def test_one_who_has_stopped_waiting_is_not_asked_to_write(self, own_server: RedisServer, own_bench: Bench) -> None:
        """While he waited somebody else wrote; what was left is the next one's business."""
        broker = own_bench.broker()
        send(broker, parcel("0"))
        own_server.freeze()
        threads = Threads("test")
        thread = threads.start("caller", lambda: send(broker, parcel("1")))
        eventually(lambda: inside(thread, "answers"), "it waits for the server")
        impatient = broker.send([parcel("2")])
        with pytest.raises(SendUnknown):
            impatient.wait(0.1)
        own_server.thaw()
        start = time.monotonic()
        send(broker, parcel("3"))
        impatient.wait()
        assert time.monotonic() - start < 2
        assert threads.join(Deadline(5)) == []
        assert length(own_bench) == 4

    def test_all_who_wait_are_answered_in_time(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker("send_timeout=0.5&connect_timeout=0.5")
        send(broker, parcel("0"))
        own_server.freeze()
        answers: list[type[BaseException]] = []
        threads = Threads("test")

        def call() -> None:
            try:
                send(broker, parcel())
            except (SendError, SendUnknown) as error:
                answers.append(type(error))

        for _ in range(8):
            threads.start("caller", call)
        assert threads.join(Deadline(4)) == []
        assert len(answers) == 8

    def test_a_send_survives_a_restart_within_its_time(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker()
        send(broker, parcel("1"))
        own_server.stop()
        confirmation = broker.send([parcel("2")])
        called: list[BaseException | None] = []
        confirmation.add_done_callback(called.append)
        own_server.start()
        confirmation.wait()
        eventually(lambda: called == [None], "the callback was called")
        assert length(own_bench) == 2

    def test_a_full_server_takes_no_task_and_still_lets_workers_finish(
        self, own_server: RedisServer, own_bench: Bench
    ) -> None:
        broker = own_bench.broker()
        listener = broker.add_listener(NAME, 10)
        send(broker, *[parcel(str(number)) for number in range(3)])
        held = take(listener, 2)
        own_server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(QueueFull):
            send(broker, parcel("more"))
        (last,) = take(listener, 1)
        held[0].settle(Receipt.OK)
        held[1].settle(Receipt.NOK)
        last.settle(Receipt.GIVE_BACK)
        (again,) = take(listener, 1)
        assert again.body == last.body
        again.settle(Receipt.OK)
        eventually(lambda: length(own_bench) == 0, "all are settled")
        own_server.ask("CONFIG", "SET", "maxmemory", "0")

    def test_a_worker_that_comes_to_a_full_server_takes_its_tasks(
        self, own_server: RedisServer, own_bench: Bench
    ) -> None:
        app = App(own_bench.url)
        own_bench.closes(app.close)

        @app.task(name="narrow", max_running=1)
        def narrow(number: int) -> int:
            return number

        results = [narrow.call(number) for number in range(3)]
        own_server.ask("CONFIG", "SET", "maxmemory", "1")
        try:
            app.allocate(narrow, 2)
            assert [result.get(20) for result in results] == [0, 1, 2]
        finally:
            own_server.ask("CONFIG", "SET", "maxmemory", "0")

    def test_a_batch_of_many_names_is_bounded_for_each_of_them(self, bench: Bench) -> None:
        broker = bench.broker("max_length=100")
        many = [parcel(name="many") for _ in range(90)] + [parcel(name=f"name{number}") for number in range(300)]
        send(broker, *many)
        with pytest.raises((QueueFull, SendUnknown)):
            send(broker, *[parcel(name=f"new{number}") for number in range(260)], *[parcel(name="many")] * 20)


def _calls(bench: Bench) -> int:
    """Scripts that the server has run."""
    stats = bench.ask("INFO", "commandstats")
    assert isinstance(stats, bytes)
    return sum(int(count) for count in re.findall(rb"cmdstat_(?:evalsha|eval):calls=(\d+)", stats))
