"""Name → function, contract, option, marshallers, id maker (Go: ``fnMgr`` and its two siblings).

Comes from the app (registration), read by the bridge, the mapper and the workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import ConfigError
from typeddingo.hooks import NO_HOOKS, Hooks
from typeddingo.ids import IDMaker, IDMakerID, SeqIDMaker, UUIDMaker
from typeddingo.invoker import Invoker
from typeddingo.journey import Step
from typeddingo.limits import Bounds
from typeddingo.marshaller import Marshaller, MarshallerID
from typeddingo.option import Option
from typeddingo.retry import RetryPolicy
from typeddingo.task_key import KeyFunction, check_key_function, key_of_arguments, key_of_function
from typeddingo.wire import Wire

__all__ = ["Entry", "Launcher", "Registry", "Send", "SendAsync", "SendMany"]

Send: TypeAlias = "Callable[[tuple[object, ...], Mapping[str, object], Option | None], object]"
"""One call: arguments, named arguments, option (None: the task's own). Returns the ``Result``."""
SendAsync: TypeAlias = (
    "Callable[[tuple[object, ...], Mapping[str, object], Option | None], Coroutine[object, None, object]]"
)
"""The same, without blocking an event loop."""
SendMany: TypeAlias = "Callable[[Sequence[tuple[object, ...]], Option | None], list[object]]"
"""Many calls; every row is checked before the first is sent."""


class Launcher(Protocol):
    """Sends pipelines: the first step, which knows the others. Raises what a call raises, before anything is sent."""

    def launch(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        """The ``Result`` of the whole."""
        ...

    async def launch_async(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        """The same, without blocking an event loop."""
        ...

    def launch_many(self, steps: tuple[Step, ...], rows: Sequence[tuple[object, ...]], option: Option) -> list[object]:
        """Every row is checked before the first is sent."""
        ...


@dataclass(slots=True, eq=False)
class Entry:
    """One registered task. Only the registry changes it; everybody else reads it, without a lock."""

    name: str
    fn: Callable[..., object]
    contract: Contract
    option: Option = field(default_factory=Option)
    context: bool = False
    """The worker injects the ``Context`` as the first argument."""
    workers: int | None = None
    """Workers of its default pool; None: as many as ``Config.workers``."""
    timeout: float | None = None
    """Seconds that one run may take."""
    queue: str = "default"
    """The label by which workers are started for it and others."""
    hooks: Hooks = NO_HOOKS
    """The app's middleware."""
    retry: RetryPolicy | None = None
    """Whether it runs again when it has failed; None: never."""
    isolation: Literal["process"] | None = None
    """Where it runs: in a child process, or here."""
    hard_timeout: float | None = None
    """Seconds after which that process is killed."""
    unique_for: float | None = None
    """Seconds for which an equal call is the same one; None: none ever is."""
    bounds: Bounds | None = None
    """How often, and how many at a time, it may run; None: as often as it likes."""
    key: KeyFunction | None = None
    """What makes calls equal, and what limits count by."""
    marshaller: int | Marshaller = MarshallerID.DEFAULT
    report_marshaller: int | Marshaller = MarshallerID.DEFAULT
    id_maker: int | IDMaker = IDMakerID.DEFAULT
    owner: object = field(default=None, repr=False)
    """The app, which lives as long as a handle or a worker of one of its tasks."""
    home: str = ""
    """The module that has made the app."""
    wire: Wire | None = field(default=None, repr=False)
    send: Send = field(init=False, repr=False)
    send_async: SendAsync = field(init=False, repr=False)
    send_many: SendMany = field(init=False, repr=False)
    """All three compiled by the bridge from the above."""
    launcher: Launcher = field(init=False, repr=False)
    """The bridge itself, for pipelines."""
    listed: Entry | None = field(default=None, repr=False)
    """See ``list_of``."""

    @property
    def on_loop(self) -> bool:
        """Its workers are coroutines on the app's event loop; else they are threads."""
        return self.contract.is_async and self.isolation is None

    @property
    def lent(self) -> str:
        """What it is sent with that its app alone knows: an id of the app's own. Empty: nothing."""
        for id in (self.marshaller, self.report_marshaller):
            if isinstance(id, int) and id not in _MARSHALLERS:
                return f"marshaller {id}"
        own_maker = isinstance(self.id_maker, int) and self.id_maker not in _ID_MAKERS
        return f"id maker {self.id_maker}" if own_maker else ""

    def set_key(self, fn: KeyFunction) -> None:
        """See ``Task.key``."""
        self.key = check_key_function(self.contract, fn)

    def unique_key(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """What a checked call has in common with its equals."""
        if self.key is None:
            return key_of_arguments(self.contract, args, kwargs)
        return key_of_function(self.contract, self.key, args, kwargs)

    def limit_key(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """What its limits count a checked call by; empty: all of them together."""
        return "" if self.key is None else key_of_function(self.contract, self.key, args, kwargs)


class Registry:
    """Thread-safe. Every refusal is a ``ConfigError`` that says what to do instead."""

    def __init__(self, default_ids: IDMaker, limits: Limits) -> None:
        self._lock = threading.RLock()
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self._marshallers: dict[int, Marshaller] = {}
        self._id_makers: dict[int, IDMaker] = {IDMakerID.DEFAULT: default_ids}

    def start_over(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries.values()))

    def find(self, name: str) -> Entry | None:
        """The task of this name, if there is one."""
        return self._entries.get(name)

    def get(self, name: str) -> Entry:
        """The task of this name."""
        if (entry := self._entries.get(name)) is None:
            raise ConfigError(f"no task is called {name!r}: register it first, with @app.task or app.register")
        return entry

    def of_queues(self, queues: Sequence[str]) -> list[Entry]:
        """The tasks with one of these labels; none given: all tasks."""
        entries = list(self)
        if not queues:
            return entries
        labels = {entry.queue for entry in entries}
        there_are = f"there are: {', '.join(sorted(labels)) or 'none'}"
        if isinstance(queues, str):
            raise ConfigError(f"queues: expected a list of labels, not a text; {there_are}")
        for label in queues:
            if label not in labels:
                raise ConfigError(f"no task has queue={label!r}; {there_are}")
        return [entry for entry in entries if entry.queue in queues]

    def add(self, entry: Entry) -> None:
        """A new task. Its marshallers and its id maker must exist."""
        _need_name(entry.name, self._limits.name)
        self.id_maker_of(entry)
        self._prepare(entry, entry.marshaller, entry.report_marshaller)
        with self._lock:
            if entry.name in self._entries:
                raise ConfigError(
                    f"a task called {entry.name!r} is registered already: give one of the two another name, name='…'"
                )
            self._entries[entry.name] = entry

    def set_option(self, name: str, option: Option) -> Entry:
        """Options are frozen: the caller cannot change this one later (the seed's could)."""
        if not isinstance(option, Option):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise ConfigError("set_option: expected an Option, for example Option(monitor_progress=True)")
        entry = self.get(name)
        entry.option = option
        return entry

    def set_marshaller(self, name: str, task: int, report: int) -> Entry:
        """Ids of what encodes the calls and the reports of a task."""
        entry = self.get(name)
        self._prepare(entry, task, report)
        entry.marshaller, entry.report_marshaller = task, report
        entry.wire = entry.listed = None
        return entry

    def set_id_maker(self, name: str, id: int) -> Entry:
        """The id of what names the calls of a task."""
        self._id_maker(id)
        entry = self.get(name)
        entry.id_maker = id
        return entry

    def add_marshaller(self, id: int, marshaller: Marshaller) -> None:
        """It must also say how its arguments reach a function, that is, be an ``Invoker`` too, as in the seed."""
        _need_id("add_marshaller", id)
        if not isinstance(marshaller, Invoker):
            raise ConfigError(
                "add_marshaller: the object must be an Invoker as well: "
                "inherit from LazyInvoker (exact types) or GenericInvoker (type correction)"
            )
        with self._lock:
            if id in self._marshallers or id in _MARSHALLERS:
                raise ConfigError(f"marshaller id {int(id)} is taken: 0 to 3 are built in, choose another one")
            self._marshallers[id] = marshaller

    def add_id_maker(self, id: int, maker: IDMaker) -> None:
        """Ids 0 to 2 are built in."""
        _need_id("add_id_maker", id)
        if not callable(getattr(maker, "new_id", None)):
            raise ConfigError("add_id_maker: the object must have a method new_id(name) that returns a str")
        with self._lock:
            if id in self._id_makers or id in _ID_MAKERS:
                raise ConfigError(f"id maker id {int(id)} is taken: 0 to 2 are built in, choose another one")
            self._id_makers[id] = maker

    def wire_of(self, entry: Entry) -> Wire:
        """What encodes the calls and the reports of a task; the same object until one of the two is set anew."""
        if (wire := entry.wire) is None:
            tasks, reports = self._marshaller(entry.marshaller), self._marshaller(entry.report_marshaller)
            wire = entry.wire = Wire(entry.contract, tasks, reports)
        return wire

    def id_maker_of(self, entry: Entry) -> IDMaker:
        """What names the calls of a task."""
        return self._id_maker(entry.id_maker)

    def _marshaller(self, id: int | Marshaller) -> Marshaller:
        if not isinstance(id, int):
            return id
        with self._lock:
            if (marshaller := self._marshallers.get(id)) is None:
                if (make := _MARSHALLERS.get(id)) is None:
                    raise ConfigError(f"no marshaller has the id {int(id)}: add it first with app.add_marshaller")
                marshaller = self._marshallers[id] = make(self._limits)
            return marshaller

    def _prepare(self, entry: Entry, *marshallers: int | Marshaller) -> None:
        """Tell marshallers of a task they will carry (Go: ``Prepare``). The default one has nothing to prepare: it is
        not even loaded by an app whose objects travel by reference."""
        for id in marshallers:
            if id != MarshallerID.DEFAULT:
                self._marshaller(id).prepare(entry.contract)

    def _id_maker(self, id: int | IDMaker) -> IDMaker:
        if not isinstance(id, int):
            return id
        with self._lock:
            if (maker := self._id_makers.get(id)) is None:
                if (make := _ID_MAKERS.get(id)) is None:
                    raise ConfigError(f"no id maker has the id {int(id)}: add it first with app.add_id_maker")
                maker = self._id_makers[id] = make()
            return maker


def _need_name(name: object, limit: int) -> None:
    from typeddingo.marshallers.guard import name_fits  # loaded with the first task, not with the package

    if not isinstance(name, str) or not name or not name_fits(name, limit):
        raise ConfigError(
            f"name: expected a text that can be printed, of at most {limit} bytes; it goes with every call"
        )


def _need_id(what: str, id: object) -> None:
    if not isinstance(id, int) or isinstance(id, bool):
        raise ConfigError(f"{what}: the id must be a whole number")


# Imported when first used: an app that never leaves its process needs none of them.


def _json(limits: Limits) -> Marshaller:
    from typeddingo.marshallers.json import JSONMarshaller

    return JSONMarshaller(limits)


def _msgpack(limits: Limits) -> Marshaller:
    from typeddingo.marshallers.msgpack import MsgpackMarshaller

    return MsgpackMarshaller(limits)


def _json_safe(limits: Limits) -> Marshaller:
    from typeddingo.marshallers.json_safe import JSONSafeMarshaller

    return JSONSafeMarshaller(limits)


_MARSHALLERS: dict[int, Callable[[Limits], Marshaller]] = {
    MarshallerID.DEFAULT: _json,
    MarshallerID.JSON: _json,
    MarshallerID.MSGPACK: _msgpack,
    MarshallerID.JSONSAFE: _json_safe,
}
_ID_MAKERS: dict[int, Callable[[], IDMaker]] = {
    IDMakerID.DEFAULT: UUIDMaker,
    IDMakerID.UUID: UUIDMaker,
    IDMakerID.SEQ: SeqIDMaker,
}
