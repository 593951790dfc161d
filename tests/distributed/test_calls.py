"""What a call does when its worker is another process: as in one process, over every mixture."""

from __future__ import annotations

import asyncio
import collections
import threading
from typing import Any

import pytest

from tests.distributed.conftest import Way
from tests.distributed.program import Program
from typeddingo import (
    App,
    ArgumentError,
    Option,
    ReportsIgnored,
    ResultTimeout,
    Status,
    TaskFailed,
    gather,
)
from typeddingo.testing import eventually

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECONDS = 20.0


def test_arguments_go_by_position_and_by_name(program: Program) -> None:
    assert program.add.call(1, 2).get(SECONDS) == 3
    assert program.add.call(1).get(SECONDS) == 11
    assert program.add.call(b=1, a=2, negative=True).get(SECONDS) == -3


def test_a_wrong_value_is_refused_before_it_is_sent(program: Program) -> None:
    wrong: Any = "1"
    with pytest.raises(ArgumentError, match="a: expected an int"):
        program.add.call(wrong)


def test_a_failure_arrives_as_text(program: Program) -> None:
    with pytest.raises(TaskFailed, match="ValueError: äöü") as caught:
        program.fail.call("äöü").get(SECONDS)
    assert (caught.value.exception_type, caught.value.task) == ("ValueError", "fail")
    assert "raise ValueError(message)" in caught.value.traceback


def test_progress_arrives_in_order(program: Program) -> None:
    result = program.count_up.call(5)
    reports = list(result.reports(SECONDS))
    assert [report.status for report in reports if report.progress is None] == [
        Status.SENT,
        Status.PROGRESS,
        Status.SUCCESS,
    ]
    assert [report.progress for report in reports if report.progress] == [(float(n), 5.0) for n in range(1, 6)]
    assert reports[-1].value == result.id


def test_handlers_fire_without_anybody_waiting(program: Program) -> None:
    fired: list[int] = []
    failures: list[str] = []
    program.add.call(1, 2).on_ok(fired.append).then()
    program.fail.call("why").on_nok(lambda error: failures.append(type(error).__name__)).then()
    eventually(lambda: fired and failures, "both handlers have fired", SECONDS)
    assert (fired, failures) == ([3], ["TaskFailed"])


def test_a_batch_is_confirmed_together_and_gathered(program: Program) -> None:
    with program.app.batch():
        results = [program.add.call(n, n) for n in range(300)]
    assert gather(*results).get(SECONDS) == tuple(2 * n for n in range(300))


def test_async_callers_and_async_tasks(program: Program) -> None:
    async def call() -> list[int]:
        results = [await program.double.call_async(n) for n in range(50)]
        return [await result for result in results]

    assert asyncio.run(call()) == [2 * n for n in range(50)]


def test_threads_share_an_app(program: Program) -> None:
    sums: collections.Counter[int] = collections.Counter()

    def call() -> None:
        for n in range(30):
            sums[program.add.call(n, 0).get(SECONDS)] += 1

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert sums == collections.Counter(dict.fromkeys(range(30), 6))


def test_a_call_that_wants_no_report_gets_none(program: Program) -> None:
    result = program.add.with_options(ignore_report=True).call(1, 2)
    with pytest.raises(ReportsIgnored):
        result.get(SECONDS)
    assert program.add.call(1, 2).get(SECONDS) == 3


def test_two_apps_do_not_hear_each_others_reports(way: Way, program: Program) -> None:
    with App(way.broker, backend=way.backend) as app:
        other = Program(app)
        mine = [program.add.call(n, 0) for n in range(20)]
        theirs = [other.add.call(n, 100) for n in range(20)]
        assert [result.get(SECONDS) for result in mine] == list(range(20))
        assert [result.get(SECONDS) for result in theirs] == list(range(100, 120))


def test_a_large_argument_is_carried(program: Program) -> None:
    assert program.letters.call("ab" * 1_000_000).get(SECONDS) == {"a": 1_000_000, "b": 1_000_000}


def test_a_call_by_name_is_checked_like_one_by_handle(program: Program) -> None:
    assert program.app.call("add", 1, b=2).get(SECONDS) == 3
    with pytest.raises(ArgumentError):
        program.app.call("add", "1")


def test_the_worker_says_who_it_is(program: Program) -> None:
    pid, name, attempt = program.whoami.call().get(SECONDS)
    assert pid > 1
    assert (name, attempt) == ("whoami", 1)


def test_nobody_waits_longer_than_asked(way: Way) -> None:
    with App(way.broker, backend=way.backend) as app:
        lonely = app.register("a task without workers", _nothing, option=Option())
        result = lonely.call()
        with pytest.raises(ResultTimeout):
            result.get(0.05)


def _nothing() -> None: ...
