"""``task`` and ``register``, typed once for everything that collects tasks. Comes from the user's function, goes to
``_add`` of the ``App`` or of a ``Tasks`` collection; what comes back is the handle."""

from __future__ import annotations

import abc
import math
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, fields
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, cast, overload

from typeddingo.context import Context
from typeddingo.contract import Contract
from typeddingo.converter import Converter
from typeddingo.errors import ConfigError, SignatureError
from typeddingo.ids import IDMaker, IDMakerID
from typeddingo.isolation.place import need_name
from typeddingo.limits import Bounds, bounds_of
from typeddingo.marshaller import Marshaller, MarshallerID
from typeddingo.method import MethodConverter, is_method, typed_self
from typeddingo.option import Option
from typeddingo.retry import RetryPolicy
from typeddingo.task import AsyncTask, Sender, SyncTask, Task
from typeddingo.task_key import KeyFunction

__all__ = ["Decorate", "DecorateInjected", "TaskDecorator", "TaskSettings", "TaskSpec", "task_name"]

RETRY = tuple(field.name for field in fields(RetryPolicy))
"""The settings of a task that say whether it runs again."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What ``@app.task(…)`` was given, but for the name."""

    context: bool = False
    option: Option = Option()  # noqa: RUF009  # frozen
    marshaller: int | Marshaller = MarshallerID.DEFAULT
    report_marshaller: int | Marshaller | None = None
    id_maker: int | IDMaker = IDMakerID.DEFAULT
    strict: bool = True
    workers: int | None = None
    converter: Converter | None = None
    timeout: float | None = None
    queue: str = "default"
    retry: RetryPolicy | None = None
    isolation: Literal["process"] | None = None
    hard_timeout: float | None = None
    unique_for: float | None = None
    limit: str | None = None
    max_running: int | None = None
    key: KeyFunction | None = None
    """Given later, to the handle."""

    @property
    def bounds(self) -> Bounds | None:
        """The two limits, read. Raises ``ConfigError``."""
        return bounds_of(self.limit, self.max_running)

    def __post_init__(self) -> None:
        _ = self.bounds  # raises
        need_label(self.queue)
        _need_workers(self.workers)
        if not isinstance(self.option, Option):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ConfigError("option: expected an Option, for example Option(monitor_progress=True)")
        _need_seconds("timeout", self.timeout)
        _need_seconds("hard_timeout", self.hard_timeout)
        _need_seconds("unique_for", self.unique_for)
        if self.isolation not in (None, "process"):
            raise ConfigError('isolation: expected "process", or None to run in a thread or on the event loop')
        if self.hard_timeout is None:
            return
        if self.isolation is None:
            raise ConfigError(
                'hard_timeout: a thread cannot be killed; give the task isolation="process" as well, or timeout= alone'
            )
        if self.timeout is not None and self.hard_timeout <= self.timeout:
            raise ConfigError("hard_timeout: expected more seconds than timeout, which comes first")


class TaskSettings(TypedDict, total=False):
    """What ``@app.task(…)`` and ``app.register(…)`` take besides ``name`` and ``context``."""

    option: Option
    """How its calls are sent and reported, unless ``with_options`` says otherwise."""
    marshaller: int | Marshaller
    """What encodes its calls: an id, or an object."""
    report_marshaller: int | Marshaller
    """What encodes its reports; what encodes its calls, if nothing else is said."""
    id_maker: int | IDMaker
    """What names its calls."""
    strict: bool
    """False lets values be corrected to their annotations."""
    workers: int | None
    """Size of its pool where nothing is allocated."""
    converter: Converter | None
    """Asked first, for every annotation."""
    timeout: float | None
    """Seconds that one run may take. Then ``TimeLimitExceeded`` is raised inside it, and it has failed with
    ``ErrorCode.TIME_LIMIT``. A thread meets it when it next runs Python code."""
    queue: str
    """A label, ``"default"`` by default, by which workers are started for some tasks and not for others."""
    retries: int
    """How often it runs again when it has failed, at most; 0 by default. What then fails is a dead letter."""
    retry_on: tuple[type[BaseException], ...]
    """What it is retried for: by default every ``Exception``, and a time limit."""
    give_up_on: tuple[type[BaseException], ...]
    """What it is not retried for, whatever ``retry_on`` says."""
    backoff: float
    """Seconds: a random pause up to this comes before the first retry, up to twice as much before the second, and so
    on; 1 by default."""
    max_delay: float
    """Seconds: no such pause is longer; 600 by default."""
    isolation: Literal["process"] | None
    """``"process"``: each worker runs it in a child process of its own, which can be killed and uses another processor.
    It must be a function at the top level of a module: the child imports it."""
    hard_timeout: float | None
    """Seconds after which that process is killed; the task has failed with ``ErrorCode.HARD_TIME_LIMIT``."""
    unique_for: float | None
    """Seconds, counted from the sending: an equal call sends nothing meanwhile, its result is the first one's. Equal
    are calls with the same arguments, or what ``Task.key`` says. When the first has failed the next is sent."""
    limit: str | None
    """How often it starts at most, over all workers: ``"10/s"``, ``"100/min"``, ``"5/h"``, ``"10/30s"``; in any stretch
    of that length. With ``Task.key``, for each key. What comes too early waits, and holds no worker meanwhile."""
    max_running: int | None
    """How many run at the same time at most, over all workers; with ``Task.key``, for each key."""


