"""The broker and the backend that are attached to one app. Comes from ``app.use``, read by the remote bridge.

An object can be attached to several apps; the last one to let go of it closes it.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from typeddingo._io.forking import hold_while_forking
from typeddingo.backend import Reporter, Store
from typeddingo.broker import Adapter, Consumer, NamedConsumer, Producer
from typeddingo.errors import ConfigError
from typeddingo.role import Role

__all__ = ["Adapters", "hold", "let_go", "playable"]

_ROLES: dict[Role, type] = {
    Role.REPORTER: Reporter,
    Role.STORE: Store,
    Role.PRODUCER: Producer,
    Role.CONSUMER: Consumer,
    Role.NAMED_CONSUMER: NamedConsumer,
}
_ALL = Role.REPORTER | Role.STORE | Role.PRODUCER | Role.CONSUMER | Role.NAMED_CONSUMER


@dataclass(slots=True)
class Adapters:
    """Who plays which role; at most one each, and one consumer of either kind."""

    producer: Producer | None = None
    consumer: Consumer | None = None
    named_consumer: NamedConsumer | None = None
    reporter: Reporter | None = None
    store: Store | None = None
    held: list[Adapter] = field(default_factory=list[Adapter])
    """Every attached object, once."""
    reply_to: str = ""
    """The address of the store's reports."""
    beside_frame: bool = False
    """The producer carries that address beside the frame."""
    others_read: bool = False
    """See ``Producer``."""

    def need_free(self, roles: Role) -> None:
        """Raises ``ConfigError`` if one of the roles is taken."""
        taken = {
            Role.PRODUCER: self.producer,
            Role.REPORTER: self.reporter,
            Role.STORE: self.store,
            Role.CONSUMER: self.consumer or self.named_consumer,
            Role.NAMED_CONSUMER: self.named_consumer or self.consumer,
        }
        for role, holder in taken.items():
            if roles & role and holder is not None:
                raise ConfigError(
                    f"a {_spelled(role)} is attached already: an app has one; name the roles that this object shall "
                    "play instead, use(obj, Role.…)"
                )

    def attach(self, adapter: Adapter, roles: Role) -> None:
        """Give the object its roles, all of them free."""
        if roles & Role.PRODUCER and isinstance(adapter, Producer):
            self.producer = adapter
            self.beside_frame = adapter.carries_reply_to
            self.others_read = adapter.others_read
        if roles & Role.CONSUMER and isinstance(adapter, Consumer):
            self.consumer = adapter
        if roles & Role.NAMED_CONSUMER and isinstance(adapter, NamedConsumer):
            self.named_consumer = adapter
        if roles & Role.REPORTER and isinstance(adapter, Reporter):
            self.reporter = adapter
        if roles & Role.STORE and isinstance(adapter, Store):
            self.store = adapter
            self.reply_to = adapter.reply_to
        if not any(adapter is other for other in self.held):
            self.held.append(adapter)


def playable(adapter: object, wanted: Role) -> tuple[Adapter, Role]:
    """The object and the roles of ``wanted`` it will play: all that it can for DEFAULT and ALL. Raises ``ConfigError``
    for an object without roles and for a role it cannot play."""
    if not isinstance(adapter, Adapter):
        what = "None" if adapter is None else f"an object of type {type(adapter).__name__}"
        raise ConfigError(f"use: expected a broker or a backend, got {what}")
    able = _able(adapter)
    if wanted in (Role.DEFAULT, Role.ALL):
        if not able:
            raise ConfigError(
                f"use: {type(adapter).__name__} plays no role: it must be a Producer, Consumer, NamedConsumer, "
                "Reporter or Store"
            )
        return adapter, able
    if other := wanted & ~_ALL:
        raise ConfigError(f"use: {_spelled(other)} is not a role an object can be attached for")
    if wanted & Role.CONSUMER and able & Role.NAMED_CONSUMER:  # as in the seed: the better of the two
        wanted = (wanted & ~Role.CONSUMER) | Role.NAMED_CONSUMER
    if missing := wanted & ~able:
        raise ConfigError(f"use: {type(adapter).__name__} is no {_spelled(missing)}; it can be {_spelled(able)}")
    return adapter, wanted


def _able(adapter: Adapter) -> Role:
    able = Role.DEFAULT
    for role, kind in _ROLES.items():
        if isinstance(adapter, kind):
            able |= role
    if able & Role.NAMED_CONSUMER:
        able &= ~Role.CONSUMER
    return able


def _spelled(roles: Role) -> str:
    names = [role.name or "" for role in Role if role.value and role is not Role.ALL and roles & role]
    return " and ".join(name.lower().replace("_", " ") for name in names) or f"role {int(roles)}"


_lock = threading.RLock()  # re-entrant: in a forked child apps start over before it is released
hold_while_forking(_lock)
_holders: Counter[int] = Counter()


def hold(adapter: Adapter) -> None:
    """One more app uses the object."""
    with _lock:
        _holders[id(adapter)] += 1


def let_go(adapter: Adapter) -> None:
    """One app less; the last one closes it. May raise what its ``close`` raises."""
    with _lock:
        _holders[id(adapter)] -= 1
        last = _holders[id(adapter)] <= 0
        if last:
            del _holders[id(adapter)]
    if last:
        adapter.close()
