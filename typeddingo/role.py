"""The roles an object can play for an app, and the rooms an event can come from."""

from __future__ import annotations

import enum

from typeddingo.errors import ConfigError

__all__ = ["Role", "need_roles"]


class Role(enum.IntFlag):
    """Bit flags with Go's values (Go: ``ObjT``)."""

    DEFAULT = 0
    """Every role the object implements."""
    REPORTER = 1
    STORE = 2
    PRODUCER = 4
    CONSUMER = 8
    MAPPER = 16
    WORKER = 32
    BRIDGE = 64
    NAMED_CONSUMER = 128
    CHAIN_ROUTINE = 256
    ALL = 2**63 - 1


def need_roles(owner: str, roles: Role, able: Role) -> None:
    """What an adapter's ``expect`` does: a ``ConfigError`` when ``roles`` holds one that ``owner`` cannot play."""
    if excess := roles & ~able:
        raise ConfigError(f"{owner} cannot be {excess.name or int(excess)}: it can be {able.name}")
