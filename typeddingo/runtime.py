"""What the rooms of one app share: settings, threads, the task loop, the handler thread, events.

Made by the app, held by its bridge, pools and workers.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

from typeddingo._io.threads import PREFIX, Deadline, Threads
from typeddingo.cancelled import Cancelled
from typeddingo.config import Config
from typeddingo.context import NO_STATE
from typeddingo.events import Event, EventCode, EventLevel, EventMux
from typeddingo.lifespan import Lifespan
from typeddingo.outcome import MakeOutcome
from typeddingo.registry import Entry
from typeddingo.role import Role
from typeddingo.task_run import TaskRun
from typeddingo.time_limit import Timekeeper
from typeddingo.window import Window

if TYPE_CHECKING:
    from typeddingo._io.loop import LoopThread
    from typeddingo.isolation.children import Children

__all__ = ["HandlerThread", "Runtime", "with_grace"]

_log = logging.getLogger("typeddingo")
_numbers = itertools.count(1)

GRACE_SECONDS = 1.0
ASYNC_WORKERS = 100
"""Coroutines of one task at a time where nobody said how many: they cost no thread."""


def with_grace(deadline: Deadline) -> Deadline:
    """For what must end after the tasks: at least a second, however late it is. Cancelled coroutines clean up in it."""
    left = deadline.left
    return deadline if left is None or left > GRACE_SECONDS else Deadline(GRACE_SECONDS)


class Runtime:
    """One per app; thread-safe."""

    def __init__(self, config: Config, make: MakeOutcome) -> None:
        owner = f"app{next(_numbers)}"
        self.owner = owner
        """What the app's threads are called by."""
        self.config = config
        self.make = make
        self.events: EventMux = EventMux()
        self.threads: Threads = Threads(owner)
        self._loop: LoopThread | None = None
        self._loop_lock = threading.Lock()
        self._children: Children | None = None
        self.timekeeper: Timekeeper = Timekeeper(Threads(owner))
        self.handlers: HandlerThread = HandlerThread(Threads(owner), self.events)
        self.on_task: Callable[[TaskRun], object] | None = None
        """Called after every task of a remote worker, in its thread; must not raise."""
        self.log: tuple[str, str] | None = None
        """Format and level of what a worker process logs, for its children; None: the program sees to that."""
        self.window: Window = Window()
        """What the remote workers of this app run, and what they have done lately."""
        self.lifespan: Lifespan | None = None
        """What is entered before the first worker starts."""
        self.working: bool = False
        """A worker has been started: what it was compiled from does not change any more."""
        self.cancelled: Cancelled = Cancelled()
        """What must not start here, or not go on."""
        self.closing = False
        """Nothing new is taken in; running tasks see it as ``Context.cancelled``."""
        self.stop: threading.Event = threading.Event()
        """Set with ``closing``: ends the pauses of those who wait a little before they try again."""

    @property
    def loop(self) -> LoopThread:
        """Where ``async def`` tasks run; made when the first is registered."""
        with self._loop_lock:
            if self._loop is None:
                from typeddingo._io.loop import LoopThread  # brings asyncio, which many apps do without

                self._loop = LoopThread(Threads(self.owner))
            return self._loop

    @property
    def children(self) -> Children:
        """The processes of tasks that do not run in this one; made when the first is needed."""
        with self._loop_lock:
            if self._children is None:
                from typeddingo.isolation.children import Children  # few apps have any

                self._children = Children(self.config.limits, self.cancelled, self.log)
            return self._children

    def cancel_children(self) -> None:
        """Tell the tasks in them that the app is closing."""
        if self._children is not None:
            self._children.cancel_all()

    def end_children(self, deadline: Deadline) -> None:
        """The deadline for running tasks has passed: their workers, which wait for them, end as well."""
        if self._children is not None:
            self._children.close()
            self.threads.join(with_grace(deadline))

    def let_go_of_children(self) -> None:
        """In a fork of this process: they are not ours."""
        if self._children is not None:
            self._children.let_go()

    def workers_of(self, entry: Entry) -> int:
        """The size of a task's default pool."""
        return entry.workers or (ASYNC_WORKERS if entry.on_loop else self.config.workers)

    @property
    def state(self) -> object:
        """The value of the lifespan."""
        return NO_STATE if self.lifespan is None else self.lifespan.state

    def begin_work(self) -> None:
        """Workers are about to start. Raises ``LifespanError``."""
        if self.lifespan is not None:
            self.lifespan.begin()
        self.working = True

    def owns_this_thread(self) -> bool:
        """The caller is a worker, a handler or a coroutine of this app: whoever waits for it must not be waited for."""
        return threading.current_thread().name.startswith(f"{PREFIX}{self.owner}-")

    def end_threads(self, deadline: Deadline) -> None:
        """The last steps of closing: the lifespan, the loop, then the handlers that everything before has queued."""
        deadline = with_grace(deadline)
        if self.lifespan is not None:
            self.lifespan.end(deadline)
        if self._loop is not None:
            self._loop.stop()
            self._loop.join(deadline)
        self.timekeeper.stop()
        self.timekeeper.join(deadline)
        self.handlers.stop()
        self.handlers.join(deadline)

    def is_closing(self) -> bool:
        return self.closing

    def publish(
        self, origin: Role, level: EventLevel, code: EventCode, message: str, *, task: str = "", id: str = ""
    ) -> None:
        """Tell whoever listens; free when nobody does."""
        if self.events.active:
            self.events.publish(Event(origin, level, code, message, task=task, id=id))


class HandlerThread:
    """Runs the handlers of results that nobody waits for, one after the other. Started on first need."""

    def __init__(self, threads: Threads, events: EventMux) -> None:
        self._threads = threads
        self._events = events
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def run(self, callback: Callable[[], None]) -> None:
        """Run it on the thread, soon; once stopped, here and now: no handler is ever lost."""
        with self._lock:
            if not self._stopped:
                self._queue.put(callback)
                if self._thread is None:
                    self._thread = self._threads.start("handlers", self._loop)
                return
        self._call(callback)

    def stop(self) -> None:
        """End the thread after what is queued. Idempotent; does not wait."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._queue.put(None)

    def join(self, deadline: Deadline) -> list[str]:
        """After ``stop``: wait until the queue is empty. Returns the thread's name if it is not by the deadline."""
        return self._threads.join(deadline)

    def _loop(self) -> None:
        while (callback := self._queue.get()) is not None:
            self._call(callback)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            _log.exception("a result's handler raised")
            self._events.publish(
                Event(Role.BRIDGE, EventLevel.ERROR, EventCode.HANDLER_FAILED, "a result's handler raised")
            )
