"""Results on event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.unit.by_hand import SECONDS, ByHand, in_turn, until
from typeddingo._io import wakeups
from typeddingo.errors import ResultClosed, TaskFailed


def soon(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_await_returns_what_the_task_returned() -> None:
    async def main() -> tuple[int, int]:
        result = ByHand[int]()
        thread = soon(in_turn(lambda: until(lambda: result.waiting == 1), lambda: result.succeed(5)))
        try:
            return await result, await result
        finally:
            thread.join()

    assert asyncio.run(main()) == (5, 5)


def test_await_of_what_has_ended_does_not_yield_to_the_loop() -> None:
    async def main() -> int:
        result = ByHand[int]()
        result.succeed(5)
        return await result

    with pytest.raises(StopIteration) as stopped:
        main().send(None)
    assert stopped.value.value == 5


def test_await_raises_the_failure_or_why_there_is_no_outcome() -> None:
    async def main(end: Callable[[ByHand[int]], None]) -> None:
        result = ByHand[int]()
        thread = soon(in_turn(lambda: until(lambda: result.waiting == 1), lambda: end(result)))
        try:
            await result
        finally:
            thread.join()

    with pytest.raises(TaskFailed, match="broken"):
        asyncio.run(main(lambda result: result.fail("broken")))
    with pytest.raises(ResultClosed, match="gone"):
        asyncio.run(main(lambda result: result.close(ResultClosed("gone"))))


def test_many_coroutines_on_many_loops_await_one_result() -> None:
    result = ByHand[int]()
    got: list[int] = []

    async def main() -> None:
        async def one() -> int:
            return await result

        got.extend(await asyncio.gather(*[one() for _ in range(5)]))

    threads = [soon(lambda: asyncio.run(main())) for _ in range(3)]
    until(lambda: result.waiting == 15)
    result.succeed(5)
    for thread in threads:
        thread.join(SECONDS)
    assert got == [5] * 15
    assert result.waiting == 0


def test_handlers_fire_on_the_loop_that_awaits_and_before_the_await_returns() -> None:
    result, seen = ByHand[int](), list[object]()
    result.fire_with(lambda call: pytest.fail("somebody awaits"))
    result.on_ok(lambda _: seen.append(threading.get_ident()))

    async def main() -> None:
        thread = soon(in_turn(lambda: until(lambda: result.waiting == 1), lambda: result.succeed(5)))
        await result
        seen.append("returned")
        thread.join()

    asyncio.run(main())
    assert seen == [threading.get_ident(), "returned"]


def test_an_await_returns_after_handlers_that_another_thread_is_firing() -> None:
    result, steps = ByHand[int](), list[str]()
    started, go = threading.Event(), threading.Event()

    def slow(_: int) -> None:
        started.set()
        assert go.wait(SECONDS)
        steps.append("handler")

    async def main() -> None:
        task = asyncio.create_task(awaiting())
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        await task

    async def awaiting() -> None:
        await result
        steps.append("await")

    result.on_ok(slow)
    thread = soon(lambda: result.succeed(5))
    assert started.wait(SECONDS)
    asyncio.run(main())
    thread.join()
    assert steps == ["handler", "await"]


def test_a_cancelled_await_leaves_nothing_behind() -> None:
    result = ByHand[int]()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await result
        task = asyncio.ensure_future(result)
        until_waiting = asyncio.get_running_loop().time() + SECONDS
        while result.waiting != 1:
            assert asyncio.get_running_loop().time() < until_waiting
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert result.waiting == 0
    result.succeed(5)
    assert result.get() == 5


def test_handlers_still_fire_when_the_await_that_was_to_fire_them_is_cancelled() -> None:
    result, seen = ByHand[int](), list[int]()
    result.on_ok(seen.append)

    async def main() -> None:
        task = asyncio.ensure_future(result)
        while result.waiting != 1:
            await asyncio.sleep(0)
        result.succeed(5)  # the wakeup is on its way …
        task.cancel()  # … and comes too late
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == [5]


def test_a_closed_loop_is_no_obstacle() -> None:
    result, seen = ByHand[int](), list[int]()
    result.on_ok(seen.append)
    loop = asyncio.new_event_loop()

    async def awaiting() -> int:
        return await result

    coroutine = awaiting()
    task = loop.create_task(coroutine)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert result.waiting == 1
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # we leave it pending on purpose
    loop.close()
    result.succeed(5)
    assert seen == [5]
    assert result.get(0) == 5
    coroutine.close()
    assert result.waiting == 0


def test_a_burst_of_ends_wakes_a_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [ByHand[int]() for _ in range(50)]

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.ensure_future(result) for result in results]
        while not all(result.waiting for result in results):
            await asyncio.sleep(0)
        calls: list[object] = []
        real = loop.call_soon_threadsafe

        def counted(callback: Callable[..., object], *args: object) -> object:
            calls.append(callback)
            return real(callback, *args)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        for number, result in enumerate(results):
            result.succeed(number)
        got = [await task for task in tasks]
        assert len(calls) == 1
        return got

    assert asyncio.run(main()) == list(range(50))
    assert wakeups.DUE == {}


def test_a_wakeup_left_on_a_loop_that_closed_is_forgotten() -> None:
    loop = asyncio.new_event_loop()
    assert wakeups.wake(loop.create_future())
    loop.close()
    assert not wakeups.wake(loop.create_future())
    assert wakeups.DUE == {}
