"""``layout=dingo``, with a Go caller and a Go worker played by hand: their commands on the server, their bytes."""

from __future__ import annotations

import gc
import threading
import time
import uuid
import weakref
from collections.abc import Iterator

import pytest

from tests.inside import inside
from tests.redis.bench import NAME, Bench, frame, heard, parcel, send, take
from tests.servers import Proxy, RedisServer
from tests.wire.vectors import Record, raw, records
from typeddingo import App
from typeddingo._io.redis_reply import whole
from typeddingo.backends.redis import RedisBackend
from typeddingo.broker import Delivery, Parcel, Receipt
from typeddingo.brokers.redis import RedisBroker
from typeddingo.errors import ConfigError, QueueFull, SendUnknown
from typeddingo.events import EventCode
from typeddingo.message import Meta
from typeddingo.testing import eventually

TASKS = "dingo.tasks.shop.order"
ECHO = next(record for record in records("marshal") if record["name"] == "echo" and record["args_types"] == ["int"])


def result_key(id: str, name: str = NAME) -> str:
    return f"dingo.result.{name}.{id}"


@pytest.fixture
def backend(bench: Bench) -> Iterator[RedisBackend]:
    backend = RedisBackend(f"{bench.url}?layout=dingo")
    yield backend
    backend.close()


