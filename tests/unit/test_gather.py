"""Many results as one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.unit.by_hand import SECONDS, ByHand, HandlerThread, until
from typeddingo.errors import DecodeError, ReportsIgnored, ResultClosed, ResultError, TaskFailed
from typeddingo.gathering import gather
from typeddingo.message import Status
from typeddingo.option import Option
from typeddingo.result import Result


def test_gather_returns_the_values_in_the_order_of_the_results() -> None:
    one, two, three = ByHand[int](), ByHand[str](), ByHand[bytes]()
    both = gather(one, two, three)
    done: list[bool] = []
    ends: list[Callable[[], None]] = [lambda: three.succeed(b"c"), lambda: one.succeed(1), lambda: two.succeed("b")]
    for succeed in ends:
        succeed()
        done.append(both.done)
    assert done == [False, False, True]
    assert both.get() == (1, "b", b"c")


def test_gather_of_results_that_have_ended_has_ended() -> None:
    one = ByHand[int]()
    one.succeed(1)
    assert gather(one, one).get(0) == (1, 1)


def test_gather_of_nothing_has_succeeded() -> None:
    assert gather().get(0) == ()
    assert gather(*list[Result[int]]()).ok


@pytest.mark.parametrize("count", [1, 2, 8, 9, 500])
def test_gather_takes_any_number_of_results(count: int) -> None:
    results = [ByHand[int]() for _ in range(count)]
    all_of_them = gather(*results)
    for number, result in enumerate(results):
        result.succeed(number)
    assert all_of_them.get(0) == tuple(range(count))


def test_gather_fails_as_soon_as_one_fails_and_says_which() -> None:
    one, two = ByHand[int](id="1"), ByHand[int](name="divide", id="2")
    both = gather(one, two)
    two.fail("by zero", exception_type="ZeroDivisionError")
    with pytest.raises(TaskFailed, match=r"ZeroDivisionError: by zero \(task 'divide', id '2'\)") as caught:
        both.get(0)
    assert (caught.value.task, caught.value.id) == ("divide", "2")
    report = both.wait()
    assert (report.failed, report.id) == (True, "2")
    one.succeed(1)
    assert both.nok


def test_gather_closes_as_one_of_them_closes() -> None:
    one, two = ByHand[int](), ByHand[int]()
    both = gather(one, two)
    one.close(DecodeError("not JSON"))
    with pytest.raises(DecodeError, match="not JSON"):
        both.get(0)
    with pytest.raises(ReportsIgnored):
        gather(two, ByHand[int](Option(ignore_report=True))).get(0)


def test_gather_lets_progress_of_its_parts_pass() -> None:
    one = ByHand[int](Option(monitor_progress=True))
    alone = gather(one)
    for status in (Status.SENT, Status.PROGRESS):
        one.deliver(status)
    assert alone.last is None
    one.deliver(Status.SUCCESS, 1)
    assert alone.get(0) == (1,)


def test_gathered_results_can_be_gathered() -> None:
    one, two, three = ByHand[int](), ByHand[str](), ByHand[int]()
    nested = gather(gather(one, two), three)
    one.succeed(1)
    two.succeed("b")
    three.succeed(3)
    assert nested.get(0) == ((1, "b"), 3)


def test_gather_has_handlers_of_its_own_and_fires_them_on_the_handler_thread_of_its_parts() -> None:
    one, two = ByHand[int](), ByHand[str]()
    seen: list[object] = []
    with HandlerThread() as background:
        two.fire_with(background)
        gather(one, two).on_ok_args(lambda a, b: seen.extend([a, b, threading.get_ident()])).then()
        one.succeed(1)
        two.succeed("b")
        until(lambda: len(seen) == 3)
    assert seen == [1, "b", background.thread.ident]


def test_the_parts_keep_their_own_handlers() -> None:
    one, two = ByHand[int](), ByHand[int]()
    seen: list[int] = []
    errors: list[TaskFailed | ResultError] = []
    one.on_ok(seen.append)
    both = gather(one, two).on_nok(errors.append)
    one.succeed(1)
    two.close(ResultClosed("closed"))
    assert seen == [1]
    assert [type(error) for error in errors] == [ResultClosed]
    assert both.nok


def test_gather_can_be_awaited() -> None:
    async def main() -> tuple[int, str]:
        one, two = ByHand[int](), ByHand[str]()
        both = gather(one, two)
        asyncio.get_running_loop().call_soon(one.succeed, 1)
        asyncio.get_running_loop().call_soon(two.succeed, "b")
        return await both

    assert asyncio.run(main()) == (1, "b")


def test_parts_that_end_in_many_threads_end_it_once() -> None:
    for _ in range(50):
        results = [ByHand[int]() for _ in range(16)]
        ends: list[tuple[int, ...]] = []
        everything = gather(*results).on_ok(ends.append)
        barrier = threading.Barrier(len(results))

        def end(result: ByHand[int], number: int, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(SECONDS)
            result.succeed(number)

        threads = [threading.Thread(target=end, args=(result, number)) for number, result in enumerate(results)]
        for thread in threads:
            thread.start()
        assert everything.get(SECONDS) == tuple(range(16))
        for thread in threads:
            thread.join(SECONDS)
        assert ends == [tuple(range(16))]


def test_gather_names_its_parts() -> None:
    few = gather(ByHand[int](id="1"), ByHand[int](name="shout", id="2"))
    assert (few.name, few.id) == ("gather(add, shout)", "1, 2")
    many = gather(*[ByHand[int](id=str(number)) for number in range(9)])
    assert (many.name, many.id) == ("gather(add, … 9)", "0, … 9")
    assert (gather().name, gather().id) == ("gather()", "")


def test_gather_of_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match=r"gather\(\) takes results, not list"):
        gather([ByHand[int]()])  # type: ignore[call-overload]  # what an untyped caller does
