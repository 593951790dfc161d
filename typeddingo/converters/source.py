"""From annotations to pydantic core schemas, before any decision about the wire.

Comes from ``row``, goes to the transforms. What pydantic must not touch (attrs classes, dataclasses, whatever the
user's own converter takes) is taken out of its hands here: such an annotation becomes an opaque node that carries its
``ValueConverter``.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeGuard, Union, cast, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, GetCoreSchemaHandler, JsonValue, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import CoreSchema, SchemaError

from typeddingo.converter import ValueConverter
from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.converters.nodes import OPAQUE, Definitions, Node
from typeddingo.converters.pydantic_types import is_encoded
from typeddingo.converters.untyped import is_list
from typeddingo.errors import SignatureError

__all__ = ["Opaque", "carried_by_class", "row_source"]

_ALIASES = (typing_extensions.TypeAliasType, getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType))

_CONFIG = ConfigDict(arbitrary_types_allowed=True, defer_build=False)

Choose = Callable[[object], ValueConverter | None]
"""Asks who takes an annotation: a value converter, or None for pydantic."""


class Opaque:
    """Annotated metadata: pydantic builds nothing for the annotated type and asks this instead."""

    def __init__(self, converter: ValueConverter) -> None:
        self.converter = converter

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return {"type": "any", "metadata": {OPAQUE: self}}

    def __deepcopy__(self, memo: object) -> Opaque:
        return self  # pydantic copies schemas; a copied converter would miss what is compiled later


class _Recursive(Exception):
    """A type alias that contains itself: pydantic resolves it better than we do."""


def carried_by_class(annotation: object) -> bool:
    """An attrs class, a dataclass, a ``TypedDict`` this Python's pydantic cannot read, or a generic alias of one."""
    cls = get_origin(annotation) or annotation
    if (
        not isinstance(cls, type)
        or hasattr(cls, "__pydantic_core_schema__")
        or hasattr(cls, "__get_pydantic_core_schema__")
    ):
        return False
    return is_attrs(cls) or dataclasses.is_dataclass(cls)


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
        if any(getattr(item, "discriminator", None) is not None for item in args[1:]) and not _has_attrs(args[0]):
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


def _has_attrs(union: object) -> bool:
    return any(is_attrs(get_origin(member) or member) for member in get_args(union))


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
    except (TypeError, NameError, AttributeError, RecursionError) as err:
        raise SignatureError(f"cannot be read as an annotation ({type(err).__name__}: {err})") from err
    except SchemaError as err:
        raise SignatureError(f"cannot be read as an annotation ({str(err).splitlines()[-1].strip()})") from err
    definitions: dict[str, Node] = {}
    if schema["type"] == "definitions":
        definitions = {node["ref"]: _adopted(node, choose) for node in schema["definitions"]}
        schema = schema["schema"]
    return [_adopted(node, choose) for node in schema["items_schema"]], definitions


_DATA = frozenset(
    {"metadata", "default", "expected", "members", "config", "serialization", "discriminator", "function", "cls"}
)
"""Keys of a core schema whose values hold no schemas."""

_OF_PYDANTIC = ("function-plain", "lax-or-strict", "json-or-python", "chain", "url", "multi-host-url")
"""Nodes of types that pydantic alone can validate, so that it has to serialize them as well."""


def _adopted(part: Any, choose: Choose) -> Any:
    """A part of a schema with the classes that pydantic met on its own way (in models' fields, in recursive aliases)
    taken out too, and brought to one shape where pydantic's versions differ.

    Serializers are left behind: they say how a value is presented, and it is the value that travels.
    """
    if isinstance(part, list):
        return [_adopted(item, choose) for item in cast("list[object]", part)]  # isinstance says a list, not of what
    if isinstance(part, tuple):
        return tuple(_adopted(item, choose) for item in cast("tuple[object, ...]", part))
    if not isinstance(part, dict):
        return part
    node = cast("Node", part)  # isinstance says a dict, not of what
    if isinstance(node.get("type"), str):
        return _adopted_node(node, choose)
    return {name: _adopted(value, choose) for name, value in node.items()}  # fields or members by their names


def _adopted_node(node: Node, choose: Choose) -> Node:
    if (
        node["type"] in ("is-instance", "dataclass")
        and "generic_origin" not in node
        and not getattr(node["cls"], "__parameters__", ())
        and carried_by_class(node["cls"])
        and (converter := choose(node["cls"])) is not None
    ):
        kept = {"ref": node["ref"]} if "ref" in node else {}
        return {"type": "any", "metadata": {OPAQUE: Opaque(converter)}, **kept}
    if node["type"] == "call" and issubclass(node["function"], tuple):
        return _adopted_node(_as_named_tuple(node), choose)
    if is_encoded(node):
        return _adopted_node(node["schema"], choose)
    return {
        key: value if key in _DATA else _adopted(value, choose)
        for key, value in node.items()
        if key != "serialization" or node["type"] in _OF_PYDANTIC
    }


def _as_named_tuple(node: Node) -> Node:
    """pydantic before 2.14 describes a NamedTuple as a call of its class."""
    fields = [
        {"name": argument["name"], "schema": argument["schema"]}
        for argument in node["arguments_schema"]["arguments_schema"]
    ]
    kept = {"ref": node["ref"]} if "ref" in node else {}
    return {"type": "named-tuple", "cls": node["function"], "fields": fields, **kept}


def _tuple_of(items: tuple[Any, ...]) -> Any:
    return types.GenericAlias(tuple, items)


def _refuse_type_variables(annotation: object) -> None:
    if isinstance(annotation, (typing.TypeVar, typing.ParamSpec)):
        raise SignatureError(
            f"is the unresolved type variable {annotation}: write the type that travels, e.g. 'int | str'"
        )
    for arg in get_args(annotation):
        _refuse_type_variables(arg)