class Decorate(Protocol):
    """What ``@app.task(…)`` gives: takes the function, returns its handle."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # an async def fits both; the first is meant. Any: what a coroutine
        # yields is nobody's business, and anything else makes mypy give up on one whose decorator says Any
        self,
        fn: Callable[P, Coroutine[Any, Any, R]],
        /,
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> SyncTask[P, R]: ...


class DecorateInjected(Protocol):
    """What ``@app.task(context=True, …)`` gives: the first parameter is the worker's business, not the caller's."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # as above
        self,
        fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], R], /) -> SyncTask[P, R]: ...


class TaskDecorator(abc.ABC):
    """Base of everything tasks can be declared on."""

    @abc.abstractmethod
    def _add(self, contract: Contract, spec: TaskSpec) -> Sender:
        """Take a task in: its name is ``contract.name``, its function ``contract.fn``. Raises ``ConfigError``."""

    @overload
    def task(  # type: ignore[overload-overlap]  # as above
        self,
        fn: Callable[P, Coroutine[Any, Any, R]],
        /,
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> SyncTask[P, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = ...,
        context: Literal[False] = ...,
        **settings: Unpack[TaskSettings],
    ) -> Decorate: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = ...,
        context: Literal[True],
        **settings: Unpack[TaskSettings],
    ) -> DecorateInjected: ...
    def task(
        self,
        fn: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        context: bool = False,
        **settings: Unpack[TaskSettings],
    ) -> object:
        """Make a function a task: ``@app.task``, or ``@app.task(name="billing.charge", …)`` (Go: ``Register``).

        ``name``: what it is called in every process, by default ``module.qualname``. ``context``: the worker injects
        the ``Context`` as first argument. The other settings: see ``TaskSettings``.

        In a class body it makes a method a task: called through an instance, it runs on that instance, in a worker of
        this process. Raises ``SignatureError`` when the annotations cannot be a contract, ``ConfigError`` when the name
        is taken.
        """
        spec = _spec(context, settings)
        if fn is not None:
            return self._declare(fn, name, spec, _caller_locals())

        def decorate(fn: Callable[..., object], /) -> object:
            return self._declare(fn, name, spec, _caller_locals())

        return decorate

    @overload
    def register(  # type: ignore[overload-overlap]  # as above
        self,
        name: str,
        fn: Callable[P, Coroutine[Any, Any, R]],
        *,
        context: Literal[False] = ...,
        **settings: Unpack[TaskSettings],
    ) -> AsyncTask[P, R]: ...
    @overload
    def register(
        self,
        name: str,
        fn: Callable[P, R],
        *,
        context: Literal[False] = ...,
        **settings: Unpack[TaskSettings],
    ) -> SyncTask[P, R]: ...
    @overload
    def register(  # type: ignore[overload-overlap]  # as above
        self,
        name: str,
        fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        *,
        context: Literal[True],
        **settings: Unpack[TaskSettings],
    ) -> AsyncTask[P, R]: ...
    @overload
    def register(
        self,
        name: str,
        fn: Callable[Concatenate[Context, P], R],
        *,
        context: Literal[True],
        **settings: Unpack[TaskSettings],
    ) -> SyncTask[P, R]: ...
    def register(
        self,
        name: str,
        fn: Callable[..., object],
        *,
        context: bool = False,
        **settings: Unpack[TaskSettings],
    ) -> object:
        """Make any callable a task under a name: a function, bound method, closure or callable object
        (Go: ``Register``).

        A bound method is stateful: the worker runs it on the instance that *its* process registered. The handle of a
        method task, ``service.mul``, is taken as the bound method it stands for. Otherwise as ``task``.
        """
        spec = _spec(context, settings)
        return self._declare(fn, name, spec, _caller_locals())

    def _declare(
        self, fn: Callable[..., object], name: str | None, spec: TaskSpec, namespace: Mapping[str, object]
    ) -> Task[..., object]:
        fn = _plain(fn)
        name = task_name(fn) if name is None else name
        slot = typed_self(fn, name, spec.context) if is_method(fn) else None
        if spec.isolation is not None:
            need_name(fn, name, method=slot is not None)
        contract = Contract.of(
            fn,
            name=name,
            context=spec.context,
            strict=spec.strict,
            converter=spec.converter if slot is None else MethodConverter(slot, spec.converter),
            namespace=namespace if "<locals>" in getattr(fn, "__qualname__", "") else None,
        )
        handle = cast("type[Task[..., object]]", AsyncTask if contract.is_async else SyncTask)
        return handle(fn, self._add(contract, spec), slot=slot, injected=spec.context)


