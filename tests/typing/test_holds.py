"""The typing contract: what a type checker knows of every handle, and that it is so when it runs.

A type checker reads the ``assert_type`` lines; pytest runs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeVar, assert_type

from tests.typing.declared import (
    Adder,
    Service,
    add,
    apart,
    app,
    as_async,
    as_base,
    async_ctx,
    declared,
    declared_ctx,
    fetch,
    inner,
    inner_async,
    inner_ctx,
    maybe,
    named,
    nothing,
    pair,
    power,
    service,
    shout,
    takes_object,
    total,
    with_ctx,
    wrapped,
    wrapped_too,
)
from typeddingo import (
    App,
    AsyncTask,
    Context,
    LocalBackend,
    Middleware,
    Option,
    Outgoing,
    Pipeline,
    Report,
    Reports,
    Result,
    Retry,
    Schedule,
    Status,
    SyncTask,
    Task,
    TaskFailed,
    each,
    gather,
)

T = TypeVar("T")


def is_(value: T, expected: T) -> None:
    assert value == expected
    assert type(value) is type(expected)


def test_a_call_gives_a_result_of_what_the_function_returns() -> None:
    assert_type(add.call(1, 2), Result[int])
    assert_type(add.call(1, b=2).get(), int)
    assert_type(fetch.call("u"), Result[bytes])
    assert_type(wrapped.call("u"), Result[bytes])
    assert_type(wrapped_too.call("u"), Result[bytes])
    assert_type(shout.call("a"), Result[str])
    assert_type(shout.call("a", mark="?"), Result[str])
    assert_type(pair.call(1), Result[tuple[int, str]])
    assert_type(nothing.call(), Result[None])
    assert_type(total.call(1, 2, start=3, other=4), Result[int])
    assert_type(maybe.call(None).get(), int | None)
    is_(add.call(1, b=2).get(5), 3)
    is_(fetch.call("u").get(5), b"u")
    is_(total.call(1, 2, start=3, other=4).get(5), 10)
    is_(maybe.call(None).get(5), None)


def test_a_handle_is_a_sync_or_an_async_task() -> None:
    sync: SyncTask[[int, int], int] = add
    coroutine: AsyncTask[[str], bytes] = fetch
    both: list[Task[..., object]] = [sync, coroutine]
    assert [type(task) for task in both] == [SyncTask, AsyncTask]
    assert_type(add.name, str)


def test_a_task_called_here_is_the_function() -> None:
    assert_type(add(1, 2), int)
    assert_type(with_ctx(3), str)
    is_(add(1, 2), 3)
    is_(with_ctx(3), "tests.typing.declared.with_ctx: 3")
    plain: Callable[[int, int], int] = add
    is_(plain(1, 2), 3)

    async def main() -> None:
        assert_type(await fetch("u"), bytes)
        coroutine: Coroutine[object, None, bytes] = fetch("u")
        assert_type(await coroutine, bytes)
        is_(await fetch("u"), b"u")
        is_(await async_ctx(3), "typing.async_ctx: 3")

    asyncio.run(main())


def test_results_and_calls_can_be_awaited() -> None:
    async def main() -> None:
        assert_type(await add.call_async(1, 2), Result[int])
        assert_type(await add.call(1, 2), int)
        assert_type(await (await fetch.call_async("u")), bytes)
        assert_type(await gather(add.call(1, 2), shout.call("s")), tuple[int, str])
        is_(await add.call(1, 2), 3)
        is_(await gather(add.call(1, 2), shout.call("s")), (3, "S!"))

    asyncio.run(main())


def test_a_schedule_gives_back_the_handle_it_is_put_on() -> None:
    clock = App("local")

    @clock.cron("0 9 * * *", tz="Europe/Berlin", catch_up="none")
    @clock.every(hours=1, name="hourly")
    @clock.task
    def tidy(deep: bool = False) -> int:
        return int(deep)

    @clock.every(minutes=5)
    @clock.task(context=True)
    async def sweep(ctx: Context) -> str:
        return ctx.id

    same: SyncTask[..., int] = tidy
    assert same is tidy
    assert_type(tidy.call(True), Result[int])
    assert_type(sweep, AsyncTask[[], str])
    assert_type(clock.schedules(), list[Schedule])
    assert_type(clock.schedules()[0].next, datetime | None)
    is_([schedule.name.rpartition(".")[2] for schedule in clock.schedules()], ["hourly", "sweep", "tidy"])
    clock.close()


def test_a_tasks_life_is_typed() -> None:
    decorated = app.task(name="life", retries=3, retry_on=(OSError, ValueError), backoff=0.5, timeout=1.0)(power)
    assert_type(decorated.call(2).cancel(), None)
    assert_type(Retry(after=3).after, float | None)


def test_a_key_function_takes_the_parameters_of_its_task() -> None:
    with App("local") as own:

        @own.task(unique_for=60, limit="100/s", max_running=2)
        def charge(order: str, cents: int = 1) -> int:
            return cents

        @own.task(context=True, unique_for=60.0)
        async def told(ctx: Context, a: int) -> str:
            return str(a)

        @charge.key
        def by_order(order: str, cents: int = 1) -> str:
            return order

        @told.key
        def by_a(a: int) -> tuple[str, int]:
            return "a", a

        charge.key(lambda order, cents=1: (assert_type(order, str), assert_type(cents, int)))
        is_(by_order("a"), "a")
        is_(by_a(1), ("a", 1))
        assert_type(charge.call("a").get(5), int)


def test_options_keep_the_parameters() -> None:
    assert_type(add.with_options(delay=0, expires=60.0, priority=3).call(1, b=2), Result[int])
    assert_type(add.with_options(eta=datetime.now(UTC)).call(1, b=2), Result[int])
    monitored = add.with_options(monitor_progress=True)
    assert_type(monitored.call(1, 2), Result[int])
    assert_type(monitored(1, 2), int)
    assert_type(fetch.with_options(ignore_report=False).call("u"), Result[bytes])
    assert_type(service.mul.with_options(monitor_progress=True).call(2), Result[int])
    statuses = [report.status for report in monitored.call(1, 2).reports(5)]
    assert statuses[-1] is Status.SUCCESS
    assert Status.SENT in statuses


def test_the_injected_context_is_not_a_parameter() -> None:
    assert_type(with_ctx.call(3), Result[str])
    assert_type(async_ctx.call(a=3), Result[str])
    assert_type(declared_ctx.call(3), Result[str])
    assert_type(app.register("inner_ctx", inner_ctx, context=True).call(3), Result[str])
    is_(with_ctx.call(3).get(5), "tests.typing.declared.with_ctx: 3")
    is_(async_ctx.call(3).get(5), "typing.async_ctx: 3")


def test_everything_callable_can_be_registered() -> None:
    base: Task[[int], int] = app.register("inner2", inner)
    assert_type(base.call(1), Result[int])
    assert_type(as_base.call(1), Result[int])
    assert_type(as_async.call(1), Result[str])
    assert_type(app.register("inner_async2", inner_async).call(x=1), Result[str])
    assert_type(power.call(2), Result[float])
    assert_type(app.register("power2", service.power).call(2, exponent=3), Result[float])
    assert_type(app.register("adder", Adder(2)).call(1), Result[int])
    assert_type(app.register("mul", service.mul).call(2), Result[int])
    assert_type(app.register("wait", service.wait).call(2), Result[str])
    assert_type(named.call(1), Result[int])
    assert_type(apart.call(1), Result[str])
    assert_type(apart(1), str)
    is_(app.register("adder2", Adder(2)).call(1).get(5), 3)
    is_(power.call(2).get(5), 12.0)


def test_methods_bind_as_functions_do() -> None:
    assert_type(service.mul.call(3), Result[int])
    assert_type(service.mul(3), int)
    assert_type(service.wait.call(3), Result[str])
    assert_type(Service.double.call(3), Result[int])
    assert_type(Service.mul.call(service, 3), Result[int])
    assert_type(service.mul.map([1, 2]), list[Result[int]])
    is_(service.mul.call(3).get(5), 9)
    is_(Service(5).wait.call(3).get(5), "15")
    is_(Service.double.call(3).get(5), 6)


def test_tasks_declared_without_an_app_have_the_same_types() -> None:
    assert_type(declared.call(1), Result[str])
    assert_type(declared(1), str)
    is_(declared.call(1).get(5), "1")


def test_map_takes_the_one_argument_that_is_needed() -> None:
    assert_type(shout.map(["a", "b"]), list[Result[str]])
    assert_type(as_base.map(range(3)), list[Result[int]])
    assert_type(fetch.map(iter(["u"])), list[Result[bytes]])
    is_([result.get(5) for result in shout.map(["a", "b"])], ["A!", "B!"])


def test_a_pipeline_is_called_as_its_first_task_and_gives_what_its_last_one_gives() -> None:
    by_step: Pipeline[[int], str] = as_base | declared
    assert_type((add | maybe).call(1, 2), Result[int | None])
    assert_type((add | maybe).call(a=1, b=2).get(5), int | None)
    assert_type((add | as_base | declared | shout | fetch).call(1, 2), Result[bytes])
    assert_type((shout | fetch).call("a", mark="?"), Result[bytes])
    assert_type(nothing | nothing, Pipeline[[], None])
    assert_type((nothing | maybe).call(), Result[int | None])
    assert_type((as_base | (as_base | declared)).call(1), Result[str])
    assert_type((named | with_ctx).call(1), Result[str])
    assert_type((add | as_base).with_options(monitor_progress=True).call(1, 2), Result[int])
    assert_type((declared | shout).map([1, 2]), list[Result[str]])
    is_((add | as_base | declared).call(1, 2).get(5), "3")
    is_(by_step.call(1).get(5), "1")
    is_([result.get(5) for result in (declared | shout).map([1, 2])], ["1!", "2!"])

    async def later() -> str:
        assert_type(await (add | declared).call_async(1, 2), Result[str])
        return await (await (add | declared).call_async(1, 2))

    is_(asyncio.run(later()), "3")


def test_a_step_for_each_value_takes_and_gives_lists() -> None:
    assert_type(each(declared), Pipeline[[list[int]], list[str]])
    assert_type(each(fetch).call(["u"]), Result[list[bytes]])
    assert_type((each(as_base) | each(declared)).call([1]), Result[list[str]])
    is_(each(shout).call(["a", "b"]).get(5), ["A!", "B!"])


def test_a_result_by_id_has_the_type_of_its_task() -> None:
    with App("remote") as remote:
        remote.use(LocalBackend())
        sync, later = remote.register("sync", inner), remote.register("later", inner_async)
        assert_type(remote.result(sync, "7"), Result[int])
        assert_type(remote.result(later, "7"), Result[str])
        assert_type(remote.result("sync", "7", int), Result[int])
        assert_type(remote.result("elsewhere", "7", list[str]), Result[list[str]])
        is_(remote.result("sync", "7", int).id, "7")


def test_the_state_of_a_context_has_the_type_that_is_asked_for() -> None:
    class Database: ...

    class Pool(Database): ...

    @contextmanager
    def sync_life() -> Generator[Pool]:
        yield Pool()

    @asynccontextmanager
    async def async_life() -> AsyncGenerator[Database]:
        yield Database()

    for made in (App(lifespan=sync_life), App("local", lifespan=async_life), App(lifespan=lambda: nullcontext(3))):
        assert_type(made, App)
        made.close()
    context = Context(state=Pool())
    assert_type(context.state(Database), Database)
    assert_type(context.state(Pool), Pool)
    assert_type(context.headers, Mapping[str, str])
    is_(type(context.state(Database)), Pool)


def test_middleware_is_overridden_hook_by_hook() -> None:
    class Around(Middleware):
        @contextmanager
        def around_run(self, context: Context) -> Generator[None]:
            yield

    class Everything(Middleware):
        def before_send(self, call: Outgoing) -> None:
            assert_type(call.headers, dict[str, str])
            assert_type((call.name, call.id, call.option), tuple[str, str, Option])

        def after_send(self, call: Outgoing, error: BaseException | None) -> None: ...

        def around_run(self, context: Context) -> AbstractContextManager[int]:
            return nullcontext(3)

        def after_run(self, context: Context, report: Report[object]) -> None:
            assert_type(report.error, TaskFailed | None)

    with App(middleware=(Around(), Everything())) as made:
        made.add_middleware(Around())
        task = made.register("inner", inner, queue="sums")
        assert_type(task, SyncTask[[int], int])
        assert_type(made.forget(task, "7"), None)
        is_(task.call(3).get(5), 3)


def test_gather_keeps_every_type_in_its_place() -> None:
    one, two = add.call(1, 2), shout.call("s")
    assert_type(gather(), Result[tuple[()]])
    assert_type(gather(one), Result[tuple[int]])
    assert_type(gather(one, two), Result[tuple[int, str]])
    assert_type(gather(one, two, one), Result[tuple[int, str, int]])
    assert_type(gather(one, two, one, two), Result[tuple[int, str, int, str]])
    assert_type(gather(one, two, one, two, one), Result[tuple[int, str, int, str, int]])
    assert_type(gather(one, two, one, two, one, two), Result[tuple[int, str, int, str, int, str]])
    assert_type(gather(one, two, one, two, one, two, one), Result[tuple[int, str, int, str, int, str, int]])
    assert_type(gather(one, two, one, two, one, two, one, two), Result[tuple[int, str, int, str, int, str, int, str]])
    assert_type(gather(*[add.call(i, 1) for i in range(3)]), Result[tuple[int, ...]])
    assert_type(gather(one, one, one, one, one, one, one, one, one), Result[tuple[int, ...]])
    assert_type(gather(*shout.map(["a"])).get(5), tuple[str, ...])
    assert_type(gather(gather(one, two), two), Result[tuple[tuple[int, str], str]])
    is_(gather(one, two).get(5), (3, "S!"))


def test_handlers_get_what_the_result_gives() -> None:
    seen: list[int] = []
    failures: list[str] = []
    result = add.call(1, 2)
    assert_type(result.on_ok(seen.append), Result[int])
    assert_type(result.on_ok(takes_object), Result[int])
    assert_type(result.on_ok(lambda value: value.bit_length()), Result[int])
    assert_type(result.on_nok(lambda error: failures.append(str(error))), Result[int])
    assert_type(result.then(), Result[int])
    assert_type(pair.call(1).on_ok_args(lambda a, b: b.upper()), Result[tuple[int, str]])
    assert_type(pair.call(1).on_ok(lambda both: both[1].upper()), Result[tuple[int, str]])
    assert_type(gather(result, shout.call("s")).on_ok_args(lambda a, b: a + len(b)), Result[tuple[int, str]])
    result.wait(5)
    assert (seen, failures) == ([3], [])


def test_reports_are_of_the_results_type() -> None:
    result = add.call(1, 2)
    assert_type(result.wait(5), Report[int])
    assert_type(result.wait(5).value, int)
    assert_type(result.wait(5).error, TaskFailed | None)
    assert_type(result.last, Report[int] | None)
    assert_type(result.reports(), Reports[int])
    iterator: Iterator[Report[int]] = result.reports()
    async_iterator: AsyncIterator[Report[int]] = result.reports()
    is_([report.value for report in iterator], [3])

    async def main() -> None:
        async for report in result:
            assert_type(report, Report[int])
        async for report in async_iterator:
            assert_type(report.value, int)

    asyncio.run(main())
    assert_type(result.id, str)
    assert_type(result.name, str)
    assert_type((result.ok, result.nok, result.done), tuple[bool, bool, bool])


def test_a_result_of_a_narrow_type_is_one_of_a_wider_type() -> None:
    widened: Result[object] = add.call(1, 2)
    several: list[Result[object]] = [add.call(1, 2), shout.call("s")]
    optional: Result[int | None] = add.call(1, 2)
    report: Report[object] = add.call(1, 2).wait(5)
    task: Task[[int, int], object] = add
    is_(widened.get(5), 3)
    is_([result.get(5) for result in several], [3, "S!"])
    is_((optional.get(5), report.value, task.call(1, 2).get(5)), (3, 3, 3))


def test_an_app_calls_by_name_and_is_a_context_manager_of_its_own_type() -> None:
    assert_type(app.call("tests.typing.declared.add", 1, 2), Result[Any])
    assert_type(app.allocate(add, 2), int)
    assert_type(app.allocate("typing.named"), int)
    with App("local") as inside:
        assert_type(inside, App)

    async def main() -> None:
        async with App("local") as inside:
            assert_type(inside, App)

    asyncio.run(main())
    is_(app.call("tests.typing.declared.add", 1, 2).get(5), 3)
