"""What a class says of its fields: names and resolved annotations. Comes from ``cattrs``; converts nothing."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import typing_extensions

from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.converters.hints import resolved_hints
from typeddingo.errors import SignatureError
from typeddingo.signature import takes_by_name

__all__ = ["Member", "class_fields", "members", "refuse_other_constructor", "required_keys"]

_REQUIRED = {typing.Required, typing_extensions.Required}
_MARKS = {*_REQUIRED, typing.NotRequired, typing_extensions.NotRequired}


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
    arguments = _type_arguments(annotation)
    return {name: _substitute(_unmarked(hints[name]), arguments) for name in _names(cls) if name in hints}


def refuse_other_constructor(cls: Any) -> None:
    """Raises ``SignatureError`` when the constructor of an attrs class or dataclass does not take its fields."""
    names = [member.alias for member in members(cls) if not member.late]
    if not takes_by_name(cls.__init__, names):
        raise SignatureError(
            f"{cls.__name__}: its __init__ does not take its fields by name ({', '.join(names)}), so that none could "
            "be made on arrival: let it be generated, or pass a converter= that handles the class"
        )


def required_keys(cls: Any, namespace: Mapping[str, object]) -> list[str]:
    """The keys a TypedDict must have. Its own list misses marks that were text when the class was made."""
    required: list[str] = []
    for name, hint in _hints(cls, {**namespace, cls.__name__: cls}).items():
        marks = _marks(hint)
        if marks & _REQUIRED or (not marks and name in cls.__required_keys__):
            required.append(name)
    return required


@dataclass(frozen=True, slots=True)
class Member:
    """One field of an attrs class or dataclass, as its constructor sees it."""

    name: str
    alias: str
    """What the constructor calls it."""
    required: bool
    """The constructor cannot do without it."""
    late: bool
    """The constructor does not take it."""


def members(cls: Any) -> list[Member]:
    """The fields of an attrs class or dataclass."""
    return _attrs_members(cls) if is_attrs(cls) else [_of_dataclass(field) for field in dataclasses.fields(cls)]


def _attrs_members(cls: Any) -> list[Member]:
    import attrs  # not before there is such a class

    return [
        Member(field.name, field.alias or field.name, field.init and field.default is attrs.NOTHING, not field.init)
        for field in attrs.fields(cls)
    ]


def _of_dataclass(field: dataclasses.Field[Any]) -> Member:
    optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return Member(field.name, field.name, field.init and not optional, not field.init)


def _names(cls: Any) -> list[str]:
    return list(cls.__annotations__) if typing.is_typeddict(cls) else [member.name for member in members(cls)]


def _hints(cls: Any, namespace: dict[str, object]) -> dict[str, Any]:
    try:
        return resolved_hints(cls, namespace)
    except SignatureError as err:
        raise SignatureError(f"{cls.__name__}: field {err}") from err.__cause__


def _unmarked(hint: Any) -> Any:
    """``Required[T]`` or ``NotRequired[T]`` as ``T``; the TypedDict keeps the list of its required keys."""
    if get_origin(hint) in _MARKS:
        return _unmarked(get_args(hint)[0])
    if get_origin(hint) is Annotated:
        inner, *metadata = get_args(hint)
        return Annotated[(_unmarked(inner), *metadata)]
    return hint


def _marks(hint: Any) -> set[Any]:
    """Those of ``Required[T]`` and ``NotRequired[T]``, which may stand inside ``Annotated`` too."""
    if get_origin(hint) in _MARKS:
        return {get_origin(hint)}
    return _marks(get_args(hint)[0]) if get_origin(hint) is Annotated else set()


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
