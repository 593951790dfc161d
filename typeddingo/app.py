"""The front door. Comes from the user's program; joins a registry, a bridge and the threads that one app owns."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast, overload

from typeddingo._io.threads import Deadline
from typeddingo.bridge import Bridge
from typeddingo.bridges.local import LocalBridge
from typeddingo.config import Config
from typeddingo.contract import Contract
from typeddingo.decorator import TaskDecorator, TaskSpec
from typeddingo.errors import ConfigError
from typeddingo.events import EventCode, EventLevel, Subscription
from typeddingo.hooks import NO_HOOKS, Hooks
from typeddingo.ids import IDMaker, SeqIDMaker, UUIDMaker
from typeddingo.inspection import Inspector
from typeddingo.isolation import anew
from typeddingo.lifespan import EnterLifespan, Lifespan
from typeddingo.marshaller import Marshaller
from typeddingo.middleware import Middleware
from typeddingo.option import Option
from typeddingo.registry import Entry, Registry
from typeddingo.result import Result
from typeddingo.role import Role
from typeddingo.runtime import Runtime, with_grace
from typeddingo.schedules import Schedules
from typeddingo.scheduling import Plan, Schedule, ScheduleDecorator
from typeddingo.task import Sender, Task
from typeddingo.tasks import Tasks
from typeddingo.terminated import exits_when_terminated

__all__ = ["App", "open_apps"]

R = TypeVar("R")
TaskOrName: TypeAlias = "Task[..., object] | str"


class App(TaskDecorator, ScheduleDecorator):
    """A set of tasks and the way they are carried (Go: ``App``, ``NewApp(mode, cfg)``). Thread-safe.

    ``where``: ``"local"`` runs tasks in this process; ``"remote"`` has nothing attached yet (see ``use``); a URL
    attaches the broker behind it. ``backend`` is a URL too and defaults to the same server. ``middleware``: what is put
    around every task, outermost first. ``lifespan``: what its workers need to live, a function that returns a context
    manager, see ``Context.state``; entered once a process, before the first worker starts. Raises ``ConfigError``.

    Use it in a ``with`` or an ``async with``; one that is never closed is closed when the program exits.
    """

    def __init__(
        self,
        where: str = "local",
        *,
        backend: str | None = None,
        config: Config | None = None,
        middleware: Sequence[Middleware] = (),
        lifespan: EnterLifespan | None = None,
    ) -> None:
        self._where = where
        self._backend = backend
        self._home = sys._getframe(1).f_globals.get("__name__", "")  # pyright: ignore[reportPrivateUsage]  # documented
        self._middleware: tuple[Middleware, ...] = ()
        self._hooks = NO_HOOKS
        self._lifespan = lifespan
        if where in ("local", "remote") and backend is not None:
            raise ConfigError(f"App({where!r}): backend= goes with the URL of a broker; attach objects with app.use()")
        config = config or Config()
        self._registry = Registry(SeqIDMaker() if where == "local" else UUIDMaker(), config.limits)
        for each in middleware:
            self._wrap(each)
        self._schedules = Schedules(self._registry)
        self._start(config)
        _open.add(self)

    def _start(self, config: Config) -> None:
        """Everything that lives in this process and not in a forked child."""
        runtime = self._runtime = Runtime(config, Result)
        if self._lifespan is not None:
            runtime.lifespan = Lifespan(self._lifespan, lambda: runtime.loop, self._tell)
        self._closed = threading.Event()
        self._close_lock = threading.Lock()
        self._bridge: Bridge = self._local() if self._where == "local" else self._remote()
        self._schedules.start_over(self._runtime, self._bridge)
        if self._where not in ("local", "remote"):
            self._attach(self._where, self._backend)

    # tasks

    def include(self, tasks: Tasks) -> None:
        """Add a collection whose tasks were declared without an app. Raises ``ConfigError`` for a name that is taken,
        and for a collection that belongs to an app."""
        tasks.bind(self._add, self._schedule)

    def call(self, name: str, /, *args: object, option: Option | None = None, **kwargs: object) -> Result[Any]:
        """Send a task by name, for who holds no handle (Go: ``Call``). Arguments are checked as a handle checks them.
        Raises ``ConfigError`` for an unknown name, and what ``Task.call`` raises."""
        return cast("Result[Any]", self._registry.get(name).send(args, kwargs, option))

    async def call_async(
        self, name: str, /, *args: object, option: Option | None = None, **kwargs: object
    ) -> Result[Any]:
        """As ``call``, without blocking the event loop."""
        return cast("Result[Any]", await self._registry.get(name).send_async(args, kwargs, option))

    @overload
    def result(self, task: Task[..., R], id: str) -> Result[R]: ...
    @overload
    def result(self, task: str, id: str, type: type[R]) -> Result[R]: ...
    def result(self, task: TaskOrName, id: str, type: object = None) -> Result[object]:
        """The result of a call that another process has made, of which this one knows the id (Go: none).

        By handle, or by name and the type that the task returns; the task need not be registered here. Returns at once.
        With Redis it ends with the task's report, or with ``ResultExpired`` when none is kept; with RabbitMQ, whose
        reports go to the living caller alone, with ``ResultClosed``. Raises ``ConfigError``."""
        return cast("Result[object]", self._bridge.reattach(self._entry_of(task, type), id))

    def forget(self, task: TaskOrName, id: str) -> None:
        """As ``Result.forget``, for a call of which only the id is known (Go: none). Raises ``ConnectionLost``, or
        ``ConfigError``."""
        self._bridge.forget(_name(task), id)

    def cancel(self, task: TaskOrName, id: str) -> None:
        """As ``Result.cancel``, for a call of which only the id is known (Go: none). Raises ``ConnectionLost``, or
        ``ConfigError`` when the broker cannot cancel."""
        self._bridge.cancel(_name(task), id)

    def schedules(self) -> list[Schedule]:
        """What ``cron`` and ``every`` have declared here: when each is due next, and was due last. Blocks until the
        server has answered; raises ``ConnectionLost``, or ``ConfigError`` when the broker cannot have any."""
        return self._schedules.listing()

    def batch(self) -> AbstractContextManager[None]:
        """Inside it, ``call`` hands over without waiting for the broker's confirmation; leaving it waits for all of
        them and raises an ``ExceptionGroup`` of those that failed. For the thread or coroutine that enters it."""
        return self._bridge.batch()

    # settings of a task

    def set_option(self, task: TaskOrName, option: Option) -> None:
        """How calls of a task are sent and reported from now on (Go: ``SetOption``). Raises ``ConfigError``."""
        self._join(self._registry.set_option(_name(task), option))

    def set_marshaller(self, task: TaskOrName, task_id: int, report_id: int) -> None:
        """Which marshallers encode the calls and the reports of a task; both sides must agree (Go: ``SetMarshaller``).
        Raises ``ConfigError`` for an unknown name or id."""
        self._join(self._registry.set_marshaller(_name(task), task_id, report_id))

    def set_id_maker(self, task: TaskOrName, id: int) -> None:
        """What names the calls of a task (Go: ``SetIDMaker``). Raises ``ConfigError`` for an unknown name or id."""
        self._join(self._registry.set_id_maker(_name(task), id))

    def add_marshaller(self, id: int, marshaller: Marshaller) -> None:
        """A marshaller of your own under an id of your own; it must be an ``Invoker`` as well (Go: ``AddMarshaller``).
        Raises ``ConfigError`` for an id that is taken; 0 to 3 are."""
        self._registry.add_marshaller(id, marshaller)

    def add_id_maker(self, id: int, maker: IDMaker) -> None:
        """An id maker of your own (Go: ``AddIDMaker``). Raises ``ConfigError`` for an id that is taken; 0 to 2 are."""
        self._registry.add_id_maker(id, maker)

    # adapters and workers

    def add_middleware(self, middleware: Middleware) -> None:
        """One more around every task, inside of those that are there (Go: none). Raises ``ConfigError`` once workers
        have been started: they would not have it."""
        if self._runtime.working:
            raise ConfigError(
                "add_middleware: workers have been started; add it before allocate(), run_worker() or call()"
            )
        self._wrap(middleware)
        for entry in self._registry:
            entry.hooks = self._hooks
            self._join(entry)

    def use(self, obj: object, roles: Role = Role.DEFAULT) -> Role:
        """Attach a broker or a backend (Go: ``Use``); returns the roles it plays now: all that it can by default.

        Raises ``ConfigError`` for a role that is taken or that the object cannot play; it is then not kept. An object
        may be attached to several apps: the last one to close closes it.
        """
        return self._bridge.use(obj, roles)

    def allocate(self, task: TaskOrName, count: int = 1, share: int = 1) -> int:
        """Start ``count`` more workers of a task, ``share`` of them on one report channel, 0 for all on one (Go:
        ``Allocate``). Returns how many could not be started. A worker of an ``async def`` is one coroutine at a time;
        all of them are fed by one thread and share one report channel.

        Raises ``ConfigError`` for an unknown task, bad counts, or a missing consumer or reporter; then nothing starts.
        """
        anew.need_imported("allocate() is called")
        missing = self._bridge.allocate(self._registry.get(_name(task)), count, share)
        self._schedules.serve(_name(task))
        return missing

    def run_worker(self, *tasks: TaskOrName, count: int | None = None, queues: Sequence[str] = ()) -> None:
        """Start workers for these tasks, or those of these queues (all by default), then block until the app is closed.
        ``count`` workers a task; None: what the task says, else ``Config.workers``. Closes the app when interrupted, or
        told to end (SIGTERM). Raises ``ConfigError``, ``LifespanError``."""
        anew.need_imported("run_worker() is called")
        if tasks and queues:
            raise ConfigError("run_worker: name tasks or queues, not both")
        entries = [self._registry.get(_name(task)) for task in tasks] or self._registry.of_queues(queues)
        try:
            with exits_when_terminated():
                for entry in entries:
                    self.allocate(entry.name, self._runtime.workers_of(entry) if count is None else count, 1)
                self._closed.wait()
        finally:
            self.close()

    def listen(self, roles: Role = Role.ALL, level: EventLevel = EventLevel.INFO) -> Subscription:
        """Events of these rooms, at this level or above (Go: ``Listen``): an iterator and a context manager. It never
        blocks the app: what a slow listener has no room for is dropped, and counted in ``dropped``."""
        return self._runtime.events.listen(roles, level)

    # the end

    def close(self, timeout: float | None = None) -> None:
        """Take nothing more, let running tasks finish, end every result that is still pending (Go: ``Close``).

        ``timeout``: seconds for the running tasks, by default ``Config.shutdown_timeout``; their results arrive. One
        that has not ended then, or not started, gives its caller a ``TaskFailed`` with ``ErrorCode.SHUTDOWN``; a remote
        one that has not started stays in its queue. Idempotent; from any thread, from a handler, and from a task, which
        it does not wait for: a remote one can then no longer report, and runs again elsewhere."""
        deadline = Deadline(self._runtime.config.shutdown_timeout if timeout is None else max(0.0, timeout))
        with self._close_lock:
            first = not self._runtime.closing
            self._runtime.closing = True
            self._runtime.stop.set()
        if not first:
            if not self._runtime.owns_this_thread():
                self._closed.wait(deadline.left)
            return
        try:
            self._schedules.close()
            self._bridge.close(deadline)
            self._schedules.join(with_grace(deadline))
            self._runtime.end_threads(deadline)
        finally:
            _open.discard(self)
            self._runtime.events.close()
            self._closed.set()

    @property
    def closed(self) -> bool:
        """``close`` was called: nothing new is taken in."""
        return self._runtime.closing

    def __enter__(self) -> Self:
        if self._where == "local":  # whatever is called runs here
            self._schedules.serve_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import asyncio  # there already, in a program that comes here

        await asyncio.to_thread(self.close)

    def _inspector(self) -> Inspector:
        """What the broker lets an operator see and do. Raises ``ConfigError`` for one that has nothing of the kind."""
        for adapter in self._bridge.attached():
            if isinstance(adapter, Inspector):
                return adapter
        raise ConfigError("this app has no broker with queues to look into: its URL must be one of Redis or RabbitMQ")

    def _entry_of(self, task: TaskOrName, type: object) -> Entry:
        """The task as its reports are read: registered, or known by no more than the type it returns."""
        name = _name(task)
        entry = self._registry.find(name)
        if type is None:
            return entry or self._registry.get(name)
        if entry is None:

            def unknown() -> None: ...

            unknown.__annotations__["return"] = type
            return Entry(name, unknown, Contract.of(unknown, name=name))
        if entry.contract.signature.returns != type:
            raise ConfigError(f"app.result({name!r}): the task is registered here and returns another type than this")
        return entry

    def _start_over(self) -> None:
        """In a forked child: threads and connections are the parent's and must not be touched."""
        self._runtime.let_go_of_children()
        _parents.append((self._runtime, self._bridge))  # finalizers would write on the parent's sockets
        closed = self._runtime.closing
        self._registry.start_over()
        self._start(self._runtime.config)
        self._runtime.closing = closed
        for entry in self._registry:
            self._bridge.join(entry)

    def _add(self, contract: Contract, spec: TaskSpec) -> Sender:
        entry = Entry(
            contract.name,
            contract.fn,
            contract,
            option=spec.option,
            context=spec.context,
            workers=spec.workers,
            timeout=spec.timeout,
            retry=spec.retry,
            isolation=spec.isolation,
            hard_timeout=spec.hard_timeout,
            unique_for=spec.unique_for,
            bounds=spec.bounds,
            key=spec.key,
            marshaller=spec.marshaller,
            report_marshaller=spec.marshaller if spec.report_marshaller is None else spec.report_marshaller,
            id_maker=spec.id_maker,
            queue=spec.queue,
            hooks=self._hooks,
            owner=self,
            home=self._home,
        )
        self._registry.add(entry)
        self._join(entry)
        return entry

    def _wrap(self, middleware: Middleware) -> None:
        if not isinstance(middleware, Middleware):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ConfigError(
                f"middleware: expected an object of a class that inherits from Middleware, got {middleware!r}"
            )
        self._middleware = (*self._middleware, middleware)
        self._hooks = Hooks(self._middleware, self._tell)

    def _tell(self, what: str, task: str = "", id: str = "") -> None:
        """Something of the user's has raised where nobody waits for it."""
        self._runtime.publish(Role.BRIDGE, EventLevel.ERROR, EventCode.HANDLER_FAILED, what, task=task, id=id)

    def _join(self, entry: Entry) -> None:
        if anew.state.importing:
            anew.put_off(entry, self._bridge.join)
        else:
            self._bridge.join(entry)

    def _schedule(self, plan: Plan) -> None:
        self._schedules.add(plan)

    def _local(self) -> Bridge:
        return LocalBridge(self._runtime, self._registry)

    def _remote(self) -> Bridge:
        from typeddingo.bridges.remote import RemoteBridge  # a local app does without

        return RemoteBridge(self._runtime, self._registry)

    def _attach(self, where: str, backend: str | None) -> None:
        from typeddingo.bridges.urls import open_backend, open_broker

        self.use(open_broker(where, self._runtime.config))
        self.use(open_backend(backend or where, self._runtime.config))


def _name(task: TaskOrName) -> str:
    return task if isinstance(task, str) else task.name


_open: weakref.WeakSet[App] = weakref.WeakSet()
_parents: list[object] = []


def open_apps() -> list[App]:
    """All that were made in this process and not closed."""
    return list(_open)


def _start_over_all() -> None:
    for app in list(_open):
        app._start_over()  # pyright: ignore[reportPrivateUsage]  # its own class, below


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_start_over_all)


@atexit.register
def _close_all() -> None:
    """Threads are daemons and would be cut off in the middle of a task."""
    for app in list(_open):
        app.close()
