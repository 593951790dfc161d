"""pydantic's core schemas made ours. Comes from ``source``, goes to the transforms.

pydantic meets classes on its own way, in models' fields and recursive aliases: those that are not its business are
taken out of its hands here too. Serializers are left behind: they say how a value is presented, and it is the value
that travels. What pydantic's versions describe differently is brought to one shape, and what cannot work is refused.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, get_args, get_origin

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from typeddingo.converter import ValueConverter
from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.converters.enum_values import EnumValues
from typeddingo.converters.exact import exact
from typeddingo.converters.flags import Combinations
from typeddingo.converters.models import refuse_unfit
from typeddingo.converters.nodes import OPAQUE, Node
from typeddingo.converters.pydantic_types import is_encoded
from typeddingo.converters.steps import after, first_of, plain
from typeddingo.errors import SignatureError

__all__ = ["Adoption", "Choose", "Opaque", "carried_by_class"]

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


def carried_by_class(annotation: object) -> bool:
    """An attrs class, a dataclass, or a generic alias of one."""
    cls = get_origin(annotation) or annotation
    if (
        not isinstance(cls, type)
        or hasattr(cls, "__pydantic_core_schema__")
        or hasattr(cls, "__get_pydantic_core_schema__")
    ):
        return False
    return is_attrs(cls) or dataclasses.is_dataclass(cls)


_DATA = frozenset(
    {"metadata", "default", "expected", "members", "config", "serialization", "discriminator", "function", "cls"}
)
"""Keys of a core schema whose values hold no schemas."""

_OF_PYDANTIC = ("function-plain", "lax-or-strict", "json-or-python", "chain", "url", "multi-host-url")
"""Nodes of types that pydantic alone can validate, so that it has to serialize them as well."""


class Adoption:
    """Of one schema. ``definitions`` are those of pydantic, by their names."""

    def __init__(self, choose: Choose, definitions: Mapping[str, Node]) -> None:
        self._choose = choose
        self._definitions = definitions

    def node(self, node: Node) -> Node:
        """The node made ours. Raises ``SignatureError``."""
        return self._node(node, None, {})

    def _node(self, node: Node, written: object, hints: Mapping[str, object]) -> Node:
        """``written`` is the annotation of the field that the node belongs to, ``hints`` are those of its class."""
        if not isinstance(node.get("type"), str):  # fields or members by their names
            return {name: self._part(None, part, written, hints) for name, part in node.items()}
        if (adopted := self._taken_out(node, written)) is not None:
            return {**adopted, "ref": node["ref"]} if "ref" in node else adopted
        refuse_unfit(node)
        if node.get("type") == "call" and _is_named_tuple(node["function"]):
            node = _as_named_tuple(node)
        if node.get("type") == "json":
            node = {"schema": {"type": "any"}, **node}
        if node.get("type") in ("model", "dataclass", "typed-dict", "named-tuple"):
            hints = _hints(node.get("cls"))
            written = hints.get("root", written)
        if is_encoded(node):
            return self._node(node["schema"], written, hints)
        return {
            key: value if key in _DATA else self._part(key, value, written, hints)
            for key, value in node.items()
            if key != "serialization" or node["type"] in _OF_PYDANTIC
        }

    def _part(self, name: object, part: Any, written: object, hints: Mapping[str, object]) -> Any:
        if isinstance(part, list):
            listed = cast("list[object]", part)  # isinstance says a list, not of what
            return [self._part(None, item, written, hints) for item in listed]
        if isinstance(part, tuple):
            items = cast("tuple[object, ...]", part)
            return tuple(self._part(None, item, written, hints) for item in items)
        if not isinstance(part, dict):
            return part
        node = cast("Node", part)
        if name == "fields":
            return {field: self._part(None, inner, hints.get(field), {}) for field, inner in node.items()}
        if name == "choices":
            return {tag: self._part(None, inner, written, hints) for tag, inner in node.items()}
        return self._node(node, hints.get(node["name"], written) if "name" in node else written, hints)

    def _taken_out(self, node: Node, written: object) -> Node | None:
        kind = node.get("type")
        if kind == "enum" and issubclass(node["cls"], enum.Flag):
            return _as_flag(node["cls"])
        if kind == "function-after" and (cls := self._enum_of_values(node)) is not None:
            return _opaque(EnumValues(cls))
        if kind not in ("is-instance", "dataclass") or "generic_origin" in node or not carried_by_class(node["cls"]):
            return None
        annotation: object = node["cls"]
        if getattr(annotation, "__parameters__", ()):
            if kind == "dataclass":
                return None  # pydantic has put the types in for the variables
            annotation = _alias_in(written, node["cls"])
        converter = self._choose(annotation)
        return None if converter is None else _opaque(converter)

    def _enum_of_values(self, node: Node) -> type[enum.Enum] | None:
        """The enum of a field of a model that keeps the values of enums, not the members (``use_enum_values``)."""
        inner: Node = node["schema"]
        inner = self._definitions[inner["schema_ref"]] if inner["type"] == "definition-ref" else inner
        its_value = operator.attrgetter("value")
        if inner["type"] == "enum" and repr(node["function"]["function"]) == repr(its_value):
            cls: type[enum.Enum] = inner["cls"]
            return cls
        return None


def _opaque(converter: ValueConverter) -> Node:
    return {"type": "any", "metadata": {OPAQUE: Opaque(converter)}}


def _hints(cls: Any) -> Mapping[str, object]:
    """What is written at the fields of a class that pydantic carries."""
    fields: Mapping[str, Any] | None = getattr(cls, "__pydantic_fields__", None)
    if fields is not None:
        return {name: field.annotation for name, field in fields.items()}
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:  # pydantic has read them, in some way that we do not know
        return {}


def _alias_in(written: object, cls: type) -> object:
    """``cls[int]`` where that is written: pydantic keeps only the ``cls``."""
    found = [alias for alias in _aliases(written, cls) if not getattr(alias, "__parameters__", ())]
    if any(alias != found[0] for alias in found):
        raise SignatureError(f"has a field with {found[0]} and {found[1]}: give each a field of its own")
    return found[0] if found else cls


def _aliases(written: object, cls: type) -> Iterator[object]:
    if get_origin(written) is cls:
        yield written
    for inner in get_args(written):
        yield from _aliases(inner, cls)


def _is_named_tuple(function: object) -> bool:
    return isinstance(function, type) and issubclass(function, tuple)


def _as_flag(cls: type[enum.Flag]) -> Node:
    """pydantic would ask the class for any int, and the class keeps what it makes; ``strict=False`` takes text too."""
    words = f"a member of {cls.__name__}"
    lax: Node = {
        "type": "custom-error",
        "schema": first_of(plain(exact((cls,), words)), after(Combinations(cls).load, {"type": "int"})),
        "custom_error_type": "wrong_type",
        "custom_error_message": f"expected {words}",
    }
    return {"type": "lax-or-strict", "strict_schema": {"type": "is-instance", "cls": cls}, "lax_schema": lax}


def _as_named_tuple(node: Node) -> Node:
    """pydantic before 2.14 describes a NamedTuple as a call of its class."""
    fields = [
        {"name": argument["name"], "schema": argument["schema"]}
        for argument in node["arguments_schema"]["arguments_schema"]
    ]
    kept = {"ref": node["ref"]} if "ref" in node else {}
    return {"type": "named-tuple", "cls": node["function"], "fields": fields, **kept}
