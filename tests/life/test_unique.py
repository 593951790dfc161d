"""An equal call within ``unique_for`` seconds is the same one: nothing is sent, and its result is the first one's."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any
from uuid import UUID

import pytest

from tests.life.test_retries import start
from tests.unit.by_hand import SECONDS
from typeddingo import (
    App,
    ConfigError,
    ErrorCode,
    Middleware,
    Outgoing,
    QueueFull,
    ResultClosed,
    Task,
    TaskFailed,
    Tasks,
)
from typeddingo.testing import eventually


def test_an_equal_call_is_not_run_again_and_has_the_first_ones_result(app: App) -> None:
    ran: list[int] = []

    @app.task(name="charge", unique_for=60.0)
    def charge(order: str, cents: int = 100) -> int:
        ran.append(cents)
        return len(ran)

    start(app, "charge")
    first = charge.call("a", 100)
    others = [charge.call("a", 100), charge.call("a"), charge.call(cents=100, order="a"), charge.call("a", cents=100)]
    assert {result.get(SECONDS) for result in (first, *others)} == {1}
    after = charge.call("a")
    assert after.get(SECONDS) == 1
    assert {result.id for result in (*others, after)} == {first.id}
    assert charge.call("b").get(SECONDS) == 2
    assert charge.call("a", 200).get(SECONDS) == 3


def test_when_the_time_is_over_it_is_another_one(app: App) -> None:
    @app.task(name="tick", unique_for=0.4)
    def tick() -> float:
        return time.time()

    start(app, "tick")
    sent = time.monotonic()
    first = tick.call()
    eventually(lambda: tick.call().id != first.id, "it is sent again")
    assert time.monotonic() - sent > 0.3


def test_a_key_function_says_what_is_equal(app: App) -> None:
    ran: list[tuple[str, int]] = []

    @app.task(name="charge", unique_for=60.0)
    def charge(order: str, cents: int) -> int:
        ran.append((order, cents))
        return cents

    @charge.key
    def by_order(order: str, cents: int) -> str:
        return order

    start(app, "charge")
    assert [charge.call("a", cents).get(SECONDS) for cents in (1, 2)] == [1, 1]
    assert charge.call(cents=3, order="b").get(SECONDS) == 3
    assert ran == [("a", 1), ("b", 3)]
    assert by_order("x", 1) == "x"


def test_one_that_has_failed_may_be_sent_again(app: App) -> None:
    ran: list[str] = []

    @app.task(name="flaky", unique_for=60.0)
    def flaky(what: str) -> int:
        ran.append(what)
        if len(ran) == 1:
            raise ValueError("not today")
        return len(ran)

    start(app, "flaky")
    with pytest.raises(TaskFailed, match="not today"):
        flaky.call("a").get(SECONDS)
    assert flaky.call("a").get(SECONDS) == 2
    assert flaky.call("a").get(SECONDS) == 2


def test_one_that_is_retried_has_not_failed_yet(app: App) -> None:
    ran: list[str] = []

    @app.task(name="flaky", unique_for=60.0, retries=1, backoff=0.2)
    def flaky(what: str) -> int:
        ran.append(what)
        if len(ran) == 1:
            raise ValueError("not yet")
        return len(ran)

    start(app, "flaky")
    first = flaky.call("a")
    eventually(lambda: len(ran) == 1, "it has run once")
    second = flaky.call("a")
    assert (first.get(SECONDS), second.get(SECONDS), second.id) == (2, 2, first.id)


def test_both_callers_hear_of_a_failure(app: App) -> None:
    go = threading.Event()

    @app.task(name="fail", unique_for=60.0)
    def fail() -> None:
        go.wait(SECONDS)
        raise ValueError("no")

    start(app, "fail")
    results = [fail.call(), fail.call()]
    go.set()
    for result in results:
        with pytest.raises(TaskFailed, match="no"):
            result.get(SECONDS)


def test_one_that_was_cancelled_may_be_sent_again(app: App) -> None:
    @app.task(name="once", unique_for=60.0)
    def once() -> int:
        return 1

    first = once.with_options(delay=2.0).call()  # RabbitMQ looks at it when it is due
    assert once.call().id == first.id
    first.cancel()
    start(app, "once")
    with pytest.raises(TaskFailed) as failed:
        first.get(SECONDS)
    assert failed.value.code == ErrorCode.CANCELLED
    assert once.call().get(SECONDS) == 1


def test_calls_of_a_batch_are_unique_too(app: App) -> None:
    ran: list[int] = []

    @app.task(name="note", unique_for=60.0)
    def note(number: int) -> int:
        ran.append(number)
        return number

    start(app, "note")
    with app.batch():
        results = [note.call(number) for number in (1, 2, 1, 1)]
    assert [result.get(SECONDS) for result in results] == [1, 2, 1, 1]
    assert sorted(ran) == [1, 2]
    assert len({result.id for result in results}) == 2
    assert [result.get(SECONDS) for result in note.map([1, 2, 3])] == [1, 2, 3]
    assert sorted(ran) == [1, 2, 3]


def test_coroutines_call_unique_tasks(app: App) -> None:
    ran: list[int] = []

    @app.task(name="note", unique_for=60.0)
    async def note(number: int) -> int:
        ran.append(number)
        return number

    start(app, "note")

    async def calls() -> list[int]:
        results = [await note.call_async(1) for _ in range(3)]
        return [await result for result in results]

    assert asyncio.run(calls()) == [1, 1, 1]
    assert ran == [1]


def test_of_many_callers_at_once_one_is_first(app: App) -> None:
    ran: list[str] = []

    @app.task(name="once", unique_for=60.0)
    def once(what: str) -> int:
        ran.append(what)
        return len(ran)

    start(app, "once")
    ids: list[str] = []
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait(SECONDS)
        result = once.call("a")
        assert result.get(SECONDS) == 1
        ids.append(result.id)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert ran == ["a"]


# across processes


@pytest.fixture(params=["redis", "amqp"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


def declared(url: str, ran: list[str]) -> tuple[App, Task[[str], int]]:
    app = App(url)

    @app.task(name="once", unique_for=60.0)
    def once(what: str) -> int:
        ran.append(what)
        if what == "fail":
            raise ValueError("no")
        return len(ran)

    return app, once


def test_an_equal_call_of_another_process_is_not_run_either(url: str) -> None:
    ran: list[str] = []
    (one, by_one), (two, by_two) = declared(url, ran), declared(url, ran)
    with one, two:
        start(one, "once")
        first = by_one.call("a")
        before = by_two.call("a")
        assert first.get(SECONDS) == 1
        after, again = by_two.call("a"), by_two.call("a")
        assert {result.id for result in (before, after, again)} == {first.id}
        for result in (before, after, again):
            if url.startswith("redis"):
                assert result.get(SECONDS) == 1
            else:
                with pytest.raises(ResultClosed, match=f"{first.id}"):
                    result.get(SECONDS)
        assert ran == ["a"]
        with pytest.raises(TaskFailed):
            by_one.call("fail").get(SECONDS)
        with pytest.raises(TaskFailed):
            by_two.call("fail").get(SECONDS)
        assert ran == ["a", "fail", "fail"]


def test_where_it_could_not_be_stored_the_next_one_is(redis_url: str) -> None:
    with App(f"{redis_url}?max_length=1") as app:

        @app.task(unique_for=60.0)
        def once(what: str) -> str:
            return what

        once.call("a")
        for _ in range(2):
            with pytest.raises(QueueFull):
                once.call("b")
        app.allocate(once, 1)
        eventually(lambda: _sent(once), "there is room")


def _sent(once: Task[[str], str]) -> bool:
    try:
        return once.call("b").get(SECONDS) == "b"
    except QueueFull:
        return False


# what a key is; one way will do

KEYS: list[object] = [
    "1",
    1,
    "a,b",
    ("a", "b"),
    ("a,b",),
    (1, "1"),
    ("1", 1),
    UUID(int=1),
    str(UUID(int=1)),
    (),
    "",
    ((),),
]


def test_keys_that_differ_are_different_ones() -> None:
    ran: list[int] = []
    with App("local") as app:

        @app.task(unique_for=60.0)
        def note(number: int) -> int:
            ran.append(number)
            return number

        note.key(lambda number: KEYS[number])
        for _ in range(2):
            assert [note.call(number).get(SECONDS) for number in range(len(KEYS))] == list(range(len(KEYS)))
    assert sorted(ran) == list(range(len(KEYS)))


@pytest.mark.parametrize("key", [1.5, None, ["a"], ("a", 1.0), b"a"])
def test_anything_else_is_no_key(key: object) -> None:
    with App("local") as app:

        @app.task(unique_for=60.0)
        def note(number: int) -> int:
            return number

        note.key(lambda number: key)
        with pytest.raises(ConfigError, match="must return a str, an int, a UUID or a tuple of such"):
            note.call(1)


def test_dictionaries_are_equal_in_any_order() -> None:
    with App("local") as app:

        @app.task(unique_for=60.0)
        def note(what: dict[str, int], **others: str) -> int:
            return len(what)

        assert note.call({"a": 1, "b": 2}, x="", y="").id == note.call({"b": 2, "a": 1}, y="", x="").id


def test_a_key_function_takes_what_the_task_takes() -> None:
    with App("local") as app:

        @app.task(unique_for=60.0)
        def note(number: int, *more: int, name: str = "") -> int:
            return number

        def too_few(number: int) -> int:
            return 1

        def no_name(number: int, *more: int) -> int:
            return 1

        def too_many(number: int, other: int, *more: int, name: str) -> int:
            return 1

        wrong: Any
        for wrong in (too_few, no_name, too_many, 7):
            with pytest.raises(ConfigError, match="key"):
                note.key(wrong)
        note.key(lambda number, *more, name="": name)
        assert note.call(1, 2, name="a").id == note.call(3, name="a").id


def test_a_collection_and_a_method_have_keys_too() -> None:
    tasks = Tasks()

    @tasks.task(unique_for=60.0)
    def early(number: int) -> int:
        return number

    early.key(lambda number: number % 2)
    with App("local") as app:

        class Service:
            def __init__(self, name: str) -> None:
                self.name = name

            @app.task(unique_for=60.0)
            def charge(self, order: str, cents: int) -> int:
                return cents

            @charge.key
            def _key(self, order: str, cents: int) -> tuple[str, str]:
                return self.name, order

        app.include(tasks)
        assert [early.call(number).get(SECONDS) for number in (1, 2, 3, 4)] == [1, 2, 1, 2]
        one, two = Service("one"), Service("two")
        assert one.charge.call("a", 1).get(SECONDS) == 1
        assert one.charge.call("a", 2).get(SECONDS) == 1
        assert two.charge.call("a", 3).get(SECONDS) == 3
        with pytest.raises(ConfigError, match="set its key in the class body"):
            one.charge.key(lambda order, cents: order)


@pytest.mark.parametrize("seconds", [0, -1.0, True, "60", float("inf")])
def test_the_time_is_a_number_of_seconds(seconds: float) -> None:
    with App("local") as app, pytest.raises(ConfigError, match="unique_for: expected a number of seconds"):
        app.task(unique_for=seconds)


def test_a_call_that_could_not_be_sent_stands_for_nobody(app: App) -> None:
    class Refuses(Middleware):
        def before_send(self, call: Outgoing) -> None:
            if refuses:
                raise ValueError("not now")

    refuses = [True]
    app.add_middleware(Refuses())
    task = app.register("once", same, unique_for=60)
    app.allocate(task, 1)
    with pytest.raises(ValueError, match="not now"):
        task.call(3)
    refuses.clear()
    assert task.call(3).get(SECONDS) == 3


def same(number: int) -> int:
    return number
