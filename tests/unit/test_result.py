"""What a caller may ask of a result, and when it is told."""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import threading
import weakref
from _thread import allocate_lock

import pytest

from tests.unit.by_hand import SECONDS, ByHand, in_turn, until
from typeddingo.errors import (
    ConfigError,
    DecodeError,
    ErrorCode,
    Misfit,
    ReportsIgnored,
    ResultClosed,
    ResultTimeout,
    SendError,
    TaskFailed,
)
from typeddingo.message import Failure, Report, Status
from typeddingo.option import Option


def test_get_returns_what_the_task_returned() -> None:
    result = ByHand[list[int]]()
    value = [5]
    result.succeed(value)
    assert result.get() is value


def test_get_waits_for_the_end() -> None:
    result = ByHand[int]()
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(result.get(SECONDS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: result.waiting == 4)
    result.succeed(5)
    for thread in threads:
        thread.join(SECONDS)
    assert got == [5, 5, 5, 5]
    assert result.waiting == 0


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -0.5, 0.01])
def test_get_raises_result_timeout_when_the_end_does_not_come(timeout: float) -> None:
    result = ByHand[int]()
    with pytest.raises(ResultTimeout, match=r"task 'add' \(id '7'\) has not ended"):
        result.get(timeout)
    result.succeed(5)
    assert result.get(timeout) == 5


def test_a_timeout_is_a_timeout_error_and_leaves_nobody_waiting() -> None:
    result = ByHand[int]()
    with pytest.raises(TimeoutError):
        result.wait(0.001)
    assert result.waiting == 0


@pytest.mark.parametrize("timeout", ["5", True, b"1", object()])
def test_a_timeout_that_is_no_number_is_refused_even_after_the_end(timeout: object) -> None:
    result = ByHand[int]()
    result.succeed(5)
    with pytest.raises(TypeError, match="expected seconds as a float or None"):
        result.get(timeout)  # type: ignore[arg-type]  # what an untyped caller does
    with pytest.raises(TypeError):
        result.wait(timeout)  # type: ignore[arg-type]  # the same
    with pytest.raises(TypeError):
        result.reports(timeout)  # type: ignore[arg-type]  # the same


def test_a_timeout_of_nan_is_refused() -> None:
    with pytest.raises(ConfigError, match="NaN"):
        ByHand[int]().get(math.nan)


@pytest.mark.parametrize("timeout", [math.inf, 1e300])
def test_an_endless_timeout_waits(timeout: float) -> None:
    result = ByHand[int]()
    timer = threading.Timer(0.01, lambda: result.succeed(5))
    timer.start()
    assert result.get(timeout) == 5
    timer.join()


def test_get_raises_the_failure_of_the_task() -> None:
    result = ByHand[int]()
    failure = Failure(ErrorCode.RETURN, "does not fit", "builtins.ValueError", "Traceback …")
    result.deliver(Status.FAIL, failure=failure)
    with pytest.raises(TaskFailed) as caught:
        result.get()
    error = caught.value
    assert (error.code, error.message, error.exception_type, error.traceback) == (
        ErrorCode.RETURN,
        "does not fit",
        "builtins.ValueError",
        "Traceback …",
    )
    assert (error.task, error.id) == ("add", "7")


def test_wait_returns_a_failure_and_does_not_raise_it() -> None:
    result = ByHand[int]()
    result.fail("broken")
    report = result.wait()
    assert report.failed
    assert report.error is not None
    assert report.error.message == "broken"


def test_wait_returns_the_final_report_of_a_value_that_came_by_reference() -> None:
    result = ByHand[int](Option(monitor_progress=True))
    result.succeed(5)
    report = result.wait()
    assert (report.ok, report.value, report.values) == (True, 5, (5,))
    assert (report.name, report.id, report.option) == ("add", "7", Option(monitor_progress=True))
    assert result.last is report


def test_the_reported_values_are_the_slots_of_the_return_value() -> None:
    nothing, pair = ByHand[None](), ByHand[tuple[int, str]]()
    nothing.succeed(None)
    pair.succeed((1, "a"))
    assert nothing.wait().values == ()
    assert pair.wait().values == (1, "a")


def test_wait_returns_the_report_that_was_delivered() -> None:
    result = ByHand[int]()
    report = result.deliver(Status.SUCCESS, 5)
    assert result.wait() is report
    assert result.get() == 5


@pytest.mark.parametrize("error", [ResultClosed("closed"), SendError("refused"), DecodeError("not JSON")])
def test_a_result_that_was_closed_raises_why(error: Exception) -> None:
    result = ByHand[int]()
    result.close(error)
    for ask in (result.get, result.wait):
        with pytest.raises(type(error), match=str(error)):
            ask()
    assert (result.done, result.ok, result.nok, result.last) == (True, False, True, None)


