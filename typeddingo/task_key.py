"""What makes two calls of a task the same one, and what its limits are counted by: a key, as text.

Comes from ``@app.task(unique_for=…, limit=…)`` and ``task.key``, goes to the bridge (``Terms.unique``) and to the
limiters. Equal arguments give equal keys in every process, by position or by name, given or left at their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TypeAlias, cast
from uuid import UUID

from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError, ConfigError
from typeddingo.signature import accepts

__all__ = ["KeyFunction", "check_key_function", "key_of_arguments", "key_of_function"]

KeyFunction: TypeAlias = Callable[..., object]
"""Takes the parameters of its task, returns the key."""


def check_key_function(contract: Contract, fn: object) -> KeyFunction:
    """What ``task.key`` was given. Raises ``ConfigError``."""
    name = contract.name
    if not callable(fn):
        raise ConfigError(f"task {name!r}: key() takes a function of the task's own parameters, not a value")
    if not accepts(fn, contract.signature):
        raise ConfigError(
            f"task {name!r}: its key function must take what the task takes, {contract.signature.native}; what it does "
            "not look at too"
        )
    return fn


def key_of_function(contract: Contract, fn: KeyFunction, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
    """What a key function says of a call. Raises ``ConfigError`` for what is no key, and what the function raises."""
    args, kwargs = contract.complete(args, kwargs)
    return _digest(_text(contract.name, fn(*args, **kwargs)))


def key_of_arguments(contract: Contract, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
    """All the arguments, as they travel."""
    try:
        given = contract.bind(*contract.complete(args, kwargs))
    except ArgumentError:  # a default that does not fit its own annotation does not travel: neither does it count
        given = args, kwargs
    positional: object = json.loads(contract.arguments.dump_json(given[0]))
    named: object = json.loads(contract.keywords.dump_json(given[1])) if given[1] else {}
    return _digest(json.dumps([positional, named], sort_keys=True))


def _text(task: str, value: object) -> str:
    """Without a doubt whose it is: the text ``1`` is another key than the number, and a pair than its joined parts."""
    if isinstance(value, str):
        return ascii(str(value))
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, UUID):
        return value.hex + "u"
    if isinstance(value, tuple):
        return "(" + ",".join([_text(task, part) for part in cast("tuple[object, ...]", value)]) + ")"
    raise ConfigError(
        f"task {task!r}: its key function must return a str, an int, a UUID or a tuple of such, not a "
        f"{type(value).__name__}"
    )


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
