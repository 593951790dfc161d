"""Methods as tasks: they run on the instance they were called through, on every way a task can travel in a process."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import pytest

from tests.acceptance.conftest import by_reference, mapped, named, through_codec
from typeddingo import (
    App,
    ArgumentError,
    ConfigError,
    Context,
    SignatureError,
    TaskFailed,
    Tasks,
    current_context,
    method,
)
from typeddingo.method import InstanceSlot

SECONDS = 10.0

WAYS = pytest.mark.parametrize("make", [by_reference, through_codec, mapped, named], ids=lambda make: make.__name__)


class World:
    """An app with a class whose methods are tasks of it."""

    def __init__(self, make: Callable[[], App]) -> None:
        self.app = app = make()

        class Counter:
            def __init__(self, step: int) -> None:
                self.step = step
                self.count = 0

            @app.task(name="add")
            def add(self, times: int = 1) -> int:
                self.count += self.step * times
                return self.count

            @app.task(name="add_async")
            async def add_async(self, times: int) -> int:
                self.count += self.step * times
                return self.count

            @app.task(name="who")
            def who(self) -> str:
                return current_context().name

        self.Counter = Counter
        for task in (Counter.add, Counter.add_async, Counter.who):
            app.allocate(task)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.app.close()


@WAYS
def test_a_method_runs_on_the_instance_it_was_called_through(make: Callable[[], App]) -> None:
    with World(make) as world:
        ones, tens = world.Counter(1), world.Counter(10)
        assert [ones.add.call(2).get(SECONDS), tens.add.call().get(SECONDS), ones.add.call().get(SECONDS)] == [2, 10, 3]
        assert (ones.count, tens.count) == (3, 10)
        assert ones.add_async.call(1).get(SECONDS) == 4
        assert ones.who.call().get(SECONDS) == "who"


@WAYS
def test_every_form_of_a_call_is_bound(make: Callable[[], App]) -> None:
    with World(make) as world:
        counter = world.Counter(1)
        assert [result.get(SECONDS) for result in counter.add.map([1, 1])] == [1, 2]
        assert counter.add.with_options(monitor_progress=True).call().get(SECONDS) == 3
        assert counter.add() == 4
        assert world.Counter.add.call(counter, 1).get(SECONDS) == 5
        assert world.Counter.add(counter, 1) == 6

        async def main() -> int:
            return await (await counter.add.call_async(1)) + await counter.add_async(1)

        assert asyncio.run(main()) == 7 + 8


@WAYS
def test_an_instance_lives_until_its_call_has_ended_and_no_longer(make: Callable[[], App]) -> None:
    with World(make) as world:
        counter = world.Counter(3)
        gone = weakref.ref(counter)
        result = counter.add.call()
        del counter
        assert result.get(SECONDS) == 3
        del result
    gc.collect()
    assert gone() is None


def test_a_bound_method_is_registered_under_a_name_of_its_own() -> None:
    with World(by_reference) as world:
        counter = world.Counter(2)
        task = world.app.register("counter.add", counter.add)
        assert task.name == "counter.add"
        assert task.call(2).get(SECONDS) == 4
        assert task.call(times=1).get(SECONDS) == 6
        assert counter.count == 6


def test_what_is_no_instance_is_refused_before_anything_is_sent() -> None:
    with World(by_reference) as world:
        untyped: object = "not a counter"
        with pytest.raises(ArgumentError, match=r"self: .*expected an instance of .*Counter"):
            world.Counter.add.call(untyped, 1)  # type: ignore[arg-type]  # untyped callers  # pyright: ignore[reportArgumentType]
        counter = world.Counter(1)
        with pytest.raises(ArgumentError, match="times: expected an int"):
            counter.add.call("2")  # type: ignore[arg-type]  # untyped callers  # pyright: ignore[reportArgumentType]


def test_an_instance_of_a_subclass_is_an_instance() -> None:
    with World(by_reference) as world:
        base = world.Counter

        class Doubled(base):  # type: ignore[valid-type, misc]  # a class that a test made  # pyright: ignore[reportUntypedBaseClass]
            pass

        assert Doubled(4).add.call(2).get(SECONDS) == 8


def test_an_instance_that_lives_elsewhere_cannot_be_loaded() -> None:
    slot = InstanceSlot()
    here = World
    token = slot.dump(here, binary=False)
    assert isinstance(token, str)
    assert slot.load(token, binary=False) is here
    process, pid, number = token.split("-")
    for strange in (
        f"{'0' * 16}-{pid}-{number}",
        f"{process}-0-{number}",
        f"{process}-{pid}-999999",
        "",
        "a-b",
        7,
        None,
    ):
        with pytest.raises(ValueError, match="an instance that lives in this process; register the bound method"):
            slot.load(strange, binary=False)


def test_instances_that_are_gone_leave_nothing_behind() -> None:
    table = method._instances  # pyright: ignore[reportPrivateUsage]  # its size is what is tested
    gc.collect()
    before = (len(table._number_of), len(table._reference_of))  # pyright: ignore[reportPrivateUsage]  # the same
    with World(through_codec) as world:
        results = [world.Counter(1).add.call() for _ in range(100)]
        assert [result.get(SECONDS) for result in results] == [1] * 100
        results.clear()
    gc.collect()
    assert (len(table._number_of), len(table._reference_of)) == before  # pyright: ignore[reportPrivateUsage]  # the same


def test_the_caller_learns_that_the_instance_is_gone() -> None:
    with World(through_codec) as world:
        result = world.Counter.add.call(world.Counter(1), 1)  # nobody keeps this one
        with pytest.raises(TaskFailed, match="register the bound method under a name on both sides"):
            result.get(SECONDS)


def test_instances_without_weak_references_say_so() -> None:
    class Slotted:
        __slots__ = ()

    with pytest.raises(ValueError, match="add '__weakref__' to its __slots__"):
        InstanceSlot().dump(Slotted(), binary=False)


def test_instances_that_compare_equal_are_still_told_apart() -> None:
    @dataclass
    class Same:
        value: int = 0

    one, two, slot = Same(), Same(), InstanceSlot()
    tokens = {str(slot.dump(instance, binary=False)) for instance in (one, two, one)}
    assert len(tokens) == 2
    assert slot.load(slot.dump(two, binary=False), binary=False) is two


def test_an_injected_context_and_an_instance_do_not_go_together() -> None:
    with App("local") as app, pytest.raises(SignatureError, match=r"ask current_context\(\) inside it"):

        class Service:  # pyright: ignore[reportUnusedClass]  # it is refused
            @app.task(context=True, name="x")  # type: ignore[arg-type]  # what is refused  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
            def x(self, ctx: Context) -> None: ...


def test_a_handle_on_an_instance_has_the_signature_of_the_bound_method() -> None:
    with World(by_reference) as world:
        assert list(inspect.signature(world.Counter.add).parameters) == ["self", "times"]
        assert list(inspect.signature(world.Counter(1).add).parameters) == ["times"]


def test_a_method_lent_to_another_class_still_wants_its_own() -> None:
    with World(by_reference) as world:

        class Borrower:
            add = world.Counter.add

        assert world.Counter(2).add.call().get(SECONDS) == 2
        with pytest.raises(ArgumentError, match=r"expected an instance of .*Counter"):
            Borrower().add.call()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # refused


def test_a_static_method_is_reached_through_its_class() -> None:
    with App("local") as app:

        class Service:
            @staticmethod
            @app.task
            def double(x: int) -> int:
                return 2 * x

        assert Service.double.call(2).get(SECONDS) == 4


def test_a_task_that_is_no_method_does_not_bind() -> None:
    with App("local") as app:

        @app.task(name="plain")
        def plain(x: int) -> int:
            return x

        class Holder:
            task = plain

        with pytest.raises(ConfigError, match="task 'plain' is no method"):
            _ = Holder().task  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]  # refused
        assert Holder.task.call(1).get(SECONDS) == 1


def test_methods_can_be_declared_without_an_app() -> None:
    tasks = Tasks()

    class Service:
        @tasks.task
        def double(self, x: int) -> int:
            return 2 * x

    service = Service()
    with pytest.raises(ConfigError, match="belongs to no app yet"):
        service.double.call(1)
    with App("local") as app:
        app.include(tasks)
        assert service.double.call(2).get(SECONDS) == 4
