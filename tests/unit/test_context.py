"""What a task may ask about itself, and when."""

from __future__ import annotations

import contextvars
import threading

import pytest

from tests.unit.by_hand import SECONDS
from typeddingo import App, ConfigError, Context, Option, current_context


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
