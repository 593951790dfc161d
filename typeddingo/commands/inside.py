"""What the command line may see of an app that users may not. Comes from every command, goes to registry and bridge."""

# The command line is a part of the app that runs beside it:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, runtime_checkable

from typeddingo.app import App
from typeddingo.bridges.local import LocalBridge
from typeddingo.broker import Adapter
from typeddingo.commands.exits import Exit, Stop
from typeddingo.events import Event
from typeddingo.inspection import Inspector
from typeddingo.registry import Entry
from typeddingo.result import Result
from typeddingo.task_run import TaskRun

__all__ = [
    "Ping",
    "adapters",
    "entries",
    "entry",
    "inspector",
    "log_as",
    "need_remote",
    "of_queues",
    "on_event",
    "on_task",
    "result_of",
    "workers_of",
]


@runtime_checkable
class Ping(Protocol):
    """A server that can be asked whether it is there."""

    def ping(self) -> None:
        """Blocks until it has answered. Raises ``ConnectionLost``."""
        ...


def entries(app: App) -> list[Entry]:
    """Every task, in the order of their names."""
    return sorted(app._registry, key=lambda entry: entry.name)


def entry(app: App, name: str) -> Entry:
    """One task. Raises ``Stop`` with the names there are."""
    if (found := app._registry.find(name)) is None:
        names = ", ".join(entry.name for entry in entries(app)) or "none"
        raise Stop(Exit.USAGE, f"no task is called {name!r}; there are: {names}")
    return found


def of_queues(app: App, queues: Sequence[str]) -> list[Entry]:
    """The tasks of these queues, in the order of their names. Raises ``ConfigError`` for a queue without a task."""
    return sorted(app._registry.of_queues(queues), key=lambda entry: entry.name)


def result_of(app: App, entry: Entry, id: str) -> Result[Any]:
    """The result of a call that another process has made."""
    return cast("Result[Any]", app._bridge.reattach(entry, id))


def workers_of(app: App, entry: Entry) -> int:
    """The size of a task's default pool."""
    return app._runtime.workers_of(entry)


def need_remote(app: App, where: str) -> None:
    """Raises ``Stop`` for an app whose queues are in the memory of one process."""
    if isinstance(app._bridge, LocalBridge):
        raise Stop(
            Exit.USAGE,
            f"{where} is App('local'): its tasks run in the process that calls them, no other can see them. "
            "Give it the URL of a broker, for example App('redis://localhost:6379/0') or "
            "App('amqp://localhost:5672/')",
        )


def adapters(app: App) -> Sequence[Adapter]:
    """The broker and the backend that are attached; one that is both comes once."""
    return tuple(app._bridge.attached())


def inspector(app: App, where: str) -> Inspector:
    """What shows the queues of the app's broker. Raises ``Stop`` or ``ConfigError`` where there is none."""
    need_remote(app, where)
    return app._inspector()


def log_as(app: App, log_format: str, level: str) -> None:
    """The children of its workers log as this process does."""
    app._runtime.log = (log_format, level)


def on_event(app: App, callback: Callable[[Event], object]) -> None:
    """Every event from now on, in the thread that publishes it."""
    app._runtime.events.subscribe(callback)


def on_task(app: App, callback: Callable[[TaskRun], object]) -> None:
    """Every task that a worker of this process has ended, in its thread."""
    app._runtime.on_task = callback
