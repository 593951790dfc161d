"""Labels by which workers are started for some tasks and not for others."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.leftovers import running
from typeddingo import App, ConfigError, Tasks
from typeddingo.testing import eventually

SECONDS = 20.0


def app_of_three(lines: list[str]) -> App:
    app = App("local")

    @app.task(name="greet")
    def greet() -> None:
        lines.append("greet")

    @app.task(name="mail", queue="mail")
    def mail() -> None:
        lines.append("mail")

    tasks = Tasks()

    @tasks.task(name="report", queue="re_port-2.0")
    def report() -> None:
        lines.append("report")

    app.include(tasks)
    return app


@pytest.mark.parametrize(
    ("queues", "allocated"),
    [
        ((), {"greet", "mail", "report"}),
        (("mail",), {"mail"}),
        (["mail", "default"], {"greet", "mail"}),
        (("re_port-2.0", "re_port-2.0"), {"report"}),
    ],
)
def test_a_worker_runs_the_tasks_of_its_queues(queues: Any, allocated: set[str]) -> None:
    app = app_of_three([])
    thread = threading.Thread(target=app.run_worker, kwargs={"queues": queues, "count": 1})
    thread.start()
    try:
        eventually(lambda: len(workers()) >= len(allocated))
        assert workers() == allocated
    finally:
        app.close()
        thread.join(SECONDS)
    assert running() == []


def workers() -> set[str]:
    """The tasks that have a thread."""
    return {name for name in ("greet", "mail", "report") if any(f"-{name}-1" in thread for thread in running())}


def test_a_queue_without_a_task_is_refused_with_those_there_are() -> None:
    said = r"no task has queue='post'; there are: default, mail, re_port-2.0"
    with app_of_three([]) as app, pytest.raises(ConfigError, match=said):
        app.run_worker(queues=["mail", "post"])
    assert running() == []


def test_tasks_or_queues_are_named_and_not_both() -> None:
    with app_of_three([]) as app, pytest.raises(ConfigError, match="name tasks or queues, not both"):
        app.run_worker("greet", queues=["mail"])


def test_queues_are_a_list() -> None:
    with app_of_three([]) as app, pytest.raises(ConfigError, match="expected a list of labels"):
        app.run_worker(queues="mail")


@pytest.mark.parametrize("label", ["", "a b", "a,b", "ä", "x" * 65, None, 3])
def test_a_label_is_short_and_plain(label: Any) -> None:
    with App("local") as app, pytest.raises(ConfigError, match="queue: expected a label"):
        app.task(queue=label)
