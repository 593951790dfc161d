"""The standard collections that are a list or a dict with manners of their own. Comes from ``codecs``.

They travel as that list or dict, and come back as themselves.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args, get_origin

from typeddingo.converter import Tree
from typeddingo.converters.dump import BINARY
from typeddingo.converters.misfits import expected
from typeddingo.converters.untyped import is_dict

if TYPE_CHECKING:
    from typeddingo.converters.codecs import Codecs

__all__ = ["CollectionCodec", "is_collection"]

_PLAIN: dict[type, Callable[[tuple[Any, ...]], Any]] = {
    collections.deque: lambda args: list[args[0]],  # type: ignore[valid-type]  # built at run time
    collections.OrderedDict: lambda args: dict[args[0], args[1]],  # type: ignore[valid-type]  # built at run time
    collections.defaultdict: lambda args: dict[args[0], args[1]],  # type: ignore[valid-type]  # built at run time
    collections.Counter: lambda args: dict[args[0], int],  # type: ignore[valid-type]  # built at run time
}

_FACTORIES = (list, dict, set, frozenset, tuple, int, float, str, bool, bytes, collections.deque, collections.Counter)


def is_collection(annotation: object) -> bool:
    """``deque[T]``, ``OrderedDict[K, V]``, ``defaultdict[K, V]`` or ``Counter[K]``."""
    return get_origin(annotation) in _PLAIN


class CollectionCodec:
    """The value converter of one such collection.

    A deque keeps its ``maxlen``; a defaultdict's factory is its value type.
    """

    def __init__(self, annotation: object, codecs: Codecs) -> None:
        origin = get_origin(annotation)
        assert origin is not None
        self.cls: type = origin
        self._args = get_args(annotation)
        self.types: tuple[type, ...] = (self.cls,)
        self.label: str = self.cls.__name__
        self.kinds: frozenset[str] = frozenset({"array", "object"})
        self._codecs = codecs

    def build(self) -> None:
        """Compile the items. Raises ``SignatureError``."""
        self._slots = self._codecs.slots([self.label], [_PLAIN[self.cls](self._args)])

    def check(self, value: object) -> object:
        if type(value) is not self.cls:
            raise expected(f"a {self.label}")
        self._checker(self._to_plain(value))
        return value

    def dump(self, value: Any, *, binary: bool) -> Tree:
        mode = BINARY if binary and not self._slots.foreign else "json"
        tree: Tree = self._dumper.to_python(self._to_plain(value), mode=mode, by_alias=True)
        if self.cls is collections.deque and value.maxlen is not None:
            return {"items": tree, "maxlen": value.maxlen}
        return tree

    def load(self, tree: object, *, binary: bool) -> object:
        if self.cls is collections.deque:
            return self._load_deque(tree)
        if not self._codecs.strict and type(tree) is self.cls:
            return tree
        plain: Any = self._loader(tree)
        return collections.defaultdict(self._factory, plain) if self.cls is collections.defaultdict else self.cls(plain)

    def _load_deque(self, tree: object) -> object:
        maxlen = None
        if is_dict(tree):
            if not _is_bounded(tree):
                raise expected("the items of a deque")
            fields = tree
            tree, maxlen = fields["items"], fields["maxlen"]
        items: Any = self._loader(tree)
        if maxlen is not None and len(items) > maxlen:
            raise expected("a deque no longer than its maxlen")
        return collections.deque(items, maxlen)

    def _to_plain(self, value: Any) -> Any:
        return list(value) if self.cls is collections.deque else dict(value)

    @property
    def _factory(self) -> Any:
        value_type = get_origin(self._args[1]) or self._args[1]
        return value_type if value_type in _FACTORIES else None

    @functools.cached_property
    def _checker(self) -> Callable[[Any], object]:
        return self._slots.slot_checker(0)

    @functools.cached_property
    def _loader(self) -> Callable[[Any], object]:
        return self._slots.slot_loader(0).validate_python

    @functools.cached_property
    def _dumper(self) -> Any:
        return self._slots.slot_dumper(0)


def _is_bounded(fields: dict[Any, Any]) -> bool:
    return set(fields) == {"items", "maxlen"} and type(fields["maxlen"]) is int and fields["maxlen"] >= 0
