"""Tasks declared without an app. Comes from a module that knows no app, goes to ``App.include``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace

from typeddingo.contract import Contract
from typeddingo.decorator import TaskDecorator, TaskSpec
from typeddingo.errors import ConfigError
from typeddingo.option import Option
from typeddingo.registry import Launcher
from typeddingo.scheduling import Plan, ScheduleDecorator
from typeddingo.task import Sender, Task
from typeddingo.task_key import KeyFunction, check_key_function

__all__ = ["Tasks", "declaration"]

Add = Callable[[Contract, TaskSpec], Sender]


class _Socket:
    """The ``Sender`` of a declared task: the app's own is plugged in later."""

    def __init__(self, contract: Contract, spec: TaskSpec) -> None:
        self.contract = contract
        self.spec = spec
        self.plug: Sender | None = None

    @property
    def name(self) -> str:
        return self.contract.name

    @property
    def option(self) -> Option:
        return self.spec.option if self.plug is None else self.plug.option

    @property
    def send(self) -> Callable[[tuple[object, ...], Mapping[str, object], Option | None], object]:
        return self._plugged().send

    @property
    def send_async(
        self,
    ) -> Callable[[tuple[object, ...], Mapping[str, object], Option | None], Coroutine[object, None, object]]:
        return self._plugged().send_async

    @property
    def send_many(self) -> Callable[[Sequence[tuple[object, ...]], Option | None], object]:
        return self._plugged().send_many

    @property
    def owner(self) -> object:
        return None if self.plug is None else self.plug.owner

    @property
    def launcher(self) -> Launcher:
        return self._plugged().launcher

    def set_key(self, fn: KeyFunction) -> None:
        if self.plug is not None:
            self.plug.set_key(fn)
        else:
            self.spec = replace(self.spec, key=check_key_function(self.contract, fn))

    def _plugged(self) -> Sender:
        if (plug := self.plug) is None:
            raise ConfigError(f"task {self.name!r} belongs to no app yet: app.include(…) its Tasks collection first")
        return plug


def declaration(task: Task[..., object]) -> tuple[Contract, TaskSpec] | None:
    """What a task of a collection was declared as, whatever app it may belong to elsewhere; None for an app's own."""
    sender = task._sender  # pyright: ignore[reportPrivateUsage]  # same package
    return (sender.contract, sender.spec) if isinstance(sender, _Socket) else None


class Tasks(TaskDecorator, ScheduleDecorator):
    """A collection of tasks (Go: none): ``@tasks.task`` as on an app, then ``app.include(tasks)``.

    The handles are the same objects before and after; calling one before is a ``ConfigError``. A collection belongs to
    one app, because a handle can send to one only: where two apps need the same tasks, make the collection in a
    function.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[_Socket] = []
        self._plans: list[Plan] = []
        self._app_add: Add | None = None
        self._app_schedule: Callable[[Plan], None] | None = None

    def _add(self, contract: Contract, spec: TaskSpec) -> Sender:
        socket = _Socket(contract, spec)
        with self._lock:
            if (add := self._app_add) is None:
                if any(other.name == contract.name for other in self._sockets):
                    raise ConfigError(
                        f"a task called {contract.name!r} is in this collection already: give one another name"
                    )
                self._sockets.append(socket)
                return socket
        return add(contract, spec)

    def _schedule(self, plan: Plan) -> None:
        with self._lock:
            if (schedule := self._app_schedule) is None:
                self._plans.append(plan)
                return
        schedule(plan)

    def bind(self, add: Add, schedule: Callable[[Plan], None]) -> None:
        """The app's side of ``include``: ``add`` takes in each task, ``schedule`` each schedule, declared yet or not.
        Raises ``ConfigError``."""
        with self._lock:
            if self._app_add is not None:
                raise ConfigError(
                    "these tasks are included in an app already: a handle sends to one app; "
                    "where two apps need the same tasks, make the collection in a function and call it for each"
                )
            for socket in self._sockets:
                if socket.plug is None:
                    socket.plug = add(socket.contract, socket.spec)
            self._app_add = add
            while self._plans:
                schedule(self._plans[0])
                del self._plans[0]
            self._app_schedule = schedule
