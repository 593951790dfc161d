"""Handlers fire exactly once, in the right thread, and never hurt anybody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from tests.unit.by_hand import SECONDS, ByHand, HandlerThread, in_turn, until
from typeddingo.errors import (
    DecodeError,
    NoHandler,
    ReportsIgnored,
    ResultClosed,
    ResultError,
    SendError,
    TaskFailed,
)
from typeddingo.invoker import LazyInvoker
from typeddingo.message import Status
from typeddingo.option import Option


def test_a_handler_registered_before_the_end_fires_once_with_the_value() -> None:
    result, seen = ByHand[int](), list[int]()
    assert result.on_ok(seen.append) is result
    assert seen == []
    result.succeed(5)
    result.succeed(6)
    assert (result.get(), result.get(), seen) == (5, 5, [5])


def test_a_handler_fires_once_when_registered_after_completion() -> None:
    result, seen = ByHand[int](), list[tuple[int, int]]()
    result.succeed(5)
    result.on_ok(lambda value: seen.append((value, threading.get_ident())))
    assert seen == [(5, threading.get_ident())]
    result.get()
    assert len(seen) == 1


def test_handlers_fire_in_the_order_they_were_registered() -> None:
    result, seen = ByHand[int](), list[str]()
    result.on_ok(lambda _: seen.append("a")).on_nok(lambda _: seen.append("never")).on_ok(lambda _: seen.append("b"))
    result.succeed(1)
    result.wait()
    assert seen == ["a", "b"]


def test_the_values_of_a_tuple_reach_a_handler_one_by_one() -> None:
    result, seen = ByHand[tuple[int, str]](), list[object]()
    result.on_ok_args(lambda number, text: seen.extend([number, text]))
    result.succeed((1, "a"))
    result.on_ok_args(lambda number, text: seen.extend([text, number]))
    assert seen == [1, "a", "a", 1]


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("reports", [[], [Status.SENT], [Status.SENT, Status.PROGRESS]], ids=len)
def test_a_failure_reaches_the_nok_handler_whenever_it_was_registered(reports: list[Status], early: bool) -> None:
    result, seen = ByHand[int](Option(monitor_progress=True)), list[TaskFailed | ResultError]()
    for status in reports:
        result.deliver(status)
    if early:
        result.on_nok(seen.append)
    result.fail("broken")
    if not early:
        result.on_nok(seen.append)
    result.wait()
    [error] = seen
    assert isinstance(error, TaskFailed)
    assert error.message == "broken"


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("reports", [[], [Status.SENT]], ids=len)
def test_the_end_of_the_reports_reaches_the_nok_handler(reports: list[Status], early: bool) -> None:
    result, seen = ByHand[int](Option(monitor_progress=True)), list[TaskFailed | ResultError]()
    for status in reports:
        result.deliver(status)
    if early:
        result.on_nok(seen.append)
    result.close(ResultClosed("the app was closed"))
    if not early:
        result.on_nok(seen.append)
    [error] = seen
    assert isinstance(error, ResultClosed)
    assert str(error) == "the app was closed"


@pytest.mark.parametrize("error", [SendError("refused"), DecodeError("not JSON")])
def test_an_error_of_another_kind_reaches_the_nok_handler_as_the_cause(error: Exception) -> None:
    result, seen = ByHand[int](), list[TaskFailed | ResultError]()
    result.on_nok(seen.append)
    result.close(error)
    [closed] = seen
    assert isinstance(closed, ResultClosed)
    assert type(closed.__cause__) is type(error)
    assert str(error) in str(closed)


def test_a_result_whose_reports_are_ignored_fires_nok_at_once() -> None:
    result, seen = ByHand[int](Option(ignore_report=True)), list[TaskFailed | ResultError]()
    result.on_ok(lambda value: pytest.fail("there is no value")).on_nok(seen.append).then()
    assert [type(error) for error in seen] == [ReportsIgnored]


# where they fire


def test_a_waiting_thread_fires_the_handlers() -> None:
    result, seen = ByHand[int](), list[int]()
    result.fire_with(lambda call: pytest.fail("somebody waits"))
    result.on_ok(lambda _: seen.append(threading.get_ident()))
    waiter = threading.Thread(target=result.wait)
    waiter.start()
    until(lambda: result.waiting == 1)
    result.succeed(5)
    waiter.join(SECONDS)
    assert seen == [waiter.ident]


def test_without_a_waiter_the_handler_thread_fires() -> None:
    result, seen = ByHand[int](), list[int]()
    with HandlerThread() as background:
        result.fire_with(background)
        result.on_ok(lambda _: seen.append(threading.get_ident()))
        result.succeed(5)
        until(lambda: len(seen) == 1)
        assert seen == [background.thread.ident]


def test_a_waiter_that_gave_up_leaves_the_handlers_to_the_handler_thread() -> None:
    result, seen = ByHand[int](), list[int]()
    with HandlerThread() as background:
        result.fire_with(background)
        result.on_ok(lambda _: seen.append(threading.get_ident()))
        with pytest.raises(TimeoutError):
            result.get(0.001)
        result.succeed(5)
        until(lambda: len(seen) == 1)
        assert seen == [background.thread.ident]


def test_without_a_handler_thread_handlers_fire_where_the_result_ends() -> None:
    result, seen = ByHand[int](), list[int]()
    result.on_ok(seen.append)
    result.succeed(5)
    assert seen == [5]


def test_a_handler_thread_that_is_gone_loses_no_handler(caplog: pytest.LogCaptureFixture) -> None:
    def gone(call: Callable[[], None]) -> None:
        raise RuntimeError("ended")

    result, seen = ByHand[int](), list[int]()
    result.fire_with(gone)
    result.on_ok(seen.append)
    result.succeed(5)
    assert seen == [5]
    assert "fire here" in caplog.text


def test_a_wait_returns_after_the_handlers_even_when_another_thread_fires_them() -> None:
    result, steps = ByHand[int](), list[str]()
    started, go = threading.Event(), threading.Event()

    def slow(_: int) -> None:
        started.set()
        assert go.wait(SECONDS)
        steps.append("handler")

    with HandlerThread() as background:
        result.fire_with(background)
        result.on_ok(slow)
        result.succeed(5)
        assert started.wait(SECONDS)
        waiter = threading.Thread(target=in_turn(result.get, lambda: steps.append("waiter")))
        waiter.start()
        assert result.get(0) == 5, "a poll waits for nobody"
        assert steps == []
        go.set()
        waiter.join(SECONDS)
    assert steps == ["handler", "waiter"]


def test_a_wait_before_the_handler_thread_has_come_round_fires_the_handlers_itself() -> None:
    result, seen = ByHand[int](), list[int]()
    later: list[Callable[[], None]] = []
    result.fire_with(later.append)
    result.on_ok(seen.append)
    result.succeed(5)
    assert seen == []
    assert result.get() == 5
    assert seen == [5]
    [call] = later
    call()
    assert seen == [5]


# what handlers may do


def test_a_handler_may_wait_for_its_own_result() -> None:
    result, seen = ByHand[int](), list[int]()
    result.on_ok(lambda _: seen.append(result.get(SECONDS)))
    result.succeed(5)
    assert seen == [5]


def test_handlers_that_wait_for_each_other_do_not_lock_up() -> None:
    one, two = ByHand[int](), ByHand[int]()
    barrier = threading.Barrier(2, timeout=SECONDS)
    seen: list[int] = []

    def ask(other: ByHand[int]) -> Callable[[int], None]:
        def handler(_: int) -> None:
            barrier.wait()
            seen.append(other.get(SECONDS))

        return handler

    one.on_ok(ask(two))
    two.on_ok(ask(one))
    threads = [threading.Thread(target=result.succeed, args=(5,)) for result in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert seen == [5, 5]


def test_a_handler_may_register_handlers() -> None:
    result, seen = ByHand[int](), list[str]()

    def outer(_: int) -> None:
        result.on_ok(lambda _: seen.append("inner"))
        seen.append("outer")

    result.on_ok(outer)
    result.succeed(5)
    result.get()
    assert seen == ["inner", "outer"]


def test_a_handler_on_the_handler_thread_may_wait_for_another_result() -> None:
    first, second, seen = ByHand[int](), ByHand[int](), list[int]()
    with HandlerThread() as background:
        for result in (first, second):
            result.fire_with(background)
        second.on_ok(seen.append)
        first.on_ok(lambda _: seen.append(second.get(SECONDS)))
        first.succeed(1)
        until(lambda: second.waiting == 1)
        second.succeed(2)
        until(lambda: len(seen) == 2)
    assert seen == [2, 2]


# what handlers may not do


def test_what_a_handler_raises_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    result, seen = ByHand[int](), list[int]()
    result.on_ok(lambda value: seen.append(1 // (value - 5))).on_ok(seen.append)
    result.succeed(5)
    assert (result.get(), seen) == (5, [5])
    [record] = caplog.records
    assert (record.name, record.levelno) == ("typeddingo", logging.ERROR)
    assert record.getMessage() == "a handler of task 'add' (id 7) raised"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_late_handler_that_raises_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    result = ByHand[int]()
    result.succeed(5)
    result.on_ok(lambda value: list[int]()[value])
    assert "IndexError" in caplog.text


def test_a_coroutine_function_is_no_handler_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(value: int) -> None: ...

    result = ByHand[int]()
    result.on_ok(handler)
    result.succeed(5)
    assert "a handler must be a plain function" in caplog.text


def test_an_exit_in_a_handler_reaches_the_waiter_and_the_other_handlers_still_fire() -> None:
    result, seen = ByHand[int](), list[int]()
    passed_on: list[Callable[[], None]] = []
    result.fire_with(passed_on.append)

    def leave(_: int) -> None:
        raise KeyboardInterrupt

    waiting = threading.Event()
    result.on_ok(leave).on_ok(seen.append)
    steps = in_turn(lambda: until(lambda: result.waiting == 1), waiting.set, lambda: result.succeed(5))
    threading.Thread(target=steps).start()
    with pytest.raises(KeyboardInterrupt):
        result.get(SECONDS)
    assert seen == []
    [call] = passed_on
    call()
    assert seen == [5]


def test_an_exit_in_a_handler_on_the_handler_thread_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    result, seen = ByHand[int](), list[int]()

    def leave(_: int) -> None:
        raise SystemExit

    result.on_ok(leave).on_ok(seen.append)
    result.succeed(5)
    assert seen == [5]
    assert "SystemExit" in caplog.text


def test_a_handler_that_cannot_be_called_is_refused_at_once() -> None:
    result = ByHand[int]()
    for register in (result.on_ok, result.on_nok):
        with pytest.raises(TypeError, match="a handler must be callable, not str"):
            register("print")  # type: ignore[arg-type]  # what an untyped caller does


# then


def test_then_without_a_handler_is_refused() -> None:
    with pytest.raises(NoHandler, match=r"call on_ok\(\) or on_nok\(\) first"):
        ByHand[int]().then()


def test_then_lets_the_handlers_fire_without_a_waiter() -> None:
    result, seen = ByHand[int](), list[int]()
    with HandlerThread() as background:
        result.fire_with(background)
        assert result.on_ok(seen.append).then() is result
        result.succeed(5)
        until(lambda: seen == [5])


def test_then_after_the_end_knows_of_the_handlers_that_fired() -> None:
    result, seen = ByHand[int](), list[int]()
    result.succeed(5)
    result.on_ok(seen.append).then().then()
    assert seen == [5]


# set_invoker


class Doubling(LazyInvoker):
    """An invoker that corrects every argument to its double."""

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        return fn(*(value * 2 if isinstance(value, int) else value for value in args))


def test_an_invoker_calls_the_handlers() -> None:
    result, seen = ByHand[int](), list[int]()
    assert result.set_invoker(Doubling()) is result
    result.on_ok(seen.append)
    result.succeed(5)
    result.on_ok(seen.append)
    assert (seen, result.get()) == ([10, 10], 5)


def test_an_invoker_leaves_failures_alone() -> None:
    result, seen = ByHand[int](), list[TaskFailed | ResultError]()
    result.set_invoker(Doubling()).on_nok(seen.append)
    result.fail()
    assert [type(error) for error in seen] == [TaskFailed]
