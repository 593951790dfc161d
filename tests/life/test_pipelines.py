"""Tasks one after the other as one call: what one returns the next takes, and a failure says which step it was."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from tests.leftovers import running
from tests.life.conftest import WAYS
from tests.servers import RabbitServer, RedisServer
from tests.unit.by_hand import SECONDS
from typeddingo import (
    App,
    ConfigError,
    ErrorCode,
    Middleware,
    Option,
    Outgoing,
    SignatureError,
    Status,
    Task,
    TaskFailed,
    Tasks,
    current_context,
    each,
)
from typeddingo.testing import eventually


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    """An open app on every way, also on those that cannot put a task off."""
    with request.param(request) as app:
        yield app
    eventually(lambda: running() == [], f"no thread is left: {running()}")


Way: TypeAlias = Callable[[pytest.FixtureRequest], App]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


def thrice(number: int) -> int:
    """For a child process, which imports it."""
    if not number:
        raise ValueError("that is nothing")
    return 3 * number


def each_of_three(app: App) -> Task[[int], int]:
    @app.task(name="same")
    def same(number: int) -> int:
        return number

    app.allocate("same", 1)
    return same


class Shop:
    """Some tasks that fit together, each with its workers."""

    def __init__(self, app: App) -> None:
        self.ran: Counter[str] = Counter()
        self.ids: list[str] = []
        self._lock = threading.Lock()

        @app.task(name="add")
        def add(a: int, b: int) -> int:
            self.note()
            return a + b

        @app.task(name="double")
        def double(number: int) -> int:
            self.note()
            if number == 13:
                raise ValueError("unlucky")
            return 2 * number

        @app.task(name="spell")
        async def spell(number: int, mark: str = "!") -> str:
            self.note()
            return f"{number}{mark}"

        @app.task(name="digits")
        def digits(text: str) -> list[int]:
            self.note()
            return [int(digit) for digit in text if digit.isdigit()]

        @app.task(name="total")
        def total(numbers: list[int]) -> int:
            self.note()
            return sum(numbers)

        @app.task(name="note_it")
        def note_it(number: int) -> None:
            self.note()

        @app.task(name="done")
        def done() -> str:
            self.note()
            return "done"

        self.add, self.double, self.spell, self.digits = add, double, spell, digits
        self.total, self.note_it, self.done = total, note_it, done
        for task in (add, double, spell, digits, total, note_it, done):
            app.allocate(task, 2)

    def note(self) -> None:
        context = current_context()
        with self._lock:
            self.ran[context.name] += 1
            self.ids.append(context.id)


def test_a_value_goes_from_step_to_step(app: App) -> None:
    shop = Shop(app)
    assert (shop.add | shop.double | shop.spell).call(2, 3).get(SECONDS) == "10!"
    assert shop.ran == {"add": 1, "double": 1, "spell": 1}


def test_the_same_task_can_be_several_steps(app: App) -> None:
    shop = Shop(app)
    assert (shop.double | shop.double | shop.double).call(1).get(SECONDS) == 8
    assert shop.ran == {"double": 3}


def test_pipelines_can_be_put_together(app: App) -> None:
    shop = Shop(app)
    front, back = shop.add | shop.double, shop.double | shop.spell
    assert (front | back).call(a=1, b=1).get(SECONDS) == "8!"
    assert (shop.add | back).names == ("add", "double", "spell")


def test_the_first_step_has_the_id_of_the_result_and_the_others_end_in_their_number(app: App) -> None:
    shop = Shop(app)
    result = (shop.add | shop.double | shop.double).call(1, 2)
    assert result.get(SECONDS) == 12
    assert shop.ids == [result.id, f"{result.id}.1", f"{result.id}.2"]
    assert result.name == "double"


def test_what_returns_nothing_hands_nothing_on(app: App) -> None:
    shop = Shop(app)
    assert (shop.note_it | shop.done).call(1).get(SECONDS) == "done"


def test_a_pipeline_is_called_and_awaited_in_a_coroutine(app: App) -> None:
    shop = Shop(app)

    async def main() -> str:
        return await (await (shop.add | shop.spell).call_async(1, b=2))

    assert asyncio.run(main()) == "3!"


def test_many_pipelines_are_called_at_once(app: App) -> None:
    shop = Shop(app)
    results = (shop.double | shop.spell).map(range(5))
    assert [result.get(SECONDS) for result in results] == ["0!", "2!", "4!", "6!", "8!"]


@pytest.mark.parametrize("value", [13, 6, 3])
def test_a_failure_names_its_step(app: App, value: int) -> None:
    """Thirteen is what comes to it, sooner or later."""
    shop = Shop(app)

    @app.task(name="next_one")
    def next_one(number: int) -> int:
        return number + 7 if number == 6 else number + 4 if number == 3 else number

    app.allocate("next_one", 1)
    pipeline = {
        13: shop.double | next_one | shop.spell,
        6: next_one | shop.double | shop.spell,
        3: next_one | add_three(app) | add_three_more(app) | shop.double | shop.spell,
    }[value]
    step = pipeline.names.index("double") + 1
    with pytest.raises(TaskFailed, match=f"step {step} of {len(pipeline.names)}: unlucky") as failed:
        pipeline.call(value).get(SECONDS)
    assert failed.value.task == "double"
    assert failed.value.code == ErrorCode.PANIC
    assert failed.value.exception_type == "ValueError"
    assert "unlucky" in failed.value.traceback
    assert shop.ran["spell"] == 0


def test_a_failure_in_the_last_step_is_named_too(app: App) -> None:
    shop = Shop(app)
    with pytest.raises(TaskFailed, match="step 2 of 2: unlucky") as failed:
        (shop.add | shop.double).call(6, 7).get(SECONDS)
    assert failed.value.task == "double"


def add_three(app: App) -> Task[[int], int]:
    @app.task(name="add_three")
    def add_three(number: int) -> int:
        return number + 3

    app.allocate("add_three", 1)
    return add_three


def add_three_more(app: App) -> Task[[int], int]:
    @app.task(name="add_three_more")
    def add_three_more(number: int) -> int:
        return number + 3

    app.allocate("add_three_more", 1)
    return add_three_more


def test_without_reports_the_steps_run_all_the_same(app: App) -> None:
    shop = Shop(app)
    result = (shop.add | shop.double | shop.note_it).with_options(ignore_report=True).call(1, 2)
    eventually(lambda: shop.ran == {"add": 1, "double": 1, "note_it": 1})
    assert result.option == Option(ignore_report=True)


def test_the_progress_of_every_step_reaches_who_asked(app: App) -> None:
    shop = Shop(app)
    result = (shop.add | shop.double).with_options(monitor_progress=True).call(1, 2)
    reports = list(result.reports())
    assert [report.status for report in reports] == [Status.SENT, Status.PROGRESS, Status.PROGRESS, Status.SUCCESS]
    assert {(report.name, report.id) for report in reports} == {("double", result.id)}


def test_a_step_is_retried_and_the_pipeline_goes_on(app: App) -> None:
    shop, tries = Shop(app), Counter[str]()

    @app.task(name="flaky", retries=3, backoff=0.0)
    def flaky(number: int) -> int:
        tries["flaky"] += 1
        if tries["flaky"] < 3:
            raise OSError("not yet")
        return number

    app.allocate("flaky", 1)
    assert (shop.add | flaky | shop.spell).call(1, 2).get(SECONDS) == "3!"
    assert tries == {"flaky": 3}


# For each value of a list.


def test_each_value_of_a_list_is_a_run_of_its_own(app: App) -> None:
    shop = Shop(app)
    assert (shop.digits | each(shop.double) | shop.total).call("1 2 3 4").get(SECONDS) == 20
    assert shop.ran == {"digits": 1, "double": 4, "total": 1}


def test_each_may_be_first_last_or_all_of_it(app: App) -> None:
    shop = Shop(app)
    assert (each(shop.double) | shop.total).call([1, 2, 3]).get(SECONDS) == 12
    assert (shop.digits | each(shop.spell)).call("123").get(SECONDS) == ["1!", "2!", "3!"]
    assert each(shop.spell).call([3, 2, 1]).get(SECONDS) == ["3!", "2!", "1!"]
    assert (each(shop.double) | each(shop.spell)).call([1, 2]).get(SECONDS) == ["2!", "4!"]


def test_a_list_without_values_goes_on_at_once(app: App) -> None:
    shop = Shop(app)
    assert (shop.digits | each(shop.double) | shop.total).call("none").get(SECONDS) == 0
    assert (each(shop.double) | shop.total).call([]).get(SECONDS) == 0
    assert each(shop.double).call([]).get(SECONDS) == []
    assert (each(shop.double) | each(shop.spell)).call([]).get(SECONDS) == []


def test_the_order_of_many_values_is_kept(app: App) -> None:
    shop = Shop(app)
    assert each(shop.double).call(list(range(14, 214))).get(SECONDS) == list(range(28, 428, 2))


def test_19_a_run_that_fails_ends_the_pipeline_and_is_named(app: App) -> None:
    shop = Shop(app)
    with pytest.raises(TaskFailed, match="step 2 of 3, value 3 of 4: unlucky") as failed:
        (add_list(app) | each(shop.double) | shop.total).call([1, 2, 12, 4]).get(SECONDS)
    assert failed.value.task == "double"
    assert failed.value.exception_type == "ValueError"


def add_list(app: App) -> Task[[list[int]], list[int]]:
    @app.task(name="add_list")
    def add_list(numbers: list[int]) -> list[int]:
        return [number + 1 for number in numbers]

    app.allocate("add_list", 1)
    return add_list


def test_of_a_list_that_was_passed_on_nothing_is_left_on_redis(redis_server: RedisServer, redis_url: str) -> None:
    db = int(redis_url.rpartition("/")[2])
    with App(redis_url) as app:
        shop = Shop(app)
        result = each(shop.double).call([1, 2, 3])
        assert result.get(SECONDS) == [2, 4, 6]
        key = f"tdg:{{double}}:join:{result.id}"
        eventually(lambda: redis_server.ask("HGETALL", key, db=db) == {b"done": b"1"})
        assert 0 < int(str(redis_server.ask("TTL", key, db=db))) <= 600


def test_of_a_list_that_was_passed_on_nothing_is_left_on_rabbitmq(rabbit_server: RabbitServer, amqp_url: str) -> None:
    with App(amqp_url) as app:
        shop = Shop(app)
        assert each(shop.double).call([1, 2, 3]).get(SECONDS) == [2, 4, 6]
        vhost = amqp_url.rpartition("/")[2]
        eventually(lambda: not [name for name in rabbit_server.queues(vhost) if "join" in name])


# What is refused when it is built.


def local() -> tuple[App, Shop]:
    app = App("local")
    return app, Shop(app)


def test_a_step_that_cannot_take_what_comes_is_refused() -> None:
    app, shop = local()
    with app:
        with pytest.raises(SignatureError, match=r"'add' \| 'digits': the first returns int, the second takes str"):
            shop.add | shop.digits  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # refused by both
        with pytest.raises(SignatureError, match=r"returns list\[str\], the second takes list\[int\]"):
            each(shop.spell) | shop.total  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # as above
        with pytest.raises(SignatureError, match="gets one value, but it also needs b"):
            shop.double | shop.add  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # as above
        with pytest.raises(SignatureError, match="takes no value from the step before it"):
            shop.double | shop.done  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # as above
        with pytest.raises(SignatureError, match="takes no value"):
            each(shop.done)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # as above


def test_steps_of_two_apps_are_refused() -> None:
    (one, here), (two, there) = local(), local()
    with one, two, pytest.raises(ConfigError, match="belong to several apps"):
        here.add | there.double  # pyright: ignore[reportUnusedExpression]  # it raises


def test_a_method_is_no_step() -> None:
    with App("local") as app:

        class Service:
            @app.task(name="mul")
            def mul(self, x: int) -> int:
                return 3 * x

        with pytest.raises(SignatureError, match="register the bound method instead"):
            Service().mul | Shop(app).double  # pyright: ignore[reportUnusedExpression]  # it raises


def test_a_bound_method_that_is_registered_is_one(app: App) -> None:
    class Service:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def mul(self, x: int) -> int:
            return self.factor * x

    shop, mul = Shop(app), app.register("mul", Service(3).mul)
    app.allocate(mul, 1)
    assert (shop.add | mul | shop.spell).call(1, 2).get(SECONDS) == "9!"


def test_tasks_declared_without_an_app_make_a_pipeline_that_is_called_later() -> None:
    tasks = Tasks()

    @tasks.task(name="one")
    def one(a: int) -> int:
        return a + 1

    @tasks.task(name="two")
    def two(a: int) -> str:
        return str(a)

    pipeline = one | two
    with pytest.raises(ConfigError, match="belongs to no app yet"):
        pipeline.call(1)
    with App("local") as app:
        app.include(tasks)
        assert pipeline.call(1).get(SECONDS) == "2"


def test_a_cancelled_pipeline_starts_no_further_step(app: App) -> None:
    shop, entered, release = Shop(app), threading.Event(), threading.Event()

    @app.task(name="slow")
    def slow(number: int) -> int:
        entered.set()
        release.wait(SECONDS)
        return number

    app.allocate("slow", 1)
    result = (slow | shop.double).call(1)
    assert entered.wait(SECONDS)
    result.cancel()
    time.sleep(1.5 if len(app._bridge.attached()) else 0.0)  # pyright: ignore[reportPrivateUsage]  # a server tells within a second
    release.set()
    report = result.wait(SECONDS)
    assert report.error is not None
    assert report.error.code == ErrorCode.CANCELLED
    assert shop.ran == {}


def test_the_headers_of_middleware_go_along_to_every_step(request: pytest.FixtureRequest, way: Way) -> None:
    class Tenants(Middleware):
        def before_send(self, call: Outgoing) -> None:
            call.headers["tenant"] = f"the owner of {call.id}"

    seen: list[str] = []
    with way(request) as app:
        app.add_middleware(Tenants())

        @app.task(name="note")
        def note(number: int) -> int:
            seen.append(current_context().headers["tenant"])
            return number

        @app.task(name="some")
        def some(numbers: list[int]) -> list[int]:
            seen.append(current_context().headers["tenant"])
            return numbers

        app.allocate("note", 1)
        app.allocate("some", 1)
        result = (some | each(note) | some | each(note)).call([1, 2])
        assert result.get(SECONDS) == [1, 2]
        assert seen == [f"the owner of {result.id}"] * 6


def test_a_step_may_run_in_a_child_process(request: pytest.FixtureRequest, way: Way) -> None:
    with way(request) as app:
        shop, apart = Shop(app), app.register("apart", thrice, isolation="process")
        app.allocate(apart, 1)
        assert (shop.add | apart | each_of_three(app) | shop.spell).call(1, 2).get(60) == "9!"
        with pytest.raises(TaskFailed, match="step 2 of 2: that is nothing"):
            (shop.add | apart).call(0, 0).get(60)


def test_what_reaches_a_worker_of_another_release_ends_the_pipeline(request: pytest.FixtureRequest) -> None:
    """The second step takes something else there; or is not there at all."""
    url: str = request.getfixturevalue("redis_url")
    with App(url) as here, App(url) as there:

        @here.task(name="one")
        def one(number: int) -> int:
            return number

        @here.task(name="two")
        def two(number: int) -> int:
            return number

        @here.task(name="three")
        def three(number: int) -> int:
            return number

        @there.task(name="two")
        def other_two(number: list[str]) -> int:
            return len(number)

        here.allocate(one, 1)
        there.allocate(other_two, 1)
        with pytest.raises(TaskFailed, match=r"step 2 of 2: .*number") as failed:
            (one | two).call(1).get(SECONDS)
        assert failed.value.task == "two"

        @there.task(name="four")
        def there_four(number: int) -> int:
            return number

        @here.task(name="four")
        def four(number: int) -> int:
            return number

        there.allocate(there_four, 1)
        with pytest.raises(TaskFailed, match="step 2 of 3: no task of this name is registered") as failed:
            (four | three | one).call(1).get(SECONDS)
        assert failed.value.task == "three"


def test_the_result_of_a_pipeline_is_had_by_its_id(redis_url: str) -> None:
    with App(redis_url) as gone:

        @gone.task(name="add")
        def add(a: int, b: int) -> int:
            return a + b

        @gone.task(name="double")
        def double(number: int) -> int:
            return 2 * number

        id = (add | double).call(1, 2).id
    with App(redis_url) as app:
        Shop(app)
        assert app.result("double", id, int).get(SECONDS) == 6


def test_go_dingos_layout_has_no_place_for_pipelines(redis_url: str) -> None:
    with App(f"{redis_url}?layout=dingo") as app:
        shop = Shop(app)
        with pytest.raises(ConfigError, match="no place for pipelines"):
            (shop.add | shop.double).call(1, 2)
