"""The interface between tasks and what carries them. Comes from the app, goes to pools (local) or adapters (remote)."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from typeddingo._io.threads import Deadline
from typeddingo.broker import Adapter, Parcel
from typeddingo.errors import ConfigError
from typeddingo.isolation.place import need_place, place_of_app
from typeddingo.option import Option
from typeddingo.registry import Entry
from typeddingo.role import Role
from typeddingo.timetable import Timetable

__all__ = ["Bridge", "closed_error", "need_child", "need_counts"]


class Bridge(abc.ABC):
    """What an app needs to be local or remote (Go: ``bridge``). Thread-safe."""

    @abc.abstractmethod
    def join(self, entry: Entry) -> None:
        """Compile ``entry.send`` and its siblings: when the task is registered, and when something of it changes."""

    @abc.abstractmethod
    def allocate(self, entry: Entry, count: int, share: int) -> int:
        """Start workers; returns how many could not be started. Raises ``ConfigError``."""

    @abc.abstractmethod
    def use(self, adapter: object, roles: Role) -> Role:
        """Attach an adapter; returns the roles it plays now. Raises ``ConfigError``."""

    @abc.abstractmethod
    def reattach(self, entry: Entry, id: str) -> object:
        """The ``Result`` of a call that another process has made. Raises ``ConfigError``."""

    @abc.abstractmethod
    def background(self, callback: Callable[[], None]) -> None:
        """See ``Home``."""

    @abc.abstractmethod
    def cancel(self, name: str, id: str) -> None:
        """See ``Home``. Raises ``ConnectionLost`` or ``ConfigError``."""

    @abc.abstractmethod
    def forget(self, name: str, id: str) -> None:
        """See ``Home``. Raises ``ConnectionLost`` or ``ConfigError``."""

    @abc.abstractmethod
    def timetable(self) -> Timetable:
        """Where schedules remember what they have fired. Raises ``ConfigError`` when nothing attached can."""

    @abc.abstractmethod
    def parcel(self, entry: Entry, id: str, option: Option) -> Parcel:
        """A call without arguments and without a caller, for the timetable to store. Raises ``ConfigError``."""

    @abc.abstractmethod
    def attached(self) -> Sequence[Adapter]:
        """The brokers and backends in use, each once."""

    @abc.abstractmethod
    def batch(self) -> AbstractContextManager[None]:
        """Inside it ``send`` does not wait for confirmations; leaving it does."""

    @abc.abstractmethod
    def close(self, deadline: Deadline) -> None:
        """Give the running tasks until the deadline, then end every result that is still pending."""


def closed_error(name: str) -> ConfigError:
    """What a call gets after ``close``."""
    return ConfigError(f"task {name!r} was not sent: its app is closed; call it while the app is open")


def need_child(entry: Entry) -> None:
    """Refuse a task whose worker's child process would not find it, or the app that lends it something."""
    if entry.isolation is None:
        return
    need_place(entry.fn, entry.name)
    if (lent := entry.lent) and place_of_app(entry) is None:
        raise ConfigError(
            f"task {entry.name!r} has {lent} from its app, which a child process cannot find: keep the app under a "
            "name at the top level of a module"
        )


def need_counts(name: str, count: object, share: object) -> None:
    """Refuse bad counts before anything is touched: the name stays usable (the seed burnt it)."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(f"allocate({name!r}): count must be a whole number, 1 or more")
    if not isinstance(share, int) or isinstance(share, bool) or share < 0:
        raise ConfigError(f"allocate({name!r}): share must be a whole number: 1 or more, or 0 for one group of all")
