"""Results under every order of events: a model that registers, waits, ends, repeats and reorders."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.by_hand import SECONDS, ByHand, HandlerThread, until
from typeddingo.errors import ResultClosed, ResultError, ResultTimeout, TaskFailed
from typeddingo.message import Status
from typeddingo.option import Option


class AnyOrder(RuleBasedStateMachine):
    """Handlers fire once and only those that should; the status never goes back; every reader reads the same."""

    def __init__(self) -> None:
        super().__init__()
        self.background = HandlerThread()
        self.background.__enter__()
        self.result = ByHand[int](Option(monitor_progress=True))
        self.result.fire_with(self.background)
        self.fired: Counter[int] = Counter()
        self.ok: set[int] = set()
        self.nok: set[int] = set()
        self.outcome: str | None = None
        self.value = 0
        self.statuses: list[Status] = []
        self.waiters: list[threading.Thread] = []
        self.waited: list[str] = []

    # what happens

    @rule()
    def register_ok(self) -> None:
        number = len(self.ok) + len(self.nok)
        self.ok.add(number)
        self.result.on_ok(lambda value: self.fired.update([number] if value == self.value else []))

    @rule()
    def register_nok(self) -> None:
        number = len(self.ok) + len(self.nok)
        self.nok.add(number)
        self.result.on_nok(lambda error: self.fired.update([number]))

    @rule(status=st.sampled_from([Status.SENT, Status.PROGRESS]), times=st.integers(1, 3))
    def deliver(self, status: Status, times: int) -> None:
        for _ in range(times):
            self.result.deliver(status)
            fresh = not self.statuses or status > self.statuses[-1] or status == self.statuses[-1] == Status.PROGRESS
            if self.outcome is None and fresh:
                self.statuses.append(status)

    @rule(value=st.integers(), by_reference=st.booleans())
    def succeed(self, value: int, by_reference: bool) -> None:
        if self.outcome is None:
            self.outcome, self.value = "ok", value
            self.statuses.append(Status.SUCCESS)
        if by_reference:
            self.result.succeed(value)
        else:
            self.result.deliver(Status.SUCCESS, value)

    @rule()
    def fail(self) -> None:
        if self.outcome is None:
            self.outcome = "failed"
            self.statuses.append(Status.FAIL)
        self.result.fail()

    @rule()
    def close(self) -> None:
        self.outcome = self.outcome or "closed"
        self.result.close(ResultClosed("closed"))

    @precondition(lambda self: self.outcome is None and len(self.waiters) < 3)
    @rule()
    def wait_in_a_thread(self) -> None:
        waiter = threading.Thread(target=lambda: self.waited.append(self.ask(SECONDS)))
        waiter.start()
        self.waiters.append(waiter)
        until(lambda: self.result.waiting == len(self.waiters))

    @rule()
    def poll(self) -> None:
        assert self.ask(0) == (self.outcome or "open")

    @precondition(lambda self: self.outcome is not None)
    @rule()
    def wait(self) -> None:
        assert self.ask(SECONDS) == self.outcome
        self.check_handlers()

    def ask(self, timeout: float) -> str:
        try:
            assert self.result.get(timeout) == self.value
        except TaskFailed:
            return "failed"
        except ResultTimeout:
            return "open"
        except ResultError:
            return "closed"
        return "ok"

    # what holds

    def check_handlers(self) -> None:
        due = {None: set[int](), "ok": self.ok, "failed": self.nok, "closed": self.nok}[self.outcome]
        assert self.fired == Counter(due)

    @invariant()
    def no_handler_fires_early_or_twice(self) -> None:
        if self.outcome is None:
            assert not self.fired
        assert all(times == 1 for times in self.fired.values())

    @invariant()
    def the_state_is_the_model_s(self) -> None:
        result = self.result
        states = {None: (False, False, False), "ok": (True, True, False)}
        assert (result.done, result.ok, result.nok) == states.get(self.outcome, (True, False, True))
        last = result.last
        if self.outcome == "closed":
            assert last is None or last.status == self.statuses[-1]
        else:
            assert (last.status if last is not None else None) == (self.statuses[-1] if self.statuses else None)

    @invariant()
    def a_new_reader_reads_everything_there_is(self) -> None:
        stream, seen = self.result.reports(0), list[Status]()
        try:
            seen.extend(report.status for report in stream)
            assert self.outcome in ("ok", "failed")
        except ResultTimeout:
            assert self.outcome is None
        except ResultClosed:
            assert self.outcome == "closed"
        assert seen == sorted(seen)

    def teardown(self) -> None:
        if self.outcome is None:
            self.close()
        for waiter in self.waiters:
            waiter.join(SECONDS)
            assert not waiter.is_alive()
        assert self.waited == [self.outcome] * len(self.waiters)
        self.wait()
        assert self.result.waiting == 0
        self.background.__exit__()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("threads", [32])
def test_32_threads_that_wait_and_register_while_results_end_lose_and_double_nothing(threads: int) -> None:
    results = [ByHand[int](id=str(number)) for number in range(200)]
    lock = threading.Lock()
    fired: Counter[tuple[int, int]] = Counter()
    complaints: list[str] = []
    barrier = threading.Barrier(threads)

    with HandlerThread() as background:
        for result in results:
            result.fire_with(background)

        def work(me: int) -> None:
            barrier.wait(SECONDS)
            for number, result in enumerate(results):

                def handler(value: int, key: tuple[int, int] = (number, me)) -> None:
                    with lock:
                        fired[key] += 1

                if (number + me) % 4 == 0:
                    result.succeed(number)
                result.on_ok(handler)
                if (number + me) % 4 == 1:
                    result.succeed(number)
                if (number + me) % 3 == 0 and (result.get(SECONDS) != number or not fired[(number, me)]):
                    complaints.append(f"{number} returned to {me} before its handler")

        workers = [threading.Thread(target=work, args=(me,)) for me in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert not worker.is_alive()
        for number, result in enumerate(results):
            assert result.get(SECONDS) == number
    assert complaints == []
    assert len(fired) == threads * len(results)
    assert set(fired.values()) == {1}
