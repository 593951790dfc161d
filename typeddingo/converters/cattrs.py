"""attrs classes and dataclasses, by cattrs; their fields may hold anything a parameter may. Comes from ``codecs``.

cattrs writes the code that takes an object apart and calls its constructor; what a field holds goes back to the codecs,
so that pydantic models inside attrs classes and attrs classes inside pydantic containers work at any depth.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin

import attrs
import cattrs
import typing_extensions
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.gen.typeddicts import make_dict_structure_fn as make_typed_dict_structure_fn
from pydantic_core import ValidationError

from typeddingo.converter import Tree, ValueConverter
from typeddingo.converters.dump import BINARY
from typeddingo.converters.misfits import expected, misfits_of, validation_error
from typeddingo.converters.source import carried_by_class
from typeddingo.errors import SignatureError

if TYPE_CHECKING:
    from typeddingo.converters.codecs import Codecs

__all__ = ["CattrsConverter", "ClassCodec"]


class ClassCodec:
    """The value converter of one class (or generic alias of one). Built in two steps, so that classes may contain themselves."""

    kinds = frozenset({"object"})

    def __init__(self, annotation: object, codecs: Codecs) -> None:
        self.cls: type = get_origin(annotation) or annotation  # type: ignore[assignment]  # carried_by_class says it is one
        self.annotation = annotation
        self.label = self.cls.__name__
        self._typed_dict = typing.is_typeddict(self.cls)
        self.types = (dict,) if self._typed_dict else (self.cls,)
        self._codecs = codecs
        self._expected = expected(f"{self.label} itself, not a subclass of it")

    def build(self) -> None:
        """Compile the fields. Raises ``SignatureError`` naming the field that cannot be carried."""
        hints = self._hints()
        names = [name for name in self._field_names() if name in hints]
        try:
            self._slots = self._codecs.slots(names, [hints[name] for name in names])
        except SignatureError as err:
            raise SignatureError(f"{self.label}: field {err}") from err.__cause__
        self._names = names

    # live values

    def check(self, value: object) -> object:
        if type(value) is not self.types[0]:
            raise self._expected if not self._typed_dict else expected(f"a {self.label} (a dict)")
        if self._typed_dict:
            return self._check_typed_dict(value)  # type: ignore[arg-type]  # the exact type was just checked
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
        return self._slots.checker(len(self._names))

    def _at_fields(self, error: ValidationError) -> ValidationError:
        problems = [((self._names[m.path[0]], *m.path[1:]) if m.path and isinstance(m.path[0], int) else m.path, m.kind, m.expected) for m in misfits_of(error)]  # fmt: skip
        return validation_error(self.label, problems)

    def _check_typed_dict(self, value: dict[str, object]) -> object:
        unknown = [key for key in value if key not in self._names]
        missing = [name for name in self.cls.__required_keys__ if name not in value]  # type: ignore[attr-defined]  # a TypedDict has it
        if unknown or missing:
            raise expected(
                f"a {self.label} with its required keys and no others" + (f"; {missing} missing" if missing else "")
            )
        for name, item in value.items():
            try:
                self._field_checks[name](item)
            except ValidationError as err:
                raise validation_error(
                    self.label, [((name, *m.path), m.kind, m.expected) for m in misfits_of(err)]
                ) from None
        return value

    @functools.cached_property
    def _field_checks(self) -> Mapping[str, Callable[[Any], object]]:
        return {name: self._slots.slot_checker(i) for i, name in enumerate(self._names)}

    # values to trees

    def dump(self, value: object, *, binary: bool) -> Tree:
        tree: Tree = (self._dump_binary if binary else self._dump_json)(value)
        return tree

    @functools.cached_property
    def _dump_json(self) -> Callable[[object], Any]:
        return self._unstructure("json")

    @functools.cached_property
    def _dump_binary(self) -> Callable[[object], Any]:
        return self._unstructure(BINARY)

    def _unstructure(self, mode: str) -> Callable[[Any], Any]:
        dumps = {name: self._field_dump(i, mode) for i, name in enumerate(self._names)}
        if self._typed_dict:
            return lambda value: {name: dumps[name](item) if dumps[name] else item for name, item in value.items()}  # type: ignore[misc]  # None was just ruled out
        overrides = {name: override(unstruct_hook=dump or _identity) for name, dump in dumps.items()}
        return make_dict_unstructure_fn(
            self.annotation, cattrs.Converter(), _cattrs_include_init_false=True, **overrides
        )

    def _field_dump(self, index: int, mode: str) -> Callable[[Any], object] | None:
        if self._slots.slot_is_native(index):
            return None
        return functools.partial(
            self._slots.slot_dumper(index).to_python, mode="json" if self._slots.foreign else mode, by_alias=True
        )

    # trees to values

    def load(self, tree: object, *, binary: bool) -> object:
        if type(tree) is not dict:
            if not self._codecs.strict and type(tree) is self.cls:
                return tree
            raise expected(f"the fields of {self.label}")
        try:
            return self._structure(tree)
        except cattrs.BaseValidationError as group:
            raise validation_error(self.label, list(_problems(group))) from None
        except Exception as err:
            raise expected(f"what the constructor of {self.label} takes ({type(err).__name__})") from None

    @functools.cached_property
    def _structure(self) -> Callable[[Any], object]:
        hooks = {
            name: override(struct_hook=_hook(self._slots.slot_loader(i).validate_python))
            for i, name in enumerate(self._names)
        }
        converter = cattrs.Converter(detailed_validation=True)
        structure: Callable[[Any, Any], object]
        if self._typed_dict:
            structure = make_typed_dict_structure_fn(self.cls, converter, _cattrs_forbid_extra_keys=self._codecs.strict, _cattrs_detailed_validation=True, **hooks)  # type: ignore[arg-type, type-var]  # a TypedDict class  # fmt: skip
        else:
            structure = make_dict_structure_fn(
                self.annotation,
                converter,
                _cattrs_forbid_extra_keys=self._codecs.strict,
                _cattrs_detailed_validation=True,
                _cattrs_include_init_false=True,
                **hooks,
            )
        return lambda tree: structure(tree, self.cls)

    # what the class says of itself

    def _field_names(self) -> list[str]:
        if attrs.has(self.cls):
            return [field.name for field in attrs.fields(self.cls)]
        if self._typed_dict:
            return list(self.cls.__annotations__)
        return [field.name for field in dataclasses.fields(self.cls)]

    def _hints(self) -> dict[str, Any]:
        namespace = {**self._codecs.namespace, self.cls.__name__: self.cls}
        try:
            hints = typing.get_type_hints(self.cls, localns=namespace, include_extras=True)
        except NameError as err:
            raise SignatureError(
                f"{self.label}: the annotation {err.name!r} of a field is not defined; define or import it first"
            ) from err
        for name, hint in hints.items():
            if isinstance(hint, dataclasses.InitVar):
                raise SignatureError(
                    f"{self.label}: {name!r} is an InitVar, which an instance does not keep; make it a field"
                )
        self._publish(hints)
        arguments = self._type_arguments()
        return {name: _substitute(_unwrapped(hint), arguments) for name, hint in hints.items()}

    def _publish(self, hints: Mapping[str, Any]) -> None:
        """cattrs resolves text annotations with the module's names alone; give it what we could resolve with local ones."""
        fields = (
            attrs.fields(self.cls) if attrs.has(self.cls) else () if self._typed_dict else dataclasses.fields(self.cls)
        )
        for field in fields:
            if isinstance(field.type, str) and field.name in hints:
                object.__setattr__(field, "type", hints[field.name])

    def _type_arguments(self) -> dict[Any, Any]:
        """Type variables to what they stand for, here and in generic bases."""
        found: dict[Any, Any] = {}
        stack = [self.annotation]
        while stack:
            current = stack.pop()
            cls, args = get_origin(current) or current, get_args(current)
            parameters = getattr(cls, "__parameters__", ())
            found.update({p: _substitute(a, found) for p, a in zip(parameters, args, strict=False)})
            stack.extend(
                base
                for base in getattr(cls, "__orig_bases__", ())
                if get_origin(base) not in (None, typing.Generic, typing.Protocol)
            )
        return found


