"""What a class says of its fields: names and resolved annotations. Comes from ``cattrs``; converts nothing."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import typing_extensions

from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.errors import SignatureError

__all__ = ["class_fields", "required_keys"]

_MARKS = (typing.Required, typing.NotRequired, typing_extensions.Required, typing_extensions.NotRequired)


def class_fields(annotation: object, namespace: Mapping[str, object]) -> dict[str, Any]:
    """The fields of an attrs class, dataclass or TypedDict (or a generic alias of one) with what they hold.

    ``namespace`` resolves names local to the place of decoration. Raises ``SignatureError``.
    """
    cls: Any = get_origin(annotation) or annotation
    hints = _hints(cls, {**namespace, cls.__name__: cls})
    for name, hint in hints.items():
        if isinstance(hint, dataclasses.InitVar):
            raise SignatureError(
                f"{cls.__name__}: {name!r} is an InitVar, which an instance does not keep; make it a field"
            )
    _resolve_in_place(cls, hints)
    arguments = _type_arguments(annotation)
    return {name: _substitute(_unmarked(hints[name]), arguments) for name in _names(cls) if name in hints}


def required_keys(cls: Any, namespace: Mapping[str, object]) -> list[str]:
    """The keys a TypedDict must have. Its own list misses marks that were text when the class was made."""
    required: list[str] = []
    for name, hint in _hints(cls, {**namespace, cls.__name__: cls}).items():
        mark = get_origin(hint)
        if mark in _MARKS[::2] or (mark not in _MARKS and name in cls.__required_keys__):
            required.append(name)
    return required


def _names(cls: Any) -> list[str]:
    if typing.is_typeddict(cls):
        return list(cls.__annotations__)
    return [field.name for field in _members(cls)]


def _members(cls: Any) -> tuple[Any, ...]:
    if not is_attrs(cls):
        return dataclasses.fields(cls)
    import attrs  # not before there is such a class

    fields: tuple[Any, ...] = attrs.fields(cls)
    return fields


def _hints(cls: Any, namespace: dict[str, object]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, localns=namespace, include_extras=True)
    except NameError as err:
        raise SignatureError(
            f"{cls.__name__}: the annotation {err.name!r} of a field is not defined; define or import it first"
        ) from err


def _resolve_in_place(cls: Any, hints: Mapping[str, Any]) -> None:
    """cattrs resolves text annotations with the module's names alone; give it what local names made of them."""
    if typing.is_typeddict(cls):
        return
    for field in _members(cls):
        if isinstance(field.type, str) and field.name in hints:
            object.__setattr__(field, "type", hints[field.name])


def _unmarked(hint: Any) -> Any:
    """``Required[T]`` or ``NotRequired[T]`` as ``T``; the TypedDict keeps the list of its required keys."""
    return get_args(hint)[0] if get_origin(hint) in _MARKS else hint


def _type_arguments(annotation: object) -> dict[Any, Any]:
    """Type variables to what they stand for, here and in generic bases."""
    found: dict[Any, Any] = {}
    stack = [annotation]
    while stack:
        current = stack.pop()
        cls, args = get_origin(current) or current, get_args(current)
        parameters = getattr(cls, "__parameters__", ())
        found.update({p: _substitute(a, found) for p, a in zip(parameters, args, strict=False)})
        bases = getattr(cls, "__orig_bases__", ())
        stack.extend(base for base in bases if get_origin(base) not in (None, typing.Generic, typing.Protocol))
    return found


def _substitute(annotation: Any, arguments: Mapping[Any, Any]) -> Any:
    if isinstance(annotation, typing.TypeVar):
        return arguments.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if parameters and not isinstance(annotation, type):
        return annotation[tuple(arguments.get(p, p) for p in parameters)]
    return annotation
