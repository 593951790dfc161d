"""``@app.task`` on a method: the instance stays here, only a token of it travels. Comes from the decorator, goes to the
contract as the converter of ``self``.

A worker in this process runs the method on the very instance it was called through, on every broker. A worker in
another process cannot: there, register the bound method under a name on both sides,
``app.register("svc.mul", svc.mul)``.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from itertools import count
from types import FunctionType
from typing import Annotated, get_args, get_origin

from typeddingo.converter import Converter, Tree, ValueConverter
from typeddingo.errors import SignatureError

__all__ = ["InstanceSlot", "is_method", "typed_self"]


class _Instances:
    """Token ↔ instance, weakly: a task keeps its instance alive by itself, as the argument of its call."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._numbers = count(1)
        self._number_of: dict[int, int] = {}
        self._reference_of: dict[int, weakref.ref[object]] = {}
        self._process = os.urandom(8).hex()

    def token(self, instance: object) -> str:
        """The same for the same instance, never again for another."""
        with self._lock:
            number = self._number_of.get(id(instance))
            if number is None:
                number = self._number_of[id(instance)] = next(self._numbers)
                identity = id(instance)
                self._reference_of[number] = weakref.ref(instance, lambda _: self._forget(identity, number))
        return f"{self._process}-{os.getpid()}-{number}"

    def find(self, token: object) -> object:
        """The instance of a token of this process; None for any other."""
        process, _, number = token.rpartition("-") if isinstance(token, str) else ("", "", "")
        if process != f"{self._process}-{os.getpid()}" or not number.isdecimal():
            return None
        reference = self._reference_of.get(int(number))
        return reference() if reference is not None else None

    def _forget(self, identity: int, number: int) -> None:
        with self._lock:
            self._reference_of.pop(number, None)
            if self._number_of.get(identity) == number:
                del self._number_of[identity]


_instances = _Instances()


class InstanceSlot:
    """The ``self`` of one method: its annotation's mark and its converter."""

    def __init__(self) -> None:
        self.owner: type = object
        """The class it was declared in, known once the class body is through."""

    def check(self, value: object, /) -> object:
        if not isinstance(value, self.owner):
            raise ValueError(f"expected an instance of {self.owner.__qualname__}")
        return value

    def dump(self, value: object, /, *, binary: bool) -> Tree:
        try:
            return _instances.token(value)
        except TypeError:
            raise ValueError(
                "expected an instance that can be referred to weakly: add '__weakref__' to its __slots__"
            ) from None

    def load(self, tree: object, /, *, binary: bool) -> object:
        if (instance := _instances.find(tree)) is None:
            raise ValueError(
                "expected an instance that lives in this process; register the bound method under a name on both sides"
            )
        return self.check(instance)


class MethodConverter:
    """Takes ``self`` and leaves everything else to the converter that the task was given."""

    def __init__(self, slot: InstanceSlot, other: Converter | None) -> None:
        self._slot = slot
        self._other = other

    def handles(self, annotation: object, /) -> bool:
        return self._is_self(annotation) or (self._other is not None and self._other.handles(annotation))

    def prepare(self, annotation: object, /) -> ValueConverter:
        if self._is_self(annotation) or self._other is None:
            return self._slot
        return self._other.prepare(annotation)

    def _is_self(self, annotation: object) -> bool:
        return get_origin(annotation) is Annotated and self._slot in get_args(annotation)[1:]


def is_method(fn: Callable[..., object]) -> bool:
    """A function written in a class body with a first parameter ``self``."""
    if not isinstance(fn, FunctionType):
        return False
    place, _, _ = fn.__qualname__.rpartition(".")
    function = _innermost(fn)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return bool(place) and not place.endswith("<locals>") and names[:1] == ("self",)


def typed_self(fn: Callable[..., object], task: str, context: bool) -> InstanceSlot:
    """Annotate the ``self`` of a method with its slot. Raises ``SignatureError``."""
    if context:
        raise SignatureError(f"task {task!r} is a method: leave context=True out and ask current_context() inside it")
    slot = InstanceSlot()
    _innermost(fn).__annotations__["self"] = Annotated[object, slot]
    return slot


def _innermost(fn: Callable[..., object]) -> FunctionType:
    while (inner := getattr(fn, "__wrapped__", None)) is not None:
        fn = inner
    assert isinstance(fn, FunctionType)
    return fn
