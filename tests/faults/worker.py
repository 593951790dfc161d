"""The worker program of the fault tests: what ``typeddingo worker`` does, without its supervisor.

Comes from ``Scene.worker``; says ``ready`` when it takes tasks, prints every event, ends in peace on SIGTERM.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

from tests.faults.dying import DiesAfterJoin, DiesBeforeReceipt
from tests.faults.plan import Plan
from tests.faults.tasks import build
from typeddingo import App
from typeddingo.bridges.urls import open_backend, open_broker
from typeddingo.broker import NamedBroker
from typeddingo.config import Config
from typeddingo.events import Event


def say(text: str) -> None:
    """One line in one piece: several threads print."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(event: Event) -> None:
    """In the thread that publishes: a subscription drops what it has no room for."""
    say(f"event {event.level.name} {event.code.name} {event.message} task={event.task} id={event.id} ({event!r})")


def open_app(plan: Plan) -> App:
    if not (plan.die_before_receipt or plan.die_after_join):
        return build(plan)
    app = build(plan, where="remote")
    broker = open_broker(plan.url, Config())
    assert isinstance(broker, NamedBroker)
    if plan.die_before_receipt:
        app.use(DiesBeforeReceipt(broker, plan.die_before_receipt))
    else:
        app.use(DiesAfterJoin(broker, plan.die_after_join))
    app.use(open_backend(plan.backend or plan.url, Config()))
    return app


def main() -> None:
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    plan = Plan.from_environment()
    right = time.time
    time.time = lambda: right() + plan.clock
    stop = threading.Event()

    def end(number: int, frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    app = open_app(plan)
    app._runtime.events.subscribe(tell)  # pyright: ignore[reportPrivateUsage]  # as the worker command does
    for task in plan.tasks:
        app.allocate(task, plan.slots)
    say("ready")
    stop.wait()
    app.close(plan.deadline)
    say("closed")


if __name__ == "__main__":
    main()