def _identity(value: object) -> object:
    return value


def _hook(load: Callable[[Any], object]) -> Callable[[Any, Any], object]:
    def structure(tree: Any, _: Any) -> object:
        return load(tree)

    return structure


def _unwrapped(hint: Any) -> Any:
    """A TypedDict's ``Required[T]`` or ``NotRequired[T]`` as ``T``; the class keeps the list of its required keys."""
    if get_origin(hint) in (
        typing.Required,
        typing.NotRequired,
        typing_extensions.Required,
        typing_extensions.NotRequired,
    ):
        return get_args(hint)[0]
    return hint


def _substitute(annotation: Any, arguments: Mapping[Any, Any]) -> Any:
    if isinstance(annotation, typing.TypeVar):
        return arguments.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if parameters and not isinstance(annotation, type):
        return annotation[tuple(arguments.get(p, p) for p in parameters)]
    return annotation


def _problems(group: BaseException, path: tuple[str | int, ...] = ()) -> Any:
    """cattrs' tree of errors as flat ``(location, kind, words)``."""
    if isinstance(group, ValidationError):
        for misfit in misfits_of(group):
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
    for error in group.exceptions:
        note = next((n for n in getattr(error, "__notes__", ()) if isinstance(n, cattrs.AttributeValidationNote)), None)
        yield from _problems(error, (*path, note.name) if note else path)


class CattrsConverter:
    """``@app.task(converter=CattrsConverter(mine))``: attrs classes and dataclasses by a cattrs converter of your own, hooks and all."""

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
