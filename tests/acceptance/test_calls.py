"""What a call does, whichever way it travels."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from typeddingo import (
    App,
    ArgumentError,
    ConfigError,
    Context,
    ErrorCode,
    Option,
    ReportsIgnored,
    Status,
    TaskFailed,
    Tasks,
    current_context,
    gather,
)

SECONDS = 10.0


@dataclass(frozen=True)
class Order:
    id: int
    price: Decimal
    placed: datetime


def add(a: int, b: int) -> int:
    return a + b


def test_a_call_returns_what_the_function_returns(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task, 2)
    assert task.call(2, 3).get(SECONDS) == 5


def test_named_and_omitted_arguments_reach_the_function(app: App) -> None:
    def show(a: int, /, b: str = "b", *rest: int, c: bool = False, **named: str) -> str:
        return f"{a} {b} {rest} {c} {sorted(named.items())}"

    task = app.register("show", show)
    app.allocate(task)
    assert task.call(1).get(SECONDS) == show(1)
    assert task.call(1, b="x").get(SECONDS) == show(1, b="x")
    assert task.call(1, "x", 2, 3, c=True, d="d").get(SECONDS) == show(1, "x", 2, 3, c=True, d="d")


def test_every_annotated_type_comes_back_as_itself(app: App) -> None:
    def double(order: Order) -> tuple[Order, int]:
        return Order(order.id, order.price * 2, order.placed), 2

    task = app.register("double", double)
    app.allocate(task)
    placed = datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert task.call(Order(1, Decimal("1.10"), placed)).get(SECONDS) == (Order(1, Decimal("2.20"), placed), 2)


def test_a_task_that_returns_none_succeeds_with_none(app: App) -> None:
    seen: list[int] = []

    def note(a: int) -> None:
        seen.append(a)

    task = app.register("note", note)
    app.allocate(task)
    assert task.call(1).wait(SECONDS).ok
    assert seen == [1]


def test_a_wrong_argument_is_refused_before_anything_is_sent(app: App) -> None:
    started: list[object] = []

    def note(a: int) -> None:
        started.append(a)

    task = app.register("note", note)
    app.allocate(task)
    with pytest.raises(ArgumentError, match=r"a.*int"):
        app.call("note", "not a number")
    assert task.call(1).wait(SECONDS).ok
    assert started == [1]


def test_what_a_task_raises_is_its_failure_with_type_and_traceback(app: App) -> None:
    class OutOfStockError(Exception): ...

    def sell(item: str) -> None:
        raise OutOfStockError(f"no {item} left")

    task = app.register("sell", sell)
    app.allocate(task)
    with pytest.raises(TaskFailed) as caught:
        task.call("tea").get(SECONDS)
    assert caught.value.code == ErrorCode.PANIC
    assert caught.value.message == "no tea left"
    assert caught.value.exception_type.endswith("OutOfStockError")
    assert "raise OutOfStockError" in caught.value.traceback
    assert "execute.py" not in caught.value.traceback, "how the engine got there is nobody's business"


@pytest.mark.parametrize(
    "deadly", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=lambda e: type(e).__name__
)
def test_a_task_that_would_end_the_interpreter_fails_and_the_worker_lives(app: App, deadly: BaseException) -> None:
    def die(really: bool) -> str:
        if really:
            raise deadly
        return "alive"

    task = app.register("die", die)
    app.allocate(task)
    with pytest.raises(TaskFailed, match=type(deadly).__name__):
        task.call(True).get(SECONDS)
    assert task.call(False).get(SECONDS) == "alive"


def test_a_task_that_recurses_for_ever_fails_and_the_worker_lives(app: App) -> None:
    def sink(depth: int) -> int:
        return sink(depth + 1) if depth else 0

    task = app.register("sink", sink)
    app.allocate(task)
    with pytest.raises(TaskFailed, match="RecursionError"):
        task.call(1).get(SECONDS)
    assert task.call(0).get(SECONDS) == 0


def test_a_return_value_that_does_not_fit_is_a_failure_that_says_what_did_not(app: App) -> None:
    def lie(a: int) -> int:
        return f"secret {a}"  # type: ignore[return-value]  # the lie  # pyright: ignore[reportReturnType]

    task = app.register("lie", lie)
    app.allocate(task)
    with pytest.raises(TaskFailed, match="return") as caught:
        task.call(1).get(SECONDS)
    assert caught.value.code == ErrorCode.RETURN
    assert "secret" not in str(caught.value), "the message never holds the value"


def test_async_tasks_run_many_at_a_time_on_one_thread(app: App) -> None:
    threads: set[int] = set()
    met = asyncio.Event()
    here = 0

    async def meet(a: int) -> int:
        nonlocal here
        threads.add(threading.get_ident())
        here += 1
        if here == 20:
            met.set()
        await asyncio.wait_for(met.wait(), SECONDS)
        return a

    task = app.register("meet", meet)
    app.allocate(task, 20)
    assert gather(*[task.call(i) for i in range(20)]).get(SECONDS) == tuple(range(20))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_a_worker_runs_one_coroutine_at_a_time(app: App) -> None:
    running = most = 0

    async def count(a: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return a

    task = app.register("count", count)
    app.allocate(task, 3)
    assert gather(*[task.call(i) for i in range(50)]).get(SECONDS) == tuple(range(50))
    assert 1 <= most <= 3


def test_an_async_task_may_raise(app: App) -> None:
    async def fail(a: int) -> int:
        await asyncio.sleep(0)
        raise ValueError("from a coroutine")

    task = app.register("fail", fail)
    app.allocate(task)
    with pytest.raises(TaskFailed, match="from a coroutine"):
        task.call(1).get(SECONDS)


class Counter:
    def __init__(self) -> None:
        self.total = 0
        self.lock = threading.Lock()

    def count(self, by: int) -> int:
        with self.lock:
            self.total += by
            return self.total

    def __call__(self, by: int) -> int:
        return self.count(by)


def test_bound_methods_closures_and_callables_keep_their_state(app: App) -> None:
    method, called = Counter(), Counter()
    total = 0

    def closure(by: int) -> int:
        nonlocal total
        total += by
        return total

    for name, fn in (("method", method.count), ("callable", called), ("closure", closure)):
        task = app.register(name, fn)
        app.allocate(task)
        assert [task.call(by).get(SECONDS) for by in (1, 2, 3)] == [1, 3, 6]
    assert (method.total, called.total, total) == (6, 6, 6)


def test_the_context_is_injected_and_is_the_current_one(app: App) -> None:
    seen: list[bool] = []

    def who(ctx: Context, a: int) -> str:
        seen.append(current_context() is ctx)
        return f"{ctx.name} {ctx.attempt} {ctx.id} {ctx.cancelled} {a}"

    task = app.register("who", who, context=True)
    app.allocate(task)
    result = task.call(7)
    assert result.get(SECONDS) == f"who 1 {result.id} False 7"
    assert seen == [True]


def test_async_tasks_have_a_context_each(app: App) -> None:
    async def who(ctx: Context, a: int) -> str:
        await asyncio.sleep(0)
        assert current_context() is ctx
        return ctx.id

    task = app.register("who", who, context=True)
    app.allocate(task, 5)
    results = [task.call(i) for i in range(20)]
    assert [result.get(SECONDS) for result in results] == [result.id for result in results]


def test_monitored_calls_report_sent_progress_and_the_end_in_order(app: App) -> None:
    def work(ctx: Context, steps: int) -> int:
        for step in range(steps):
            ctx.progress(step + 1, steps)
        return steps

    task = app.register("work", work, context=True, option=Option(monitor_progress=True))
    app.allocate(task)
    statuses = [report.status for report in task.call(3).reports(SECONDS)]
    assert statuses == [Status.SENT, *[Status.PROGRESS] * 4, Status.SUCCESS]
    plain = [report.status for report in task.with_options(monitor_progress=False).call(3).reports(SECONDS)]
    assert plain == [Status.SUCCESS]


def test_ignored_reports_are_never_sent_and_the_task_runs(app: App) -> None:
    ran = threading.Event()

    def run(a: int) -> None:
        ran.set()

    task = app.register("run", run)
    app.allocate(task)
    result = task.with_options(ignore_report=True, monitor_progress=True).call(1)
    with pytest.raises(ReportsIgnored):
        result.get(SECONDS)
    assert ran.wait(SECONDS)


def test_a_task_can_be_called_by_name_and_its_arguments_are_checked(app: App) -> None:
    app.allocate(app.register("add", add))
    assert app.call("add", 1, b=2).get(SECONDS) == 3
    with pytest.raises(ArgumentError):
        app.call("add", 1, b="2")
    with pytest.raises(ConfigError, match=r"register it first"):
        app.call("nobody")
    reports = app.call("add", 1, 2, option=Option(monitor_progress=True)).reports(SECONDS)
    assert [report.status for report in reports] == [Status.SENT, Status.PROGRESS, Status.SUCCESS]


def test_map_checks_all_values_before_it_sends_the_first(app: App) -> None:
    ran: list[int] = []

    def square(a: int) -> int:
        ran.append(a)
        return a * a

    task = app.register("square", square)
    app.allocate(task)
    assert [result.get(SECONDS) for result in task.map(range(5))] == [0, 1, 4, 9, 16]
    values: list[object] = [7, "eight"]
    with pytest.raises(ArgumentError):
        task.map(values)  # type: ignore[arg-type]  # the refusal at run time  # pyright: ignore[reportArgumentType]
    assert task.call(9).get(SECONDS) == 81
    assert 7 not in ran


def test_a_batch_hands_over_and_every_result_arrives(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task, 2)
    with app.batch():
        results = [task.call(i, 1) for i in range(500)]
    assert [result.get(SECONDS) for result in results] == list(range(1, 501))


def test_a_collection_is_included_and_its_handles_come_alive(app: App) -> None:
    tasks = Tasks()

    @tasks.task(name="shout")
    def shout(text: str) -> str:
        return text.upper()

    with pytest.raises(ConfigError, match="include"):
        shout.call("a")
    app.include(tasks)
    app.allocate(shout)
    assert shout.call("a").get(SECONDS) == "A"


def test_the_workers_of_a_task_run_at_the_same_time(app: App) -> None:
    barrier = threading.Barrier(3)

    def meet(a: int) -> int:
        return barrier.wait(SECONDS) * 0 + a

    task = app.register("meet", meet)
    assert app.allocate(task, 2, 2) == 0
    assert app.allocate(task, 1) == 0, "a second allocation adds workers"
    assert gather(*[task.call(i) for i in range(3)]).get(SECONDS) == (0, 1, 2)


def test_handlers_fire_once_without_anybody_waiting(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task)
    seen: list[int] = []
    fired = threading.Event()

    def handler(total: int) -> None:
        seen.append(total)
        fired.set()

    task.call(1, 2).on_ok(handler).then()
    assert fired.wait(SECONDS)
    assert seen == [3]


def test_calls_and_results_are_awaitable(app: App) -> None:
    task = app.register("add", add)
    app.allocate(task)

    async def main() -> list[object]:
        result = await task.call_async(1, 2)
        named = await app.call_async("add", 3, 4)
        return [await result, await named]

    assert asyncio.run(main()) == [3, 7]


def test_a_task_may_call_another_and_wait_for_it(app: App) -> None:
    inner = app.register("add", add)

    def outer(a: int) -> int:
        return inner.call(a, 1).get(SECONDS)

    task = app.register("outer", outer)
    app.allocate(inner)
    app.allocate(task)
    assert task.call(1).get(SECONDS) == 2


@pytest.mark.parametrize("fn", [add], ids=["add"])
def test_ten_thousand_tasks_from_eight_threads_and_none_is_lost(app: App, fn: Callable[[int, int], int]) -> None:
    task = app.register("add", fn)
    app.allocate(task, 2)
    totals: list[int] = []

    def caller(number: int) -> None:
        results = [task.call(i, number) for i in range(1250)]
        totals.append(sum(result.get(60) for result in results))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(totals) == [sum(range(1250)) + 1250 * number for number in range(8)]
