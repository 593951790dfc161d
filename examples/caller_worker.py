"""A caller and a worker that share nothing but a broker and a backend; here both live in this process's memory.

Shows: `App("remote")`, to which you attach what you like, in the roles you like, with `use`. The worker app runs the
function; the caller app knows its signature only, and every task and report crosses between them as bytes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from typeddingo import App, LocalBackend, LocalBroker, Role


def reminder(due: datetime, before: timedelta) -> datetime:
    return due - before


def not_here(due: datetime, before: timedelta) -> datetime:
    """What the caller registers: the same signature, and no way to do the work."""
    raise NotImplementedError("the caller does not run tasks")


def main() -> None:
    broker, backend = LocalBroker(), LocalBackend()
    worker, caller = App("remote"), App("remote")
    worker.use(broker, Role.CONSUMER)
    worker.use(backend, Role.REPORTER)
    caller.use(broker, Role.PRODUCER)
    caller.use(backend, Role.STORE)
    with worker, caller:
        work = worker.register("reminder", reminder)
        worker.allocate(work, count=2)
        remote = caller.register("reminder", not_here)
        due = datetime.fromisoformat("2026-12-24T18:00:00+01:00")
        print("remind me at", remote.call(due, before=timedelta(hours=1)).get(timeout=10))


if __name__ == "__main__":
    main()
