"""What every backend must do (Go: ``BackendTestSuite``): inherit from it, say how yours is made, run pytest.

class TestMine(BackendTestSuite):
    def make_backend(self) -> Backend:
        return MyBackend("mine://localhost")
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Backend, ReportStream
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError, ResultClosed, ResultError, TypedDingoError
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.testing.waiting import eventually, no_thread_left

__all__ = ["BackendTestSuite"]

AMBIGUOUS = [
    *[("a.b", "c"), ("a", "b.c"), ("a:b", "c"), ("a", "b:c"), ("a/b", "c"), ("a", "b/c"), ("a b", "c"), ("a", "b c")],
    *[("ab", "c"), ("a", "bc"), ("A", "bc"), ("a", "BC"), ("1a", "1"), ("1", "a1"), ("*", "c"), ("größe", "ταξ")],
]
"""Pairs of name and id that a store which joins them, matches patterns or folds case would mix up."""


class BackendTestSuite:
    """The contract of a ``Backend``. Ids are new in each test. Effects are waited for: a server may take its time."""

    patience: float = 10.0
    """Seconds after which an effect that has not come is missed."""
    quiet: float = 0.1
    """Seconds of silence that count as "nothing comes"."""
    large = 1_000_000
    """Bytes of the large report."""
    many = 10_000
    """How many results are outstanding at once."""
    keeps_early_reports = True
    """A report that comes before its task is polled is kept for it."""

    def make_backend(self) -> Backend:
        """The adapter under test, connected. The suite closes it."""
        raise NotImplementedError("override make_backend() to return the backend to test")

    def make_peer(self, backend: Backend) -> Backend:
        """Another process's view of the same store, to report from; the suite closes it. Adapters that live in one
        process return ``backend`` itself."""
        return backend

    # What the tests stand on.

    @pytest.fixture(autouse=True)
    def _no_thread_is_left(self) -> Iterator[None]:
        with no_thread_left(self.patience):
            yield

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        backend = self.make_backend()
        yield backend
        backend.close()

    def meta(self, backend: Backend, name: str = "suite.task", id: str = "") -> Meta:
        """A task whose reports come here; a new one unless the id is given."""
        return Meta(name, id or uuid.uuid4().hex, backend.reply_to)

    def report(self, backend: Backend, meta: Meta, *frames: bytes) -> None:
        """All reports of one task, as a worker sends them."""
        backend.before_report(meta)
        for frame in frames:
            backend.report([Parcel(meta, frame)])

    def take(self, stream: ReportStream, count: int) -> list[bytes]:
        """Exactly ``count`` frames, however many takes it needs."""
        deadline = Deadline(self.patience)
        frames: list[bytes] = []
        while len(frames) < count and not deadline.passed:
            frames += stream.take(deadline.left)
        assert len(frames) == count, f"expected {count} reports within {self.patience} s, got {len(frames)}"
        return frames

    def assert_nothing_comes(self, stream: ReportStream) -> None:
        assert list(stream.take(self.quiet)) == []

    # The seed's cases.

    def test_basic(self, backend: Backend) -> None:
        meta = self.meta(backend)
        stream = backend.poll(meta)
        self.report(backend, meta, b"sent", b"progress", b"success")
        assert self.take(stream, 3) == [b"sent", b"progress", b"success"]
        backend.done(meta)

    def test_order(self, backend: Backend) -> None:
        """Interleaved reports of many tasks: each task's come in order."""
        metas = [self.meta(backend) for _ in range(10)]
        streams = [backend.poll(meta) for meta in metas]
        for meta in metas:
            backend.before_report(meta)
        for count in range(20):
            for number, meta in enumerate(metas):
                backend.report([Parcel(meta, b"%d:%d" % (number, count))])
        for number, stream in enumerate(streams):
            assert self.take(stream, 20) == [b"%d:%d" % (number, count) for count in range(20)]

    def test_same_id(self, backend: Backend) -> None:
        """One id under two names: two tasks."""
        id = uuid.uuid4().hex
        first, second = self.meta(backend, "suite.first", id), self.meta(backend, "suite.second", id)
        streams = backend.poll(first), backend.poll(second)
        self.report(backend, second, b"for the second")
        self.report(backend, first, b"for the first")
        assert self.take(streams[0], 1) == [b"for the first"]
        assert self.take(streams[1], 1) == [b"for the second"]
        backend.done(first)
        self.report(backend, second, b"still polled")
        assert self.take(streams[1], 1) == [b"still polled"]

    def test_expect(self, backend: Backend) -> None:
        backend.expect(Role.REPORTER)
        backend.expect(Role.STORE)
        backend.expect(Role.REPORTER | Role.STORE)
        for other in (Role.PRODUCER, Role.CONSUMER, Role.NAMED_CONSUMER, Role.STORE | Role.PRODUCER):
            with pytest.raises(ConfigError):
                backend.expect(other)

    # Reporting.

    def test_a_batch_for_many_tasks_reaches_each(self, backend: Backend) -> None:
        metas = [self.meta(backend) for _ in range(5)]
        streams = [backend.poll(meta) for meta in metas]
        for meta in metas:
            backend.before_report(meta)
        backend.report([Parcel(meta, b"%d" % count) for count in range(3) for meta in metas])
        for stream in streams:
            assert self.take(stream, 3) == [b"0", b"1", b"2"]

    def test_an_empty_batch_is_accepted(self, backend: Backend) -> None:
        backend.report([])

    @pytest.mark.parametrize(
        "frame", [b"", bytes(range(256)), b"\r\n\0", b"\xff" * 9], ids=lambda frame: repr(frame[:4])
    )
    def test_a_report_arrives_byte_for_byte(self, backend: Backend, frame: bytes) -> None:
        meta = self.meta(backend)
        stream = backend.poll(meta)
        self.report(backend, meta, frame)
        assert self.take(stream, 1) == [frame]

    def test_a_large_report_arrives_whole(self, backend: Backend) -> None:
        meta = self.meta(backend)
        stream = backend.poll(meta)
        frame = bytes(range(256)) * (self.large // 256)
        self.report(backend, meta, frame)
        assert self.take(stream, 1) == [frame]

    def test_a_report_sent_twice_arrives_and_harms_nobody(self, backend: Backend) -> None:
        meta, other = self.meta(backend), self.meta(backend)
        stream, quiet = backend.poll(meta), backend.poll(other)
        self.report(backend, meta, b"success", b"success")
        assert set(stream.take(self.patience)) == {b"success"}
        self.assert_nothing_comes(quiet)

    def test_a_peer_reports_to_the_one_who_polls(self, backend: Backend) -> None:
        peer = self.make_peer(backend)
        meta = self.meta(backend)
        stream = backend.poll(meta)
        self.report(peer, meta, b"from over there")
        assert self.take(stream, 1) == [b"from over there"]
        peer.close()

    # Polling.

    def test_reports_that_come_before_the_poll_are_kept_in_order(self, backend: Backend) -> None:
        if not self.keeps_early_reports:
            pytest.skip("this backend delivers only what is polled")
        meta = self.meta(backend)
        self.report(backend, meta, b"sent", b"progress")
        stream = backend.poll(meta)
        self.report(backend, meta, b"success")
        assert self.take(stream, 3) == [b"sent", b"progress", b"success"]

    def test_polling_twice_is_refused_and_the_first_goes_on(self, backend: Backend) -> None:
        meta = self.meta(backend)
        stream = backend.poll(meta)
        with pytest.raises(ConfigError):
            backend.poll(meta)
        self.report(backend, meta, b"success")
        assert self.take(stream, 1) == [b"success"]

    def test_nothing_comes_when_nothing_was_reported(self, backend: Backend) -> None:
        self.assert_nothing_comes(backend.poll(self.meta(backend)))

    def test_names_and_ids_that_read_alike_are_kept_apart(self, backend: Backend) -> None:
        mark = uuid.uuid4().hex[:8]
        metas = [self.meta(backend, f"{mark}.{name}", id) for name, id in AMBIGUOUS]
        streams = [backend.poll(meta) for meta in metas]
        for number, meta in enumerate(metas):
            self.report(backend, meta, b"%d" % number)
        assert [self.take(stream, 1) for stream in streams] == [[b"%d" % number] for number in range(len(metas))]
        for meta in metas[1:]:
            backend.done(meta)
        self.report(backend, metas[0], b"still polled")
        assert self.take(streams[0], 1) == [b"still polled"]

    def test_an_attached_sink_gets_everything_in_order(self, backend: Backend) -> None:
        meta = self.meta(backend)
        stream = backend.poll(meta)
        frames = [b"%d" % number for number in range(200)]
        got: list[bytes] = []
        ends: list[ResultError] = []

        def sink(frames: Sequence[bytes], error: ResultError | None) -> None:
            got.extend(frames)
            if error is not None:
                ends.append(error)

        threads = Threads("suite")
        threads.start("worker", lambda: self.report(backend, meta, *frames))
        stream.attach(sink)
        assert threads.join(Deadline(self.patience)) == []
        eventually(lambda: len(got) >= len(frames), "the sink got every report", self.patience)
        assert got == frames
        assert ends == []

    # Done.

    def test_done_is_idempotent_also_for_a_stranger(self, backend: Backend) -> None:
        meta = self.meta(backend)
        backend.done(meta)
        backend.poll(meta)
        backend.done(meta)
        backend.done(meta)

    def test_a_report_after_done_reaches_nobody(self, backend: Backend) -> None:
        meta, other = self.meta(backend), self.meta(backend)
        stream, other_stream = backend.poll(meta), backend.poll(other)
        self.report(backend, meta, b"success")
        assert self.take(stream, 1) == [b"success"]
        backend.done(meta)
        self.report(backend, meta, b"late")
        self.report(backend, other, b"mine")
        assert self.take(other_stream, 1) == [b"mine"]
        self.assert_nothing_comes(stream)

    def test_a_task_can_be_polled_again_after_done(self, backend: Backend) -> None:
        meta = self.meta(backend)
        backend.poll(meta)
        backend.done(meta)
        stream = backend.poll(meta)
        self.report(backend, meta, b"again")
        assert self.take(stream, 1) == [b"again"]

    # Many at once.

    def test_many_results_can_be_outstanding(self, backend: Backend) -> None:
        metas = [self.meta(backend) for _ in range(self.many)]
        streams = [backend.poll(meta) for meta in metas]
        order = random.Random(1).sample(range(self.many), self.many)
        for start in range(0, self.many, 100):
            numbers = order[start : start + 100]
            for number in numbers:
                backend.before_report(metas[number])
            backend.report([Parcel(metas[number], b"%d" % number) for number in numbers])
        for number, stream in enumerate(streams):
            assert self.take(stream, 1) == [b"%d" % number]
        for meta in metas:
            backend.done(meta)

    def test_many_threads_poll_report_and_finish(self, backend: Backend) -> None:
        threads = Threads("suite")
        finished: list[int] = []

        def caller(number: int) -> None:
            for count in range(50):
                meta = self.meta(backend)
                stream = backend.poll(meta)
                frame = b"%d:%d" % (number, count)
                self.report(backend, meta, frame)
                assert self.take(stream, 1) == [frame]
                backend.done(meta)
            finished.append(number)

        for number in range(8):
            threads.start(f"caller-{number}", partial(caller, number))
        assert threads.join(Deadline(self.patience * 3)) == []
        assert sorted(finished) == list(range(8))

    # Closing.

    def test_closing_ends_every_stream(self, backend: Backend) -> None:
        waiting, attached = backend.poll(self.meta(backend)), backend.poll(self.meta(backend))
        ends: list[ResultError | None] = []

        def sink(frames: Sequence[bytes], error: ResultError | None) -> None:
            ends.append(error)

        attached.attach(sink)
        threads = Threads("suite")

        def wait() -> None:
            with pytest.raises(ResultClosed):
                waiting.take(self.patience)
            ends.append(None)

        threads.start("waiter", wait)
        backend.close()
        assert threads.join(Deadline(self.patience)) == []
        eventually(lambda: len(ends) == 2, "both streams ended", self.patience)
        assert [type(end) for end in ends if end is not None] == [ResultClosed]

    def test_what_arrived_before_closing_can_still_be_read(self, backend: Backend) -> None:
        meta = self.meta(backend)
        stream = backend.poll(meta)
        self.report(backend, meta, b"sent")
        first = self.take(stream, 1)
        backend.close()
        assert first == [b"sent"]
        with pytest.raises(ResultClosed):
            stream.take(self.patience)

    def test_closing_is_idempotent_and_safe_from_any_thread(self, backend: Backend) -> None:
        stream = backend.poll(self.meta(backend))
        threads = Threads("suite")
        for number in range(4):
            threads.start(f"closer-{number}", backend.close)
        assert threads.join(Deadline(self.patience)) == []
        backend.close()
        with pytest.raises(ResultClosed):
            stream.take(self.patience)

    def test_a_closed_backend_refuses_work(self, backend: Backend) -> None:
        meta = self.meta(backend)
        backend.close()
        backend.done(meta)
        with pytest.raises(TypedDingoError):
            backend.poll(meta)
        with pytest.raises(TypedDingoError):
            backend.report([Parcel(meta, b"x")])
