"""The typed handle of a task. Comes from the decorator, goes to the app's ``Sender``; what comes back is a ``Result``.

A handle adds types and nothing else: the call itself is compiled by the app, once a task.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from typeddingo.context import Context
from typeddingo.contract import Contract
from typeddingo.errors import ConfigError
from typeddingo.method import InstanceSlot
from typeddingo.option import Option

if TYPE_CHECKING:
    from typeddingo.pipeline import Pipeline
    from typeddingo.registry import Launcher
    from typeddingo.result import Result

__all__ = ["AsyncTask", "CallOptions", "Mappable", "Sender", "Startable", "SyncTask", "Task"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


class CallOptions(TypedDict, total=False):
    """What ``with_options`` takes: the fields of ``Option``."""

    ignore_report: bool
    monitor_progress: bool
    delay: float | None
    eta: datetime | None
    expires: float | datetime | None
    priority: int


class Sender(Protocol):
    """What a handle needs of its app: the way out for one task. ``option`` None means the task's own."""

    @property
    def name(self) -> str: ...

    @property
    def option(self) -> Option: ...

    def set_key(self, fn: Callable[..., object], /) -> None:
        """See ``Task.key``."""

    @property
    def send(self) -> Callable[[tuple[object, ...], Mapping[str, object], Option | None], Any]:
        """Check and send one call; the ``Result`` once the broker has confirmed. Looked up for every call: the app may
        compile it anew."""
        ...

    @property
    def send_async(
        self,
    ) -> Callable[[tuple[object, ...], Mapping[str, object], Option | None], Coroutine[object, None, Any]]:
        """As ``send``, without blocking the event loop it runs on."""
        ...

    @property
    def send_many(self) -> Callable[[Sequence[tuple[object, ...]], Option | None], Any]:
        """A list of ``Result``, one a row of arguments. Every row is checked before the first is sent."""
        ...

    @property
    def contract(self) -> Contract: ...

    @property
    def owner(self) -> object:
        """The app; None: not yet known."""
        ...

    @property
    def launcher(self) -> Launcher:
        """The way out for pipelines that begin with the task."""
        ...


class Mappable(Protocol[A_contra, S_co]):
    """A task that can be called with one argument, whatever else it would take."""

    def call(self, value: A_contra, /) -> Result[S_co]: ...


class Startable(Protocol[S_co]):
    """A task that can be called without arguments."""

    def call(self) -> Result[S_co]: ...


