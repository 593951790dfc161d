"""A process that forks after its app was used: the child starts over and leaves the parent's app alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Generator
from multiprocessing.queues import SimpleQueue

import pytest

from tests.unit.by_hand import SECONDS, until
from typeddingo import App, ConfigError, Middleware, Outgoing, current_context
from typeddingo.backends.local import LocalBackend
from typeddingo.brokers.local import LocalNamedBroker

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def add(a: int, b: int) -> int:
    return a + b


def in_a_child(function: Callable[[], object]) -> str:
    """What the function returns, or what it raises, in a forked child that ends by itself."""
    context = multiprocessing.get_context("fork")
    answers: SimpleQueue[str] = context.SimpleQueue()

    def child() -> None:
        try:
            answers.put(repr(function()))
        except BaseException as error:
            answers.put(f"{type(error).__name__}: {error}")

    process = context.Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0, "the child hung or died"
    return answers.get()


def test_a_local_app_works_on_in_the_child_and_in_the_parent() -> None:
    with App("local") as app:
        task = app.register("add", add)
        assert task.call(1, 2).get(10) == 3
        assert in_a_child(lambda: task.call(20, 22).get(10)) == "42"
        assert task.call(3, 4).get(10) == 7


def test_each_process_has_a_lifespan_of_its_own_and_the_same_middleware() -> None:
    entered: list[int] = []

    @contextlib.contextmanager
    def life() -> Generator[int]:
        entered.append(os.getpid())
        yield os.getpid()
        entered.remove(os.getpid())

    class Asker(Middleware):
        def before_send(self, call: Outgoing) -> None:
            call.headers["from"] = str(os.getpid())

    def who() -> bool:
        context = current_context()
        return context.state(int) == os.getpid() == int(context.headers["from"])

    def child() -> tuple[bool, int, int]:
        well, inside = task.call().get(10), len(entered)
        app.close()
        return well, inside, len(entered)

    with App("local", middleware=[Asker()], lifespan=life) as app:
        task = app.register("who", who)
        assert task.call().get(10)
        assert in_a_child(child) == "(True, 2, 1)"
        assert entered == [os.getpid()]
        assert task.call().get(10)
    assert entered == []


def test_what_was_attached_is_the_parents_and_the_child_is_told_so() -> None:
    with App("remote") as app:
        app.use(LocalNamedBroker())
        app.use(LocalBackend())
        task = app.register("add", add)
        app.allocate(task)
        assert task.call(1, 2).get(10) == 3
        assert in_a_child(lambda: task.call(1, 2)).startswith(ConfigError.__name__)
        assert task.call(3, 4).get(10) == 7


def test_an_app_that_is_closed_stays_closed_in_the_child() -> None:
    app = App("local")
    task = app.register("add", add)
    app.close()
    assert in_a_child(lambda: task.call(1, 2)).startswith("ConfigError: task 'add' was not sent: its app is closed")


def test_an_app_that_is_being_closed_is_closed_in_the_child() -> None:
    app = App("local")
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    task = app.register("work", work)
    task.call()
    assert begun.wait(SECONDS)
    closing = threading.Thread(target=app.close)
    closing.start()
    until(lambda: app.closed)
    try:
        assert in_a_child(task.call).startswith("ConfigError: task 'work' was not sent: its app is closed")
    finally:
        go_on.set()
        closing.join(SECONDS)


def test_a_child_can_register_although_another_thread_of_its_parent_was_registering() -> None:
    class Name(str):
        """A thread waits where it is looked up, in the middle of ``register``."""

        __slots__ = ()

        def __hash__(self) -> int:
            if threading.current_thread() is registering and app._registry._lock._is_owned():  # type: ignore[attr-defined]  # pyright: ignore  # the only way to be sure
                inside.set()
                assert go_on.wait(SECONDS)
            return super().__hash__()

    inside, go_on = threading.Event(), threading.Event()
    with App("local") as app:
        registering = threading.Thread(target=lambda: app.register(Name("other"), add))
        registering.start()
        assert inside.wait(SECONDS)
        try:
            assert in_a_child(lambda: app.register("add", add).call(1, 2).get(10)) == "3"
        finally:
            go_on.set()
            registering.join(SECONDS)
