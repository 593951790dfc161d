"""Collections of tasks that are declared without an app."""

from __future__ import annotations

import pytest

from typeddingo import App, ConfigError, Option, SignatureError, Tasks

SECONDS = 10.0


def test_a_handle_is_the_same_object_before_and_after_and_works_after() -> None:
    tasks = Tasks()

    @tasks.task(name="shout", option=Option(monitor_progress=True))
    def shout(text: str) -> str:
        return text.upper()

    monitored = shout.with_options(monitor_progress=False)
    assert (shout.name, shout("a")) == ("shout", "A")
    for call in (shout.call, monitored.call):
        with pytest.raises(ConfigError, match=r"task 'shout' belongs to no app yet: app.include\(…\)"):
            call("a")
    with pytest.raises(ConfigError, match="belongs to no app yet"):
        shout.map(["a"])
    with App("local") as app:
        app.include(tasks)
        assert shout.call("a").get(SECONDS) == "A"
        assert [result.get(SECONDS) for result in shout.map(["a", "b"])] == ["A", "B"]
        assert monitored.call("a").option == Option()
        app.set_option("shout", Option())
        assert shout.call("a").option == Option(), "the app's settings reach a handle of the collection"


def test_a_signature_is_refused_where_it_is_declared_not_where_it_is_included() -> None:
    tasks = Tasks()
    with pytest.raises(SignatureError, match="has no return annotation"):

        @tasks.task(name="careless")
        def careless(x: int):  # type: ignore[no-untyped-def]  # what is refused  # pyright: ignore[reportUnusedFunction]
            return x


def test_tasks_declared_after_the_inclusion_join_at_once() -> None:
    tasks = Tasks()
    with App("local") as app:
        app.include(tasks)

        @tasks.task(name="late")
        def late(x: int) -> int:
            return x

        assert late.call(1).get(SECONDS) == 1


def test_a_collection_belongs_to_one_app() -> None:
    tasks = Tasks()
    with App("local") as one, App("local") as two:
        one.include(tasks)
        for app in (one, two):
            with pytest.raises(ConfigError, match="make the collection in a function and call it for each"):
                app.include(tasks)


def test_a_name_is_taken_once_in_a_collection_and_in_an_app() -> None:
    def f(x: int) -> int:
        return x

    tasks = Tasks()
    tasks.register("f", f)
    with pytest.raises(ConfigError, match="'f' is in this collection already"):
        tasks.register("f", f)
    with App("local") as app:
        app.register("f", f)
        with pytest.raises(ConfigError, match="registered already"):
            app.include(tasks)


def test_an_inclusion_that_failed_half_way_can_be_repeated_when_the_name_is_free() -> None:
    def f(x: int) -> int:
        return x

    tasks = Tasks()
    first, second = tasks.register("first", f), tasks.register("second", f)
    with App("local") as app, App("local") as other:
        app.register("second", f)
        with pytest.raises(ConfigError, match="'second'"):
            app.include(tasks)
        with pytest.raises(ConfigError, match="belongs to no app yet"):
            second.call(1)
        assert first.call(1).get(SECONDS) == 1
        other.include(tasks)
        assert second.call(1).get(SECONDS) == 1
