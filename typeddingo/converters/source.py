"""From annotations to pydantic core schemas, before any decision about the wire.

Comes from ``row``, goes to the transforms. What pydantic must not touch (attrs classes, dataclasses, whatever the
user's own converter takes) is taken out of its hands here: such an annotation becomes an opaque node that carries its
``ValueConverter``.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, JsonValue, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from typeddingo.converters.adopt import Adoption, Choose, Opaque
from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.converters.nodes import Definitions, Node
from typeddingo.converters.untyped import is_list
from typeddingo.errors import SignatureError

__all__ = ["is_old_typed_dict", "row_source"]

_ALIASES = (typing_extensions.TypeAliasType, getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType))

_CONFIG = ConfigDict(arbitrary_types_allowed=True, defer_build=False)


class _Recursive(Exception):
    """A type alias that contains itself: pydantic resolves it better than we do."""


def is_old_typed_dict(annotation: object) -> bool:
    """``typing.TypedDict`` before Python 3.12 does not tell what pydantic needs to know."""
    cls = get_origin(annotation) or annotation
    return sys.version_info < (3, 12) and typing.is_typeddict(cls) and type(cls).__module__ == "typing"


def _is_alias(annotation: object) -> TypeGuard[typing_extensions.TypeAliasType]:
    return isinstance(annotation, _ALIASES)


def prepare(annotation: object, choose: Choose, aliases: tuple[object, ...] = ()) -> Any:
    """The annotation with every part that is not pydantic's made opaque."""
    if (converter := choose(annotation)) is not None:
        return Annotated[object, Opaque(converter)]
    if isinstance(annotation, type) and typing_extensions.is_protocol(annotation):
        raise SignatureError(
            f"is the protocol {annotation.__name__}, which says what a value can do, not what it is: name its class"
        )
    if annotation is typing.LiteralString:
        return str
    if isinstance(annotation, typing.NewType):
        return prepare(annotation.__supertype__, choose, aliases)
    if annotation is JsonValue:
        return annotation
    if _is_alias(annotation):
        if annotation in aliases:
            raise _Recursive
        try:
            return prepare(annotation.__value__, choose, (*aliases, annotation))
        except _Recursive:
            if aliases:
                raise
            return annotation
    if aliases and isinstance(annotation, (str, typing.ForwardRef)):
        raise _Recursive
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None or not args or origin is typing.Literal or _is_alias(origin):
        return annotation
    if origin is Annotated:
        if any(getattr(item, "discriminator", None) is not None for item in args[1:]):
            _refuse_attrs(args[0])
            return annotation  # pydantic wants to see the fields of the members; they are taken out afterwards
        return _reannotated(prepare(args[0], choose, aliases), args[1:])
    prepared = tuple(arg if arg is Ellipsis or is_list(arg) else prepare(arg, choose, aliases) for arg in args)
    if all(new is old for new, old in zip(prepared, args, strict=True)):
        return annotation
    if origin is Union or origin is types.UnionType:
        return Union[prepared]
    if isinstance(annotation, types.GenericAlias):
        return types.GenericAlias(origin, prepared)
    copy_with = getattr(annotation, "copy_with", None)
    return copy_with(prepared) if copy_with is not None else origin[prepared]


def _refuse_attrs(union: object) -> None:
    for member in get_args(union):
        cls = get_origin(member) or member
        if is_attrs(cls):
            raise SignatureError(
                f"has a discriminator, which pydantic looks for in models and dataclasses, and {cls.__name__} is an "
                "attrs class: leave the discriminator out, the members of a union are told apart anyway"
            )


def _reannotated(inner: Any, metadata: tuple[object, ...]) -> Any:
    return Annotated[(inner, *metadata)]


def row_source(annotations: Sequence[object], choose: Choose) -> tuple[list[Node], Definitions]:
    """One core schema for all slots of a row.

    Raises ``SignatureError``, without the slot's name: the caller knows it.
    """
    if not annotations:
        return [], {}
    for annotation in annotations:
        _refuse_type_variables(annotation)
    try:
        prepared = tuple(prepare(annotation, choose) for annotation in annotations)
        schema: Node = dict(TypeAdapter(_tuple_of(prepared), config=_CONFIG).core_schema)
    except SignatureError:
        raise
    except PydanticUserError as err:
        raise SignatureError(f"cannot be carried: {err.message.splitlines()[0]}") from err
    except SchemaError as err:
        raise SignatureError(f"cannot be read as an annotation ({_reason(err)}): mend what it demands") from err
    except Exception as err:  # annotations run code of their own
        raise SignatureError(
            f"cannot be read as an annotation ({type(err).__name__}: {err}): write a type whose values can travel"
        ) from err
    raw: dict[str, Node] = {}
    if schema["type"] == "definitions":
        raw = {node["ref"]: node for node in schema["definitions"]}
        schema = schema["schema"]
    adoption = Adoption(choose, raw)
    definitions = {ref: adoption.node(node) for ref, node in raw.items()}
    return [adoption.node(node) for node in schema["items_schema"]], definitions


def _reason(error: SchemaError) -> str:
    """What pydantic says in many lines, without the way to it."""
    lines = [line.strip().removeprefix("SchemaError: ") for line in str(error).splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith("Error building "))
    return said.replace("error extracting str", "text that is not Unicode:")


def _tuple_of(items: tuple[Any, ...]) -> Any:
    return types.GenericAlias(tuple, items)


def _refuse_type_variables(annotation: object) -> None:
    if isinstance(annotation, (typing.TypeVar, typing.ParamSpec)):
        raise SignatureError(
            f"is the unresolved type variable {annotation}: write the type that travels, e.g. 'int | str'"
        )
    for arg in get_args(annotation):
        _refuse_type_variables(arg)
