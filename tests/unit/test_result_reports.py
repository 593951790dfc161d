"""The stream of reports, for threads and for coroutines."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.unit.by_hand import SECONDS, ByHand, until
from typeddingo.errors import ResultClosed, ResultTimeout
from typeddingo.message import Report, Status
from typeddingo.option import Option

MONITORED = Option(monitor_progress=True)
ALL = [Status.SENT, Status.PROGRESS, Status.PROGRESS, Status.SUCCESS]


def test_reports_that_came_before_are_read_too_and_the_final_one_is_the_last() -> None:
    result = ByHand[int](MONITORED)
    delivered = [result.deliver(status, 5) for status in ALL]
    assert list(result.reports()) == delivered
    assert list(result.reports()) == delivered, "every stream starts at the first"


def test_a_value_that_came_by_reference_ends_the_stream_as_a_report() -> None:
    result = ByHand[int]()
    result.succeed(5)
    [report] = result.reports()
    assert (report.status, report.value) == (Status.SUCCESS, 5)


def test_reports_are_read_as_they_arrive() -> None:
    result = ByHand[int](MONITORED)
    seen: list[Status] = []
    reader = threading.Thread(target=lambda: seen.extend(report.status for report in result.reports(SECONDS)))
    reader.start()
    for count, status in enumerate(ALL):
        until(lambda: result.watchers == 1)
        result.deliver(status, 5)
        until(lambda count=count: len(seen) > count or not reader.is_alive() or result.watchers == 1)  # type: ignore[misc]  # the default binds
    reader.join(SECONDS)
    assert seen == ALL
    assert result.watchers == 0


def test_many_readers_each_read_everything() -> None:
    result = ByHand[int](MONITORED)
    seen: list[list[Status]] = []
    readers = [
        threading.Thread(target=lambda: seen.append([report.status for report in result.reports(SECONDS)]))
        for _ in range(8)
    ]
    for reader in readers:
        reader.start()
    for status in ALL:
        result.deliver(status, 5)
    for reader in readers:
        reader.join(SECONDS)
    assert seen == [ALL] * 8


def test_a_step_that_takes_too_long_raises_and_leaves_nothing_behind() -> None:
    result = ByHand[int](MONITORED)
    stream = result.reports(0.001)
    with pytest.raises(ResultTimeout, match="no report came"):
        next(stream)
    assert result.watchers == 0
    result.deliver(Status.SENT)
    assert next(stream).status is Status.SENT


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_step_without_time_only_looks(timeout: float) -> None:
    result = ByHand[int](MONITORED)
    stream = result.reports(timeout)
    with pytest.raises(ResultTimeout):
        next(stream)
    result.deliver(Status.SENT)
    assert next(stream).status is Status.SENT


def test_a_stream_that_breaks_off_raises_why() -> None:
    result = ByHand[int](MONITORED)
    result.deliver(Status.SENT)
    result.close(ResultClosed("the app was closed"))
    stream = result.reports()
    assert next(stream).status is Status.SENT
    with pytest.raises(ResultClosed, match="the app was closed"):
        next(stream)


def test_coroutines_read_reports_as_they_arrive() -> None:
    async def main() -> list[list[Status]]:
        result = ByHand[int](MONITORED)

        async def read() -> list[Status]:
            return [report.status async for report in result]

        async def read_stream() -> list[Status]:
            return [report.status async for report in result.reports(SECONDS)]

        readers = [asyncio.ensure_future(read()), asyncio.ensure_future(read_stream())]
        for status in ALL:
            while result.watchers != 2:
                await asyncio.sleep(0)
            result.deliver(status, 5)
        seen = [await reader for reader in readers]
        assert result.watchers == 0
        return seen

    assert asyncio.run(main()) == [ALL, ALL]


def test_an_async_step_that_takes_too_long_raises_and_leaves_nothing_behind() -> None:
    result = ByHand[int](MONITORED)

    async def main(timeout: float) -> Report[int]:
        return await anext(result.reports(timeout))

    for timeout in (0.001, 0, -1):
        with pytest.raises(ResultTimeout):
            asyncio.run(main(timeout))
    assert result.watchers == 0
    result.deliver(Status.SENT)
    assert asyncio.run(main(0)).status is Status.SENT


def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    result = ByHand[int](MONITORED)

    async def main() -> None:
        reader = asyncio.ensure_future(anext(result.reports()))
        while result.watchers != 1:
            await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(main())
    assert result.watchers == 0
