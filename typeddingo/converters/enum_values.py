"""The fields of models that keep the values of enums, not the members (``use_enum_values``). Comes from ``adopt``."""

from __future__ import annotations

import enum
from typing import Any

from typeddingo.converter import Tree
from typeddingo.converters.leaves import enum_leaf
from typeddingo.converters.misfits import expected
from typeddingo.converters.untyped import is_list

__all__ = ["EnumValues"]


class EnumValues:
    """The value converter of one such enum. A value travels as its member does.

    A default is not validated, so that a member may be there too: it travels alone in a list. Of a flag, the values
    are those of its members, as for pydantic.
    """

    kinds: frozenset[str] = frozenset({"str", "int", "array"})

    def __init__(self, cls: type[enum.Enum]) -> None:
        self._cls = cls
        self._leaf = enum_leaf(cls)
        self.label: str = cls.__name__
        self._expected = expected(f"the value of {self._leaf.expected}")

    def check(self, value: object, /) -> object:
        """The value itself."""
        if type(value) is not self._cls:
            self._member_of(value)
        return value

    def dump(self, value: object, /, *, binary: bool) -> Tree:
        """As the member with this value."""
        alone = type(value) is self._cls
        tree: Any = self._leaf.dump(value if alone else self._member_of(value))
        return [tree] if alone else tree

    def load(self, tree: Any, /, *, binary: bool) -> object:
        """The value, or the member."""
        alone = is_list(tree) and len(tree) == 1
        try:
            member: Any = self._leaf.load(tree[0] if alone else tree)
        except ValueError:
            raise self._expected from None
        return member if alone else member.value

    def _member_of(self, value: object) -> enum.Enum:
        for member in self._cls.__members__.values():
            if type(member.value) is type(value) and member.value == value:
                return member
        raise self._expected