class TestTasks:
    def test_a_go_worker_pops_what_is_sent_here_in_order(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        send(broker, parcel("1"), parcel("2"))
        send(broker, parcel("3"))
        popped = [bench.ask("BRPOP", TASKS, 1) for _ in range(3)]
        assert popped == [[TASKS.encode(), frame(id)] for id in "123"]
        assert bench.all_keys() == set()

    def test_what_a_go_caller_pushes_is_taken_here_in_order(self, bench: Bench) -> None:
        listener = bench.broker("layout=dingo").add_listener(NAME, 10)
        for id in "123":
            bench.ask("LPUSH", TASKS, frame(id))
        assert [delivery.body for delivery in take(listener, 3)] == [frame(id) for id in "123"]

    def test_a_listener_that_waits_gets_it_at_once(self, bench: Bench) -> None:
        listener = bench.broker("layout=dingo").add_listener(NAME)
        taken: list[Delivery] = []
        thread = threading.Thread(target=lambda: taken.extend(take(listener)))
        thread.start()
        eventually(lambda: inside(thread, "answers"), "it waits for the server")
        bench.ask("LPUSH", TASKS, frame("1"))
        start = time.monotonic()
        thread.join()
        assert time.monotonic() - start < 1
        assert [delivery.body for delivery in taken] == [frame("1")]

    def test_a_task_is_gone_when_it_is_taken(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        send(broker, parcel("1"))
        take(broker.add_listener(NAME))
        assert bench.all_keys() == set()
        assert not broker.carries_reply_to

    def test_no_more_is_taken_than_there_is_room_for(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        send(broker, *[parcel(str(number)) for number in range(5)])
        take(broker.add_listener(NAME, 2), 2)
        assert broker.queue(NAME).waiting == 3

    def test_what_is_given_back_comes_first(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        send(broker, *[parcel(id) for id in "1234"])
        listener = broker.add_listener(NAME, 4)
        first = take(listener, 3)
        listener.settle([(delivery, Receipt.GIVE_BACK) for delivery in first])
        assert [delivery.body for delivery in take(listener, 4)] == [frame(id) for id in "1234"]

    def test_what_is_refused_is_told(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        events = heard(broker.events())
        send(broker, parcel("1"), parcel("2"))
        first, second = take(broker.add_listener(NAME, 2), 2)
        first.settle(Receipt.NOK)
        second.settle(Receipt.WORKER_NOT_FOUND)
        codes = [event.code for event in events if event.task == NAME]
        assert codes == [EventCode.DEAD_LETTER, EventCode.WORKER_NOT_FOUND]

    def test_its_queues_can_be_bounded_too(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo&max_length=2")
        send(broker, parcel("1"))
        with pytest.raises(QueueFull):
            send(broker, parcel("2"), parcel("3"))
        assert bench.ask("LLEN", TASKS) == 1

    def test_a_send_without_an_answer_is_not_repeated(self, own_server: RedisServer, own_bench: Bench) -> None:
        broker = own_bench.broker("layout=dingo&send_timeout=0.5&connect_timeout=0.5")
        send(broker, parcel("1"))
        own_server.freeze()
        with pytest.raises(SendUnknown):
            send(broker, parcel("2"))
        own_server.thaw()
        eventually(lambda: own_bench.ask("LLEN", TASKS) == 2, "it was stored after all")
        time.sleep(0.2)
        assert own_bench.ask("LLEN", TASKS) == 2

    def test_nor_is_one_whose_connection_broke_before_the_answer(
        self, own_server: RedisServer, own_bench: Bench
    ) -> None:
        with Proxy(own_server.port) as proxy:
            broker = RedisBroker(f"{proxy.url(own_bench.url)}?layout=dingo")
            own_bench.closes(broker.close)
            send(broker, parcel("1"))
            proxy.weather.drop_replies = True
            confirmation = broker.send([parcel("2")])
            called: list[BaseException | None] = []
            confirmation.add_done_callback(called.append)
            eventually(lambda: own_bench.ask("LLEN", TASKS) == 2, "it is stored, and the answer lost")
            proxy.weather.drop_replies = False
            proxy.reset_all()
            with pytest.raises(SendUnknown):
                confirmation.wait()
            send(broker, parcel("3"))
            assert own_bench.ask("LLEN", TASKS) == 3

    def test_something_else_under_the_key_of_a_queue_ends_no_listener(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        events = heard(broker.events())
        listener = broker.add_listener(NAME)
        bench.ask("SET", TASKS, "a string")
        assert list(listener.take(1, 0.2)) == []
        bench.ask("DEL", TASKS)
        bench.ask("LPUSH", TASKS, frame("1"))
        assert len(take(listener)) == 1
        assert any("cannot be read" in event.message for event in events)

    def test_there_are_no_dead_letters(self, bench: Bench) -> None:
        broker = bench.broker("layout=dingo")
        assert (list(broker.dead(NAME)), broker.replay(NAME), broker.purge(NAME)) == ([], 0, 0)


class TestReports:
    def test_a_go_caller_pops_what_is_reported_here_in_order(self, bench: Bench, backend: RedisBackend) -> None:
        meta = Meta(NAME, "1")
        backend.report([Parcel(meta, b"sent"), Parcel(meta, b"progress")])
        backend.report([Parcel(meta, b"success")])
        key = result_key("1")
        left = bench.ask("PTTL", key)
        assert isinstance(left, int)
        assert 3_500_000 < left <= 3_600_000
        assert [whole(bench.ask("BRPOP", key, 1))[1] for _ in range(3)] == [b"sent", b"progress", b"success"]

    def test_what_a_go_worker_pushes_arrives_here_in_order(self, bench: Bench, backend: RedisBackend) -> None:
        stream = backend.poll(Meta(NAME, "1"))
        for body in ("sent", "progress", "success"):
            bench.ask("LPUSH", result_key("1"), body)
        got: list[bytes] = []
        while len(got) < 3:
            got += stream.take(5)
        assert got == [b"sent", b"progress", b"success"]
        assert backend.reply_to == ""

    def test_a_new_poll_is_waited_for_at_once(self, bench: Bench, backend: RedisBackend) -> None:
        """Although the store is in a blocking read for the older ones."""
        backend.poll(Meta(NAME, "old"))
        for number in range(20):
            time.sleep(0.02)
            stream = backend.poll(Meta(NAME, str(number)))
            bench.ask("LPUSH", result_key(str(number)), "x")
            start = time.monotonic()
            assert stream.take(5) == [b"x"]
            assert time.monotonic() - start < 1

    def test_what_is_done_is_deleted(self, bench: Bench, backend: RedisBackend) -> None:
        meta = Meta(NAME, "1")
        stream = backend.poll(meta)
        backend.report([Parcel(meta, b"success")])
        assert stream.take(5) == [b"success"]
        backend.done(meta)
        backend.report([Parcel(meta, b"late")])
        backend.close()
        assert bench.all_keys() <= {result_key("1")}

    def test_names_that_share_a_key_are_told_apart_by_their_headers(self, backend: RedisBackend) -> None:
        one, other = backend.poll(Meta("a.b", "c")), backend.poll(Meta("a", "b.c"))
        backend.report([Parcel(Meta("a", "b.c"), frame("b.c", "a")), Parcel(Meta("a.b", "c"), frame("c", "a.b"))])
        assert one.take(5) == [frame("c", "a.b")]
        assert other.take(5) == [frame("b.c", "a")]

    def test_a_result_can_be_had_by_its_id(self, backend: RedisBackend) -> None:
        backend.report([Parcel(Meta(NAME, "1"), b"success")])
        assert backend.reattach(Meta(NAME, "1")).take(5) == [b"success"]

    def test_polling_twice_is_refused(self, backend: RedisBackend) -> None:
        backend.poll(Meta(NAME, "1"))
        with pytest.raises(ConfigError):
            backend.poll(Meta(NAME, "1"))

    def test_a_restart_is_survived(self, own_server: RedisServer, own_bench: Bench) -> None:
        backend = RedisBackend(f"{own_bench.url}?layout=dingo")
        own_bench.closes(backend.close)
        stream = backend.poll(Meta(NAME, "1"))
        own_bench.ask("LPUSH", result_key("1"), "before")
        assert stream.take(5) == [b"before"]
        own_server.restart()
        later = backend.poll(Meta(NAME, "2"))
        for id in "12":
            backend.report([Parcel(Meta(NAME, id), b"after")])
        assert stream.take(10) == [b"after"]
        assert later.take(10) == [b"after"]


def with_id(record: Record, field: bytes, id: str) -> bytes:
    """The bytes that Go wrote, for another id of the same length."""
    return field.replace(record["id"].encode(), id.encode()) if "id" in record else field


class TestApps:
    """The bytes are Go's own, from the golden vectors."""

    GO_ID = "00000000-0000-4000-8000-000000000000"

    def test_a_worker_here_answers_a_go_caller_in_its_bytes(self, bench: Bench) -> None:
        app = App(f"{bench.url}?layout=dingo")

        def echo(value: int) -> int:
            return value

        app.register("echo", echo)
        with app:
            app.allocate("echo")
            bench.ask("LPUSH", "dingo.tasks.echo", raw(ECHO["bytes"]))
            answer = whole(bench.ask("BRPOP", result_key(self.GO_ID, "echo"), 5))
        assert answer[1] == raw(ECHO["final_report"]["bytes"])

    def test_a_caller_here_understands_a_go_worker(self, bench: Bench) -> None:
        app = App(f"{bench.url}?layout=dingo")

        def echo(value: int) -> int:
            raise AssertionError(f"{value} is echoed by the other side")

        task = app.register("echo", echo)
        with app:
            result = task.call(ECHO["args"][0])
            asked = whole(bench.ask("BRPOP", "dingo.tasks.echo", 5))[1]
            mine = result.id.encode()
            assert asked == raw(ECHO["bytes"]).replace(self.GO_ID.encode(), mine)
            report = raw(ECHO["final_report"]["bytes"]).replace(self.GO_ID.encode(), mine)
            bench.ask("LPUSH", result_key(result.id, "echo"), report)
            assert result.get(timeout=5) == ECHO["args"][0]
        assert bench.all_keys() == set()

    def test_both_halves_here_leave_nothing_behind(self, bench: Bench) -> None:
        app = App(f"{bench.url}?layout=dingo")

        def double(value: int) -> int:
            return 2 * value

        task = app.register(f"double.{uuid.uuid4().hex}", double)
        with app:
            app.allocate(task, 2)
            with app.batch():
                results = [task.call(number) for number in range(200)]
            assert [result.get(timeout=10) for result in results] == [2 * number for number in range(200)]
        assert bench.all_keys() == set()


class TestListeners:
    @pytest.mark.parametrize("held", [True, False], ids=["that holds a task", "that holds nothing"])
    def test_one_that_has_left_is_not_kept_in_mind(self, bench: Bench, held: bool) -> None:
        broker = bench.broker("layout=dingo")
        listener = broker.add_listener(NAME)
        gone = weakref.ref(listener)
        if held:
            bench.ask("LPUSH", TASKS, frame("1"))
            (delivery,) = take(listener)
            listener.close()
            delivery.settle(Receipt.OK)
            del delivery
        else:
            listener.close()
        del listener
        gc.collect()
        assert gone() is None
