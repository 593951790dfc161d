"""What a task may ask about itself, and when."""

from __future__ import annotations

import contextvars
import threading

import pytest

from tests.unit.by_hand import SECONDS
from typeddingo import (
    App,
    Config,
    ConfigError,
    Context,
    Header,
    Limits,
    MarshallerID,
    Option,
    Report,
    SeqIDMaker,
    Status,
    current_context,
)
from typeddingo.contract import Contract
from typeddingo.registry import Entry, Registry


def test_outside_a_task_there_is_no_context() -> None:
    with pytest.raises(ConfigError, match="outside a task"):
        current_context()


def test_an_empty_context_serves_tests_of_task_functions() -> None:
    context = Context()
    context.progress(1, 2)
    assert (context.name, context.id, context.attempt, context.option, context.cancelled) == (
        "",
        "",
        1,
        Option(),
        False,
    )


def test_a_thread_that_a_task_starts_may_carry_its_context() -> None:
    seen: list[str] = []

    def work(a: int) -> str:
        carried = contextvars.copy_context()
        thread = threading.Thread(target=lambda: carried.run(lambda: seen.append(current_context().id)))
        thread.start()
        thread.join()
        return current_context().id

    with App() as app:
        result = app.register("work", work).call(1)
        assert result.get(SECONDS) == result.id
        assert seen == [result.id]


def test_a_context_that_outlives_its_task_has_nothing_to_speak_of() -> None:
    late: list[contextvars.Context] = []

    def work(a: int) -> None:
        late.append(contextvars.copy_context())

    with App() as app:
        assert app.register("work", work).call(1).wait(SECONDS).ok
    with pytest.raises(ConfigError, match="after the task had ended"):
        late[0].run(current_context)


WAYS = [None, MarshallerID.JSON, MarshallerID.MSGPACK, MarshallerID.JSONSAFE]


@pytest.mark.parametrize("marshaller", WAYS, ids=lambda id: "by reference" if id is None else id.name)
def test_progress_is_numbers_that_the_caller_sees(marshaller: MarshallerID | None) -> None:
    def work(ctx: Context, steps: int) -> None:
        for step in range(steps):
            ctx.progress(step + 1, steps)
        ctx.progress(0.5)
        ctx.progress()

    option = Option(monitor_progress=True)
    with App(config=Config(marshal_locally=marshaller is not None)) as app:
        task = app.register("work", work, context=True, option=option, report_marshaller=marshaller or 0)
        result = task.call(2)
        reports = [report for report in result.reports(SECONDS) if report.status is Status.PROGRESS]
    assert [report.progress for report in reports] == [None, (1, 2), (2, 2), (0.5, None), None]


@pytest.mark.parametrize(
    "marshaller", [MarshallerID.JSON, MarshallerID.MSGPACK, MarshallerID.JSONSAFE], ids=lambda id: id.name
)
def test_progress_travels(marshaller: MarshallerID) -> None:
    def work(a: int) -> None: ...

    registry = Registry(SeqIDMaker(), Limits())
    contract = Contract.of(work, name="work")
    entry = Entry("work", work, contract, report_marshaller=marshaller)
    wire = registry.wire_of(entry)
    for far in (None, (1, 2), (0.5, None), (-3, 2.25)):
        report = Report[object]("work", "1", Status.PROGRESS, Option(monitor_progress=True), progress=far)
        frame = wire.encode_report(report)
        assert wire.decode_report(Header.from_bytes(frame), frame) == report


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400], ids=["nan", "inf", "huge"])
def test_progress_that_no_reader_could_hold_is_refused(number: float) -> None:
    for numbers in ((number, None), (1, number)):
        with pytest.raises(ConfigError, match="finite"):
            Context().progress(*numbers)
    with pytest.raises(ConfigError, match="without what is done"):
        Context().progress(total=3)