def test_every_wait_raises_an_exception_of_its_own() -> None:
    failed, closed = ByHand[int](), ByHand[int]()
    failed.fail()
    cause = OSError("reset")
    error = DecodeError("not JSON", misfits=[Misfit(("a",), "an int")])
    error.__cause__ = cause
    closed.close(error)
    for result in (failed, closed):
        caught: list[BaseException] = []
        for _ in range(3):
            with pytest.raises((TaskFailed, DecodeError)) as info:
                result.get()
            caught.append(info.value)
        assert len({id(error) for error in caught}) == 3
        depths = {len(list(_frames(error))) for error in caught}
        assert depths == {2}, "no traceback grows from raise to raise"
    with pytest.raises(DecodeError) as info:
        closed.get()
    assert info.value is not error
    assert info.value.misfits == error.misfits
    assert info.value.__cause__ is cause


def _frames(error: BaseException) -> list[object]:
    frames: list[object] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def test_an_error_that_wants_more_than_its_text_is_raised_again_whole() -> None:
    class Odd(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__(f"odd {code}")
            self.code = code

    result = ByHand[int]()
    result.close(Odd(code=3))
    with pytest.raises(Odd, match="odd 3") as caught:
        result.get()
    assert caught.value.code == 3


def test_nothing_lives_on_in_a_reference_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        result = ByHand[int]()
        gone = weakref.ref(result)
        result.on_nok(lambda error: None)
        result.on_ok(lambda value: None)
        result.fail()
        for ask in (result.get, result.wait, functools.partial(result.get, 0)):
            with contextlib.suppress(TaskFailed):
                ask()
        del result, ask  # ruff does not see that the loop has bound them
        assert gone() is None
    finally:
        gc.enable()


def test_only_the_first_end_counts() -> None:
    result = ByHand[int]()
    result.succeed(1)
    result.succeed(2)
    result.fail()
    result.close(ResultClosed("late"))
    result.deliver(Status.PROGRESS)
    assert result.get() == 1
    assert result.last is not None
    assert result.last.status is Status.SUCCESS


def test_last_is_the_latest_report_and_its_status_never_goes_back() -> None:
    result = ByHand[int](Option(monitor_progress=True))
    last: list[Report[int] | None] = [result.last]
    for status in (
        Status.SENT,
        Status.SENT,
        Status.PROGRESS,
        Status.SENT,
        Status.PROGRESS,
        Status.SUCCESS,
        Status.SENT,
    ):
        result.deliver(status, 5)
        last.append(result.last)
    assert last[0] is None
    seen = [report.status for report in last[1:] if report is not None]
    assert seen == sorted(seen)
    assert len(seen) == len(last) - 1
    assert [report.status for report in result.reports()] == [
        Status.SENT,
        Status.PROGRESS,
        Status.PROGRESS,
        Status.SUCCESS,
    ]


def test_done_ok_and_nok_follow_the_end() -> None:
    opened, good, bad = ByHand[int](), ByHand[int](), ByHand[int]()
    good.succeed(1)
    bad.fail()
    assert [(r.done, r.ok, r.nok) for r in (opened, good, bad)] == [
        (False, False, False),
        (True, True, False),
        (True, False, True),
    ]
    assert [repr(r) for r in (opened, good, bad)] == [f"<Result of 'add' id='7' {s}>" for s in ("open", "ok", "failed")]


def test_a_result_whose_reports_are_ignored_says_so_at_once() -> None:
    result = ByHand[int](Option(ignore_report=True))
    for ask in (result.get, result.wait, lambda: next(result.reports())):
        with pytest.raises(ReportsIgnored, match="called with ignore_report"):
            ask()
    result.succeed(5)
    assert (result.done, result.nok, result.last) == (True, True, None)


def test_an_interrupt_while_waiting_leaves_the_result_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ByHand[int]()
    background: list[int] = []
    result.fire_with(lambda call: in_turn(lambda: background.append(1), call)())
    result.on_ok(background.append)

    class Interrupting:
        """A latch whose taker is interrupted with the latch in its hands."""

        def __init__(self) -> None:
            self.latch = allocate_lock()
            self.latch.acquire()

        def acquire(self, *, timeout: float) -> bool:
            result.succeed(5)
            self.latch.acquire()
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> object:
            return getattr(self.latch, name)

    interrupting = Interrupting()
    monkeypatch.setattr(result, "_latch", interrupting)
    with pytest.raises(KeyboardInterrupt):
        result.get(SECONDS)
    monkeypatch.undo()
    assert result.waiting == 0
    assert background == [1, 5], "the handlers the waiter should have fired were passed on"
    assert result.get(SECONDS) == 5
    assert not interrupting.latch.locked()