class Task(Generic[P, R_co]):
    """A registered function, to be called in a worker (Go: a name given to ``Register``). Immutable, thread-safe.

    ``call`` has the parameters of the function, and its ``Result`` the function's return type. It is a ``SyncTask`` or
    an ``AsyncTask``; those can also be called here.
    """

    __slots__ = ("__dict__", "__weakref__", "_injected", "_option", "_sender", "_slot", "fn")

    def __init__(
        self, fn: Callable[..., object], sender: Sender, *, slot: InstanceSlot | None = None, injected: bool = False
    ) -> None:
        functools.update_wrapper(cast("Callable[..., object]", self), fn, updated=())
        self.fn: Callable[..., object] = fn
        """The function itself; of a method on an instance, the bound method."""
        self._sender = sender
        self._option: Option | None = None
        self._slot = slot
        self._injected = injected

    @property
    def name(self) -> str:
        """The name it is registered under, the same in every process."""
        return self._sender.name

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Result[R_co]:
        """Check the arguments and send the task; returns once the broker has confirmed that it is stored
        (Go: ``Call``). Thread-safe; blocks for as long as the broker takes to confirm.

        Raises ``ArgumentError`` (nothing was sent), ``SendError`` (it was not accepted), ``SendUnknown`` (it may have
        been), ``ConnectionLost`` or, after ``close``, ``ConfigError``.
        """
        result: Result[R_co] = self._sender.send(args, kwargs, self._option)
        return result

    async def call_async(self, *args: P.args, **kwargs: P.kwargs) -> Result[R_co]:
        """As ``call``, without blocking the event loop."""
        result: Result[R_co] = await self._sender.send_async(args, kwargs, self._option)
        return result

    def map(self: Mappable[A, S], values: Iterable[A]) -> list[Result[S]]:
        """Call it once for every value: their results, in order. All values are checked before the first is sent, and
        they travel together. Raises what ``call`` raises."""
        assert isinstance(self, Task)
        results: list[Result[S]] = self._sender.send_many([(value,) for value in values], self._option)
        return results

    def key(self, fn: Callable[P, object]) -> Callable[P, object]:
        """Say what makes two calls equal (``unique_for``) and what limits count by (``limit``, ``max_running``): a
        function of the task's own parameters, ``@charge.key`` above a ``def`` or ``charge.key(lambda order, cents:
        order)`` (Go: none). It returns a ``str``, an ``int``, a ``UUID`` or a tuple of such, the same in every process;
        callers and workers call it. Set it where the task is declared. Returns ``fn``.

        Without one, equal calls have equal arguments, and a limit is one for all calls. Raises ``ConfigError`` for a
        function that cannot take what the task takes; what it raises itself, and a ``ConfigError`` for what is no key,
        comes out of ``call``.
        """
        self._sender.set_key(fn)
        return fn

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """The same task with other options; what is not named stays as the task has it. The task itself is unchanged.
        Raises ``ConfigError`` for an option there is not, and for a value that means nothing."""
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(
                    f"with_options: there is no option {name!r}; there are: {', '.join(sorted(_OPTIONS))}"
                )
        twin = self._twin(self.fn, self._sender)
        twin._option = replace(self._option or self._sender.option, **options)
        return twin

    @overload
    def __or__(self, step: Mappable[R_co, S], /) -> Pipeline[P, S]: ...
    @overload
    def __or__(self: Task[P, None], step: Startable[S], /) -> Pipeline[P, S]: ...
    def __or__(self, step: object, /) -> object:
        """A pipeline: ``a | b`` is called as ``a`` is, hands what ``a`` returns on to ``b``, and gives what ``b``
        returns. Raises ``SignatureError`` when ``b`` cannot take it, ``ConfigError`` when it is another app's."""
        from typeddingo.pipeline import joined  # it builds on this module

        return joined(self, step)

    @property
    def is_method(self) -> bool:
        """It is declared in a class body."""
        return self._slot is not None

    def _run(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Any:
        if self._injected:
            return self.fn(Context(self.name), *args, **kwargs)
        return self.fn(*args, **kwargs)

    def _twin(self, fn: Callable[..., object], sender: Sender) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.fn = fn
        twin._sender = sender
        twin._option = self._option
        twin._slot = self._slot
        twin._injected = self._injected
        return twin

    def __set_name__(self, owner: type, name: str) -> None:
        if self._slot is not None and self._slot.owner is object:
            self._slot.owner = owner

    def _bound(self, instance: object) -> Self:
        """The handle that a method task is on one of its instances."""
        if self._slot is None:
            raise ConfigError(
                f"task {self.name!r} is no method: reach it through its class, or put a staticmethod around it"
            )
        method = MethodType(self.fn, instance)
        twin = self._twin(method, BoundSender(self._sender, instance))
        twin.__dict__["__wrapped__"] = method
        return twin

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class BoundSender:
    """The way out of a method task through one instance, which is its first argument."""

    __slots__ = ("_instance", "_sender")

    def __init__(self, sender: Sender, instance: object) -> None:
        self._sender = sender
        self._instance = instance

    @property
    def name(self) -> str:
        return self._sender.name

    @property
    def option(self) -> Option:
        return self._sender.option

    def set_key(self, fn: Callable[..., object], /) -> None:
        raise ConfigError(
            f"task {self.name!r} is a method: set its key in the class body, with self among its parameters"
        )

    def send(self, args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None) -> Any:
        return self._keep(self._sender.send((self._instance, *args), kwargs, option))

    async def send_async(self, args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None) -> Any:
        return self._keep(await self._sender.send_async((self._instance, *args), kwargs, option))

    def send_many(self, rows: Sequence[tuple[object, ...]], option: Option | None) -> Any:
        results = self._sender.send_many([(self._instance, *row) for row in rows], option)
        return [self._keep(result) for result in results]

    @property
    def contract(self) -> Contract:
        return self._sender.contract

    @property
    def owner(self) -> object:
        return self._sender.owner

    @property
    def launcher(self) -> Launcher:
        return self._sender.launcher

    def _keep(self, result: Result[object]) -> Result[object]:
        """Let the instance live until the call has ended: the token that travels does not hold it."""
        result._on_end(functools.partial(_nothing, self._instance))  # pyright: ignore[reportPrivateUsage]  # same package
        return result


def _nothing(instance: object) -> None: ...


_OPTIONS = {field.name for field in fields(Option) if field.init}


class SyncTask(Task[P, R_co]):
    """The task of a ``def``: calling it runs the function here, unchanged."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the function here, in this thread: no check, no worker."""
        value: R_co = self._run(args, kwargs)
        return value

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self: SyncTask[Concatenate[S, Q], A], instance: S, owner: type | None = None, /) -> SyncTask[Q, A]: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> object:
        return self if instance is None else self._bound(instance)


class AsyncTask(Task[P, R_co]):
    """The task of an ``async def``: awaiting a call runs the function here, unchanged."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R_co]:
        """The function's own coroutine: no check, no worker."""
        coroutine: Coroutine[object, None, R_co] = self._run(args, kwargs)
        return coroutine

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: AsyncTask[Concatenate[S, Q], A], instance: S, owner: type | None = None, /
    ) -> AsyncTask[Q, A]: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> object:
        return self if instance is None else self._bound(instance)
