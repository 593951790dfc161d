"""Whether servers answer in time. Comes from ``ping`` and from every worker that starts, goes to the adapters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from typeddingo._io.backoff import Backoff
from typeddingo._io.threads import Deadline
from typeddingo.app import App
from typeddingo.backend import Reporter, Store
from typeddingo.broker import Consumer, NamedConsumer, Producer
from typeddingo.commands.exits import Exit, Stop
from typeddingo.commands.inside import Ping, adapters
from typeddingo.errors import ConfigError

__all__ = ["Server", "ask", "need_reachable", "servers"]


class Server(NamedTuple):
    """What is to be reached, and what it is for the app."""

    part: str
    ping: Callable[[], None]


def servers(app: App) -> list[Server]:
    """The app's broker and its backend, as far as they stand on a server."""
    return [Server(_part(adapter), adapter.ping) for adapter in adapters(app) if isinstance(adapter, Ping)]


def _part(adapter: object) -> str:
    carries_tasks = isinstance(adapter, Producer | Consumer | NamedConsumer)
    carries_reports = isinstance(adapter, Reporter | Store)
    return "broker and backend" if carries_tasks and carries_reports else "broker" if carries_tasks else "backend"


def ask(question: Callable[[], None], deadline: Deadline) -> Exception | None:
    """Ask in a thread of its own, because a server that is gone may be silent for longer than we can wait.
    None: answered; ``TimeoutError`` when the deadline passed first."""
    answer: list[Exception | None] = []
    answered = threading.Event()

    def run() -> None:
        try:
            question()
            answer.append(None)
        except Exception as error:
            answer.append(error)
        answered.set()

    threading.Thread(target=run, name="typeddingo-ask", daemon=True).start()
    return answer[0] if answered.wait(deadline.left) else TimeoutError("no answer in time")


def need_reachable(app: App, seconds: float, stopped: Callable[[float], bool]) -> None:
    """Try until all servers of the app have answered. ``stopped(pause)`` waits, and says whether to give up trying.
    Raises ``Stop`` after ``seconds``, ``ConfigError`` at once: no later try would find another setting."""
    deadline = Deadline(seconds)
    for server in servers(app):
        for pause in _pauses():
            error = ask(server.ping, deadline)
            if error is None:
                break
            if isinstance(error, ConfigError):
                raise error
            if deadline.passed:
                raise Stop(Exit.UNREACHABLE, f"the {server.part} did not answer within {seconds:g} s: {error}")
            if stopped(min(pause, deadline.left or 0)):
                return


def _pauses() -> Iterator[float]:
    backoff = Backoff(first=0.1)
    while True:
        yield backoff.next_pause()
