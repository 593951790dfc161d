"""The plug between an annotation and a library that converts values of it. No I/O, no bytes: values and trees."""

from __future__ import annotations

from typing import Protocol, TypeAlias

__all__ = ["Converter", "Tree", "ValueConverter"]

Tree: TypeAlias = "bool | int | float | str | bytes | list[Tree] | dict[str, Tree] | None"
"""What any wire format can hold. ``bytes`` only where ``binary`` is true; JSON formats get base64 text."""


class ValueConverter(Protocol):
    """Converts the values of one annotation; made once per annotation, called from any thread.

    Every method raises ``ValueError`` (with what was expected, never the value) when the input does not fit.
    """

    def check(self, value: object, /) -> object:
        """The value, if it is one of the annotation."""
        ...

    def dump(self, value: object, /, *, binary: bool) -> Tree:
        """A checked value as a tree."""
        ...

    def load(self, tree: object, /, *, binary: bool) -> object:
        """A tree of unknown origin as a value of the annotation."""
        ...


class Converter(Protocol):
    """Chooses and makes value converters: ``@app.task(converter=…)`` asks it first for every parameter and return."""

    def handles(self, annotation: object, /) -> bool:
        """Whether this converter takes the annotation."""
        ...

    def prepare(self, annotation: object, /) -> ValueConverter:
        """The converter for the annotation. Raises ``SignatureError`` when it cannot be carried."""
        ...