def _need_workers(value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError("workers: expected a whole number of 1 or more, or None for what the app's Config says")


def _need_seconds(what: str, seconds: object) -> None:
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise ConfigError(f"{what}: expected a number of seconds greater than 0, or None")


def _spec(context: bool, settings: TaskSettings) -> TaskSpec:
    if unknown := settings.keys() - TaskSettings.__annotations__.keys():
        raise ConfigError(
            f"a task has no setting {', '.join(sorted(unknown))}: there are context, name, "
            f"{', '.join(sorted(TaskSettings.__annotations__))}"
        )
    given: dict[str, object] = {**settings}
    policy = {name: given.pop(name) for name in RETRY if name in given}
    retry = cast("Callable[..., RetryPolicy]", RetryPolicy)(**policy) if "retries" in policy else None
    if policy and retry is None:
        raise ConfigError(f"a task with {' and '.join(policy)} but without retries is never retried: set retries= too")
    make = cast("Callable[..., TaskSpec]", TaskSpec)
    return make(context=context, retry=retry if retry is not None and retry.retries else None, **given)


def need_label(label: object) -> None:
    """Raises ``ConfigError`` for what cannot be the label of a queue."""
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise ConfigError('queue: expected a label of 1 to 64 letters, digits and "-_.", for example queue="mail"')


_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _plain(fn: object) -> Callable[..., object]:
    if isinstance(fn, Task):
        return cast("Task[..., object]", fn).fn
    if isinstance(fn, (staticmethod, classmethod)):
        raise SignatureError("@task goes below @staticmethod, next to the function; a classmethod cannot be a task")
    if not callable(fn):
        remedy = ": write name='…' for its name" if isinstance(fn, str) else ""
        raise SignatureError(f"a task must be callable, not {type(fn).__name__}{remedy}")
    return fn


def _caller_locals() -> Mapping[str, object]:
    """The names where a task is declared: annotations may use classes that are local to a function."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]  # its public spelling is in inspect
    return frame.f_locals


def task_name(fn: Callable[..., object]) -> str:
    """``module.qualname``, the same in the process that runs the file and in one that imports it."""
    qualname = getattr(fn, "__qualname__", None)
    if not isinstance(qualname, str):
        raise ConfigError(
            f"a {type(fn).__name__} has no name of its own: register it under one, app.register('name', …)"
        )
    if "<lambda>" in qualname:
        raise ConfigError("a lambda has no name: register it under one, app.register('name', …)")
    return f"{_module_name(getattr(fn, '__module__', None) or '__main__')}.{qualname}"


def _module_name(module: str) -> str:
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        name = cast("str", spec.name)
        return name.removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return os.path.splitext(os.path.basename(file))[0] if file else "interactive"
