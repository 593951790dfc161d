"""Reports through Redis in the native layout: to the caller, to whoever asks later, and whatever else may lie there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.redis.bench import NAME, Bench, heard, wait_for
from tests.servers import RedisServer
from typeddingo import App, Option, Result
from typeddingo._io.redis_reply import whole
from typeddingo._io.redis_rows import row
from typeddingo.backends.redis import RedisBackend
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError, ResultClosed, ResultExpired, SendError, WireError
from typeddingo.events import EventCode
from typeddingo.message import Meta
from typeddingo.testing import eventually

RESULT = "tdg:{shop.order}:result:1"


@pytest.fixture
def backend(bench: Bench) -> Iterator[RedisBackend]:
    backend = RedisBackend(bench.url)
    yield backend
    backend.close()


def report(backend: RedisBackend, *frames: bytes, id: str = "1", to: str = "") -> None:
    backend.report([Parcel(Meta(NAME, id, to), frame) for frame in frames])


class TestKept:
    def test_the_last_report_is_kept_for_its_time(self, bench: Bench, backend: RedisBackend) -> None:
        report(backend, b"sent", b"progress", b"success")
        assert bench.ask("GET", RESULT) == b"success"
        left = bench.ask("PTTL", RESULT)
        assert isinstance(left, int)
        assert 3_500_000 < left <= 3_600_000

    def test_also_when_the_caller_has_it(self, bench: Bench, backend: RedisBackend) -> None:
        """Another process may ask for it."""
        meta = Meta(NAME, "1", backend.reply_to)
        stream = backend.poll(meta)
        report(backend, b"success", to=backend.reply_to)
        assert stream.take(5) == [b"success"]
        backend.done(meta)
        assert backend.reattach(meta).take(5) == [b"success"]
        backend.close()
        assert bench.all_keys() == {RESULT}

    def test_a_caller_that_died_leaves_nothing_for_ever(self, bench: Bench, backend: RedisBackend) -> None:
        report(backend, b"success", to="a caller that is gone")
        assert len(bench.all_keys()) == 2
        for key in bench.all_keys():
            left = bench.ask("PTTL", key)
            assert isinstance(left, int)
            assert 0 < left <= 3_600_000

    def test_the_stream_of_a_caller_that_lives_does_not_expire(self, bench: Bench) -> None:
        backend = RedisBackend(f"{bench.url}?result_ttl=1.5")
        meta = Meta(NAME, "1", backend.reply_to)
        stream = backend.poll(meta)
        report(backend, b"sent", to=backend.reply_to)
        assert stream.take(5) == [b"sent"]
        key = f"tdg:{{{backend.reply_to}}}:replies"
        assert bench.ask("EXISTS", key) == 1
        time.sleep(1.0)
        report(backend, b"progress", to=backend.reply_to)
        assert stream.take(5) == [b"progress"]
        time.sleep(1.0)
        assert bench.ask("EXISTS", key) == 1
        backend.close()
        assert bench.ask("EXISTS", key) == 0

    def test_what_was_read_does_not_pile_up(self, bench: Bench, backend: RedisBackend) -> None:
        meta = Meta(NAME, "1", backend.reply_to)
        stream = backend.poll(meta)
        for _ in range(50):
            report(backend, b"progress", to=backend.reply_to)
            assert stream.take(5) == [b"progress"]
        length = bench.ask("XLEN", f"tdg:{{{backend.reply_to}}}:replies")
        assert isinstance(length, int)
        assert length <= 1

    def test_closing_leaves_nothing_but_that(self, bench: Bench, backend: RedisBackend) -> None:
        metas = [Meta(NAME, str(number), backend.reply_to) for number in range(100)]
        for meta in metas:
            backend.poll(meta)
        backend.report([Parcel(meta, b"success") for meta in metas])
        backend.close()
        assert all(":result:" in key for key in bench.all_keys())

    def test_a_report_without_an_address_is_kept_all_the_same(self, bench: Bench, backend: RedisBackend) -> None:
        report(backend, b"success")
        assert bench.all_keys() == {RESULT}

    @pytest.mark.parametrize("address", ["shop.order}:tasks", "*", "a:b", "größe"])
    def test_no_address_reaches_the_keys_of_others(self, bench: Bench, backend: RedisBackend, address: str) -> None:
        report(backend, b"success", to=address)
        (key,) = bench.all_keys() - {RESULT}
        assert key.startswith("tdg:{")
        assert key.endswith("}:replies")
        assert key.count("{") == key.count("}") == 1


class TestByID:
    def test_a_stored_result_is_there_at_once(self, backend: RedisBackend) -> None:
        report(backend, b"success")
        start = time.monotonic()
        assert backend.reattach(Meta(NAME, "1")).take(5) == [b"success"]
        assert time.monotonic() - start < 1

    def test_one_that_is_yet_to_come_is_waited_for(self, backend: RedisBackend) -> None:
        stream = backend.reattach(Meta(NAME, "1"))
        assert list(stream.take(0.3)) == []
        report(backend, b"progress")
        assert stream.take(5) == [b"progress"]
        report(backend, b"success")
        assert stream.take(5) == [b"success"]

    def test_one_that_nobody_keeps_has_expired(self, bench: Bench) -> None:
        backend = RedisBackend(f"{bench.url}?result_ttl=0.5")
        stream = backend.reattach(Meta(NAME, "1"))
        with pytest.raises(ResultExpired):
            stream.take(5)
        backend.close()

    def test_one_that_was_seen_and_is_gone_has_expired(self, bench: Bench, backend: RedisBackend) -> None:
        report(backend, b"progress")
        stream = backend.reattach(Meta(NAME, "1"))
        assert stream.take(5) == [b"progress"]
        bench.ask("DEL", RESULT)
        with pytest.raises(ResultExpired):
            stream.take(5)

    def test_it_stays_for_others_who_ask(self, bench: Bench, backend: RedisBackend) -> None:
        report(backend, b"success")
        meta = Meta(NAME, "1")
        assert backend.reattach(meta).take(5) == [b"success"]
        backend.leave(meta)
        assert backend.reattach(meta).take(5) == [b"success"]

    def test_several_may_wait_for_the_same(self, backend: RedisBackend) -> None:
        meta = Meta(NAME, "1")
        first, second, gone = (backend.reattach(meta) for _ in range(3))
        backend.leave(meta)
        report(backend, b"progress")
        assert [stream.take(5) for stream in (first, second, gone)] == [[b"progress"]] * 3
        third = backend.reattach(meta)
        report(backend, b"success")
        assert [stream.take(5) for stream in (first, second)] == [[b"success"]] * 2
        taken: list[bytes] = []
        while len(taken) < 2:
            taken += third.take(5)
        assert taken == [b"progress", b"success"]

    def test_one_whose_sink_raises_keeps_no_other_from_it(self, backend: RedisBackend) -> None:
        first, second = (backend.reattach(Meta(NAME, "1")) for _ in range(2))
        told = heard(backend.events())
        first.attach(lambda frames, error: frames[5])  # there are not so many
        report(backend, b"success")
        assert second.take(5) == [b"success"]
        assert [event.code for event in told if event.task] == [EventCode.HANDLER_FAILED]

    @pytest.mark.parametrize("held", [True, False])
    def test_another_process_gets_it_while_its_caller_lives(self, bench: Bench, held: bool) -> None:
        """A web server takes the call, another one is asked for the result."""
        worker, caller, other = App(bench.url), App(bench.url), App(bench.url)

        def double(value: int) -> int:
            return 2 * value

        with worker, caller, other:
            for app in (worker, caller, other):
                app.register("double", double)
            worker.allocate("double")
            result = caller.call("double", 2)
            id = result.id
            if held:
                assert result.get(timeout=10) == 4
            del result
            assert [other.result("double", id, int).get(timeout=10) for _ in range(2)] == [4, 4]
            assert caller.result("double", id, int).get(timeout=10) == 4

    def test_its_caller_may_ask_for_it_once_more_before_it_is_there(self, bench: Bench) -> None:
        worker, caller = App(bench.url), App(bench.url)

        def double(value: int) -> int:
            return 2 * value

        with worker, caller:
            for app in (worker, caller):
                app.register("double", double)
            result = caller.call("double", 2)
            again = [caller.result("double", result.id, int) for _ in range(2)]
            worker.allocate("double")
            assert [each.get(timeout=10) for each in (result, *again)] == [4, 4, 4]

    def test_closing_ends_the_wait(self, backend: RedisBackend) -> None:
        stream = backend.reattach(Meta(NAME, "1"))
        backend.close()
        with pytest.raises(ResultClosed):
            stream.take(5)
        with pytest.raises(ConfigError, match="closed"):
            backend.reattach(Meta(NAME, "1"))

    def test_an_app_gets_it_with_its_type(self, bench: Bench) -> None:
        def double(value: int) -> int:
            return 2 * value

        worker, caller, later = App(bench.url), App(bench.url), App(bench.url)
        worker.register("double", double)
        with caller:
            sent = caller.register("double", double).call(21)
        with worker, later:
            result: Result[int] = later.result("double", sent.id, int)
            worker.allocate("double")
            assert result.get(timeout=5) == 42


class TestForgotten:
    def test_what_is_stored_is_deleted_at_once_and_whoever_asks_is_told(
        self, bench: Bench, backend: RedisBackend
    ) -> None:
        report(backend, b"success")
        backend.forget(Meta(NAME, "1"))
        assert bench.ask("GET", RESULT) == b"", "a mark"
        left = bench.ask("PTTL", RESULT)
        assert isinstance(left, int)
        assert 3_500_000 < left <= 3_600_000
        start = time.monotonic()
        with pytest.raises(ResultExpired, match="forgotten"):
            backend.reattach(Meta(NAME, "1")).take(5)
        assert time.monotonic() - start < 2
        backend.forget(Meta(NAME, "1"))

    def test_who_waits_for_it_is_told(self, backend: RedisBackend) -> None:
        stream = backend.reattach(Meta(NAME, "1"))
        assert list(stream.take(0.3)) == []
        backend.forget(Meta(NAME, "1"))
        with pytest.raises(ResultExpired, match="forgotten"):
            stream.take(5)

    def test_the_mark_stays_where_its_own_caller_has_got_the_result(self, bench: Bench, backend: RedisBackend) -> None:
        meta = Meta(NAME, "1", backend.reply_to)
        stream = backend.poll(meta)
        other = backend.poll(Meta(NAME, "2", backend.reply_to))
        report(backend, b"success", to=backend.reply_to)
        assert stream.take(5) == [b"success"]
        backend.done(meta)
        backend.forget(meta)
        report(backend, b"success", id="2", to=backend.reply_to)  # the next read has been, too
        assert other.take(5) == [b"success"]
        assert bench.ask("GET", RESULT) == b""

    def test_a_task_that_ends_later_is_stored_as_ever(self, backend: RedisBackend) -> None:
        backend.forget(Meta(NAME, "1"))
        report(backend, b"success")
        assert backend.reattach(Meta(NAME, "1")).take(5) == [b"success"]

    def test_a_closed_backend_forgets_nothing(self, backend: RedisBackend) -> None:
        backend.close()
        with pytest.raises(ConfigError, match="closed"):
            backend.forget(Meta(NAME, "1"))


class TestStrangeThings:
    @pytest.mark.parametrize(
        "fields",
        [
            ("m", b""),
            ("s", b"", "d", b"\xff" * 40),
            ("s", b"x y", "d", b""),
            ("s", b"-1 1", "d", b""),
            ("s", b"3 3", "d", b"ab" * 3),
            ("s", b"1 1 1", "d", b"\xff\xfex"),
            ("x", b"1", "s", b"1 1 1", "d", b"abc"),
        ],
        ids=["empty", "bytes", "words", "negative", "two", "no text", "fields"],
    )
    def test_what_is_no_report_is_told_and_the_next_one_arrives(
        self, bench: Bench, backend: RedisBackend, fields: tuple[str | bytes, ...]
    ) -> None:
        events = heard(backend.events())
        stream = backend.poll(Meta(NAME, "1", backend.reply_to))
        bench.ask("XADD", f"tdg:{{{backend.reply_to}}}:replies", "*", *fields)
        report(backend, b"success", to=backend.reply_to)
        assert stream.take(5) == [b"success"]
        assert wait_for(events, "no report").code is EventCode.UNDECODABLE

    def test_something_else_under_the_key_of_the_stream_ends_nothing(self, bench: Bench, backend: RedisBackend) -> None:
        events = heard(backend.events())
        key = f"tdg:{{{backend.reply_to}}}:replies"
        bench.ask("SET", key, "a string")
        stream = backend.poll(Meta(NAME, "1", backend.reply_to))
        wait_for(events, "cannot be read")
        bench.ask("DEL", key)
        report(backend, b"success", to=backend.reply_to)
        assert stream.take(10) == [b"success"]

    def test_a_caller_survives_the_loss_of_everything(self, bench: Bench, backend: RedisBackend) -> None:
        stream = backend.poll(Meta(NAME, "1", backend.reply_to))
        report(backend, b"sent", to=backend.reply_to)
        assert stream.take(5) == [b"sent"]
        bench.ask("FLUSHDB")
        report(backend, b"success", to=backend.reply_to)
        assert stream.take(10) == [b"success"]

    def test_a_caller_survives_a_clock_that_was_set_back(self, bench: Bench, backend: RedisBackend) -> None:
        stream = backend.poll(Meta(NAME, "1", backend.reply_to))
        report(backend, b"sent", to=backend.reply_to)
        assert stream.take(5) == [b"sent"]
        bench.ask("FLUSHDB")
        sizes, data = row([NAME.encode(), b"1", b"success"])
        bench.ask("XADD", f"tdg:{{{backend.reply_to}}}:replies", "1-1", "s", sizes, "d", data)
        assert stream.take(10) == [b"success"]

    def test_a_task_that_is_not_ours_is_refused_and_put_aside(self, bench: Bench) -> None:
        app = App(bench.url)

        def double(value: int) -> int:
            return 2 * value

        task = app.register("double", double)
        with app:
            app.allocate(task)
            for fields in (("b", b""), ("b", b"\xff" * 30), ("x", b"1"), ("r", b"\xff", "b", b"2")):
                bench.ask("XADD", "tdg:{double}:tasks", "*", *fields)
            assert task.call(2).get(timeout=5) == 4
            eventually(lambda: bench.ask("XLEN", "tdg:{double}:dead") == 4, "all are put aside")

    def test_a_report_that_is_none_ends_its_result_alone(self, bench: Bench) -> None:
        app = App(bench.url)

        def double(value: int) -> int:
            return 2 * value

        task = app.register("double", double)
        reporter = RedisBackend(bench.url)
        with app:
            results = [task.call(1), task.call(2)]
            entry = whole(bench.ask("XRANGE", "tdg:{double}:tasks", "-", "+"))[0]
            address = whole(whole(entry)[1])[3]
            assert isinstance(address, bytes)
            reporter.report([Parcel(Meta("double", results[0].id, address.decode()), b"no report")])
            with pytest.raises(WireError):
                results[0].get(timeout=5)
            app.allocate(task)
            assert results[1].get(timeout=5) == 4
        reporter.close()


def test_a_full_server_still_takes_reports(own_server: RedisServer, own_bench: Bench) -> None:
    backend = RedisBackend(own_bench.url)
    own_bench.closes(backend.close)
    stream = backend.poll(Meta(NAME, "1", backend.reply_to))
    own_server.ask("CONFIG", "SET", "maxmemory", "1")
    report(backend, b"success", to=backend.reply_to)
    assert stream.take(5) == [b"success"]


def test_a_sink_that_raises_does_not_end_the_others(backend: RedisBackend) -> None:
    events = heard(backend.events())
    metas = [Meta(NAME, id, backend.reply_to) for id in "12"]
    first, second = (backend.poll(meta) for meta in metas)
    first.attach(lambda frames, error: 1 // 0)
    report(backend, b"bad", id="1", to=backend.reply_to)
    wait_for(events, "ZeroDivisionError")
    report(backend, b"good", id="2", to=backend.reply_to)
    assert second.take(10) == [b"good"]


def test_a_closed_backend_says_so(backend: RedisBackend) -> None:
    backend.close()
    with pytest.raises(SendError, match="closed"):
        report(backend, b"x")


def test_an_app_that_ignores_reports_keeps_none(bench: Bench) -> None:
    app = App(bench.url)

    def double(value: int) -> int:
        return 2 * value

    task = app.register("double", double)
    with app:
        app.allocate(task)
        for number in range(10):
            task.with_options(ignore_report=True).call(number)
        eventually(lambda: bench.ask("XLEN", "tdg:{double}:tasks") == 0, "all have run")
        assert not [key for key in bench.all_keys() if "result" in key]
    assert Option(ignore_report=True).ignore_report
