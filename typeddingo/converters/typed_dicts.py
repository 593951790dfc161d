"""A ``typing.TypedDict`` before Python 3.12, which does not tell pydantic enough. Comes from ``codecs``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast, get_origin

from pydantic_core import ValidationError

from typeddingo.converter import Tree
from typeddingo.converters.dump import BINARY
from typeddingo.converters.fields import class_fields, required_keys
from typeddingo.converters.misfits import MOST, expected, misfits_on_arrival, validation_error
from typeddingo.converters.untyped import is_dict
from typeddingo.errors import SignatureError

if TYPE_CHECKING:
    from typeddingo.converters.codecs import Codecs

__all__ = ["TypedDictCodec"]


class TypedDictCodec:
    """The value converter of one TypedDict. Built in two steps, as it may contain itself."""

    kinds: frozenset[str] = frozenset({"object"})
    types: tuple[type, ...] = (dict,)

    def __init__(self, annotation: object, codecs: Codecs) -> None:
        self._cls = cast("Any", get_origin(annotation) or annotation)
        self._annotation = annotation
        self._codecs = codecs
        self.label: str = self._cls.__name__

    def build(self) -> None:
        """Compile the fields. Raises ``SignatureError`` naming the field that cannot be carried."""
        namespace = self._codecs.namespace
        fields = class_fields(self._annotation, namespace)
        try:
            self._slots = self._codecs.slots(list(fields), list(fields.values()))
        except SignatureError as err:
            raise SignatureError(f"{self.label}: field {err}") from err.__cause__
        self._names = list(fields)
        self._required = required_keys(self._cls, namespace)

    def check(self, value: object) -> object:
        if type(value) is not dict:
            raise expected(f"a {self.label} (a dict)")
        self._each(cast("dict[str, object]", value), self._checks)
        return cast("object", value)

    def dump(self, value: object, *, binary: bool) -> Tree:
        dumps = self._dumps
        mode = BINARY if binary and not self._slots.foreign else "json"
        items = cast("dict[str, object]", value).items()
        return {name: dumps[name](item, mode=mode, by_alias=True) for name, item in items}

    def load(self, tree: object, *, binary: bool) -> object:
        if not is_dict(tree):
            raise expected(f"the fields of {self.label}")
        return self._each(tree, self._loads)

    def _each(self, value: dict[str, object], convert: Mapping[str, Callable[[Any], object]]) -> dict[str, object]:
        """Every field converted; the error names every key that is missing, unknown or holds what does not fit."""
        problems: list[tuple[tuple[str | int, ...], str, str]] = []
        missing = [name for name in self._required if name not in value]
        problems += [((name,), "missing", "expected a value, it is missing") for name in missing]
        converted: dict[str, object] = {}
        for name, item in value.items():
            if len(problems) > MOST:
                break
            if name not in convert:
                if self._codecs.strict:
                    problems.append(((name,), "extra_forbidden", "unexpected: the annotation has no such field"))
                continue
            try:
                converted[name] = convert[name](item)
            except ValidationError as err:
                problems += [((name, *m.path), m.kind, m.expected) for m in misfits_on_arrival(err)]
        if problems:
            raise validation_error(self.label, problems)
        return converted

    @functools.cached_property
    def _checks(self) -> Mapping[str, Callable[[Any], object]]:
        return {name: self._slots.slot_checker(i) for i, name in enumerate(self._names)}

    @functools.cached_property
    def _loads(self) -> Mapping[str, Callable[[Any], object]]:
        return {name: self._slots.slot_loader(i).validate_python for i, name in enumerate(self._names)}

    @functools.cached_property
    def _dumps(self) -> Mapping[str, Callable[..., Any]]:
        return {name: self._slots.slot_dumper(i).to_python for i, name in enumerate(self._names)}
