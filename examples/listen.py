"""Listening: what happens inside is told to whoever listens. Here a task arrives that nobody runs.

Shows: `app.listen` with a room and a level, and that a task without a worker is an answer, not a wait for ever. A
listener has room for ten events; one more is dropped and counted: who tells never waits for who listens.
"""

from __future__ import annotations

from typeddingo import App, EventLevel, LocalBackend, LocalBroker, Role, Subscription, TaskFailed


def greet(name: str) -> str:
    return f"hello {name}"


def part(name: str) -> str:
    return f"good bye {name}"


def show(listener: str, events: Subscription) -> None:
    """Print the first event that this listener got."""
    if (event := events.get(timeout=10)) is not None:
        print(f"{listener}: {event.level.name} {event.code.name} from {event.origin.name}: {event.message}")


def main() -> None:
    app = App("remote")
    app.use(LocalBroker())
    app.use(LocalBackend())
    task = app.register("greet", greet)  # nobody runs this one,
    app.allocate(app.register("part", part))  # only this one
    with app, app.listen(level=EventLevel.WARNING) as all_rooms, app.listen(Role.CONSUMER) as broker_only:
        try:
            task.call("you").get(timeout=10)
        except TaskFailed as failure:
            print("the caller:", failure.message)
        show("all rooms", all_rooms)
        show("the broker", broker_only)
        print("dropped:", all_rooms.dropped + broker_only.dropped)


if __name__ == "__main__":
    main()
