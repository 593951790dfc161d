"""attrs classes and dataclasses, by cattrs; their fields may hold anything a parameter may. Comes from ``codecs``.

cattrs writes the code that takes an object apart and calls its constructor (``objects``); what a field holds goes
back to the codecs, so that pydantic models inside attrs classes and attrs classes inside pydantic containers work at
any depth.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, get_origin

import cattrs
from pydantic_core import ValidationError

from typeddingo.converter import Tree, ValueConverter
from typeddingo.converters.adopt import carried_by_class
from typeddingo.converters.dump import BINARY
from typeddingo.converters.fields import class_fields, refuse_other_constructor
from typeddingo.converters.misfits import expected, misfits_of, misfits_on_arrival, validation_error
from typeddingo.converters.objects import Convert, maker, taker
from typeddingo.errors import SignatureError

if TYPE_CHECKING:
    from typeddingo.converters.codecs import Codecs

__all__ = ["CattrsConverter", "ClassCodec"]


class ClassCodec:
    """The value converter of one class (or generic alias of one).

    Built in two steps, so that classes may contain themselves.
    """

    kinds: frozenset[str] = frozenset({"object"})

    def __init__(self, annotation: object, codecs: Codecs) -> None:
        self.cls: type = get_origin(annotation) or annotation  # type: ignore[assignment]  # carried_by_class says it is one
        self.annotation = annotation
        self.label: str = self.cls.__name__
        self.types: tuple[type, ...] = (self.cls,)
        self._codecs = codecs
        self._expected = expected(f"{self.label} itself, not a subclass of it")

    def build(self) -> None:
        """Compile the fields. Raises ``SignatureError`` naming the field that cannot be carried."""
        refuse_other_constructor(self.cls)
        fields = class_fields(self.annotation, self._codecs.namespace)
        try:
            self._slots = self._codecs.slots(list(fields), list(fields.values()))
        except SignatureError as err:
            raise SignatureError(f"{self.label}: field {err}") from err.__cause__
        self._names = list(fields)

    # live values

    def check(self, value: object) -> object:
        if type(value) is not self.types[0]:
            raise self._expected
        try:
            values = self._state(value)
        except AttributeError:
            raise expected(f"a {self.label} with all its fields set") from None
        if (gate := self._slots.gate) is not None and gate(values):
            return value
        try:
            self._checker(values)
        except ValidationError as err:
            raise self._at_fields(err) from None
        return value

    @functools.cached_property
    def _state(self) -> Callable[[object], tuple[object, ...]]:
        if len(self._names) > 1:
            return operator.attrgetter(*self._names)
        names = self._names
        return lambda value: tuple([getattr(value, name) for name in names])

    @functools.cached_property
    def _checker(self) -> Callable[[Any], object]:
        return self._slots.exact_checker(len(self._names))

    def _at_fields(self, error: ValidationError) -> ValidationError:
        problems: list[tuple[tuple[str | int, ...], str, str]] = []
        for misfit in misfits_of(error):
            index, *inner = misfit.path
            problems.append(((self._names[int(index)], *inner), misfit.kind, misfit.expected))
        return validation_error(self.label, problems)

    # values to trees

    def dump(self, value: object, *, binary: bool) -> Tree:
        tree: Tree = (self._dump_binary if binary else self._dump_json)(value)
        return tree

    @functools.cached_property
    def _dump_json(self) -> Callable[[object], Any]:
        return self._taker("json")

    @functools.cached_property
    def _dump_binary(self) -> Callable[[object], Any]:
        return self._taker("json" if self._slots.foreign else BINARY)

    def _taker(self, mode: str) -> Callable[[object], Any]:
        slots = self._slots
        dumps: dict[str, Convert] = {
            name: functools.partial(slots.slot_dumper(i).to_python, mode=mode, by_alias=True)
            for i, name in enumerate(self._names)
            if not slots.slot_is_native(i)
        }
        return taker(self.cls, dumps)

    # trees to values

    def load(self, tree: object, *, binary: bool) -> object:
        if type(tree) is not dict:
            if not self._codecs.strict and type(tree) is self.cls:
                return tree
            raise expected(f"the fields of {self.label}")
        try:
            return self._make(tree)
        except cattrs.BaseValidationError as group:
            raise validation_error(self.label, list(_problems(group))) from None
        except Exception as err:
            raise expected(f"what the constructor of {self.label} takes ({type(err).__name__})") from None

    @functools.cached_property
    def _make(self) -> Callable[[Any], object]:
        loads = {name: self._slots.slot_loader(i).validate_python for i, name in enumerate(self._names)}
        return maker(self.cls, loads, strict=self._codecs.strict)


def _problems(group: BaseException, path: tuple[str | int, ...] = ()) -> Any:
    """cattrs' tree of errors as flat ``(location, kind, words)``."""
    if isinstance(group, ValidationError):
        for misfit in misfits_on_arrival(group):
            yield (*path, *misfit.path), misfit.kind, misfit.expected
        return
    if isinstance(group, cattrs.ForbiddenExtraKeysError):
        yield path, "extra_forbidden", "unexpected fields: the annotation does not have them"
        return
    if not isinstance(group, BaseExceptionGroup):
        kind = "missing" if isinstance(group, KeyError) else "constructor"
        words = (
            "expected a value, it is missing"
            if kind == "missing"
            else f"refused by the constructor ({type(group).__name__})"
        )
        yield path, kind, words
        return
    parts = cast("BaseExceptionGroup[BaseException]", group)  # isinstance says a group, not of what
    for error in parts.exceptions:
        note = next((n for n in getattr(error, "__notes__", ()) if isinstance(n, cattrs.AttributeValidationNote)), None)
        yield from _problems(error, (*path, note.name) if note else path)


class CattrsConverter:
    """``@app.task(converter=CattrsConverter(mine))``: attrs classes and dataclasses by your own cattrs converter."""

    def __init__(self, converter: cattrs.Converter | None = None) -> None:
        self._converter = converter if converter is not None else cattrs.Converter(forbid_extra_keys=True)

    def handles(self, annotation: object) -> bool:
        """attrs classes, dataclasses and generic aliases of them."""
        return carried_by_class(annotation)

    def prepare(self, annotation: object) -> ValueConverter:
        """The converter of one annotation."""
        return _Hooked(annotation, self._converter)


class _Hooked:
    def __init__(self, annotation: object, converter: cattrs.Converter) -> None:
        self._annotation: Any = annotation
        self._converter = converter
        self._cls: type = get_origin(annotation) or annotation  # type: ignore[assignment]  # handles() says it is a class
        self.types, self.label = (self._cls,), self._cls.__name__

    def check(self, value: object) -> object:
        if type(value) is not self._cls:
            raise expected(f"{self.label} itself, not a subclass of it")
        return value

    def dump(self, value: object, *, binary: bool) -> Tree:
        tree: Tree = self._converter.unstructure(value, unstructure_as=self._annotation)
        return tree

    def load(self, tree: object, *, binary: bool) -> object:
        try:
            loaded: object = self._converter.structure(tree, self._annotation)
        except Exception as err:
            raise expected(f"what the converter of {self.label} takes ({type(err).__name__})") from None
        return loaded
