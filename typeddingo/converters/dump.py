"""The transform that makes a serializer: checked values to wire forms. Every scalar becomes what any format can hold.

The mode is ``json`` for JSON text and ``binary`` for formats that have bytes and their own nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic_core import SchemaSerializer, core_schema

from typeddingo.converters.check import Check, member_checks
from typeddingo.converters.leaves import Leaf, dump_bytes
from typeddingo.converters.nodes import Definitions, Node, int_keys, resolve, text_keys
from typeddingo.converters.transform import Transform, WalkError
from typeddingo.converters.unions import is_discriminated, picker, plan_union

__all__ = ["BINARY", "Dump", "build_serializer", "wire_name"]

BINARY = "binary"
"""The serialization mode of formats that carry bytes as bytes."""

_FLOAT: Node = {"type": "float"}

_CONFIG = core_schema.CoreConfig(ser_json_inf_nan="strings", serialize_by_alias=True)


def build_serializer(node: Node, definitions: Sequence[Node] = ()) -> SchemaSerializer:
    """A serializer of a rewritten node, without models' prebuilt ones."""
    schema: Any = {"type": "definitions", "schema": node, "definitions": list(definitions)} if definitions else node
    return SchemaSerializer(schema, _CONFIG, _use_prebuilt=False)


class Dump(Transform):
    """``foreign`` is set when a part is serialized by pydantic or a function of the user's: it may only speak JSON.

    Definitions are walked where they are first referred to, so that what is wrong in them is found with the way to it.
    """

    foreign: bool = False

    same: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("bool", "str", "none"), "int"),
        **dict.fromkeys(("frozenset", "deque"), "set"),
        "tagged-union": "union",
        **dict.fromkeys(
            ("function-before", "function-after", "function-wrap", "default", "json", "custom-error"), "inner"
        ),
        **dict.fromkeys(
            ("function-plain", "lax-or-strict", "json-or-python", "chain", "url", "multi-host-url"), "pydantic"
        ),
    }

    def __init__(self, definitions: Definitions) -> None:
        super().__init__(definitions)
        self._rewritten: dict[str, Node] = {}
        self._in_union = False

    def all_definitions(self) -> list[Node]:
        for ref in self.definitions:
            self._walk_definition(ref)
        return list(self._rewritten.values())

    def on_definition_ref(self, node: Node) -> Node:
        self._walk_definition(node["schema_ref"])
        return dict(node)

    def _walk_definition(self, ref: str) -> None:
        if ref not in self._rewritten:
            self._rewritten[ref] = {}  # it may refer to itself
            self._rewritten[ref] = {**self._as_member(self.definitions[ref]), "ref": ref}

    def _as_member(self, node: Node) -> Node:
        """The rewritten node of what is, or may be, part of a union."""
        before, self._in_union = self._in_union, True
        rewritten = self.node(node)
        self._in_union = before
        return rewritten

    def leaf(self, node: Node, leaf: Leaf) -> Node:
        if "bytes" in leaf.kind:
            return _by_mode(lambda value, binary: dump_bytes(leaf.dump(value), binary))  # type: ignore[arg-type]  # a bytes leaf dumps bytes
        return _plain(leaf.dump, {"type": leaf.kind} if leaf.kind in ("str", "int") else None)

    def opaque(self, converter: Any) -> Node:
        return _by_mode(lambda value, binary: converter.dump(value, binary=binary))

    def json_value(self) -> Node:
        return {"type": "any"}

    def on_int(self, node: Node) -> Node:
        return {"type": node["type"]}

    def on_float(self, node: Node) -> Node:
        """A float serializer takes an int as well, but not inside a union."""
        return {"type": "union", "choices": [_FLOAT, {"type": "int"}]} if self._in_union else _FLOAT.copy()

    def on_literal(self, node: Node) -> Node:
        return {"type": "any"}

    def on_list(self, node: Node) -> Node:
        return {"type": "list", "items_schema": self.items(node)}

    def on_set(self, node: Node) -> Node:
        return _plain(list, {"type": "list", "items_schema": self.items(node)})

    def on_tuple(self, node: Node) -> Node:
        rewritten: Node = {"type": "tuple", "items_schema": super().on_tuple(node)["items_schema"]}
        if "variadic_item_index" in node:
            rewritten["variadic_item_index"] = node["variadic_item_index"]
        return rewritten

    def on_named_tuple(self, node: Node) -> Node:
        items = [self.inside(f".{field['name']}", field["schema"]) for field in node["fields"]]
        return _plain(tuple, {"type": "tuple", "items_schema": items})

    def on_dict(self, node: Node) -> Node:
        keys = node.get("keys_schema", {"type": "any"})
        new_keys, new_values = (
            self.inside("[key]", keys),
            self.inside("[value]", node.get("values_schema", {"type": "any"})),
        )
        if text_keys(keys, self.definitions):
            if int_keys(keys, self.definitions):
                new_keys = _after(new_keys, str)
            return {"type": "dict", "keys_schema": new_keys, "values_schema": new_values}
        pairs = {"type": "list", "items_schema": {"type": "tuple", "items_schema": [new_keys, new_values]}}
        return _plain(_pairs, pairs)

    def on_typed_dict(self, node: Node) -> Node:
        rewritten: Node = {**node, "fields": self.field_map(node["fields"]), "computed_fields": []}
        if node.get("extras_schema"):
            rewritten["extras_schema"] = self.node(node["extras_schema"])
        return rewritten

    def on_model(self, node: Node) -> Node:
        inner = self.inside(".root", node["schema"]) if node.get("root_model") else self.node(node["schema"])
        return {**node, "schema": inner, "config": {**node.get("config", {}), **_CONFIG}}

    def on_model_fields(self, node: Node) -> Node:
        fields = {
            name: {
                "type": "model-field",
                "schema": self.inside(f".{name}", field["schema"]),
                "serialization_alias": wire_name(name, field),
            }
            for name, field in node["fields"].items()
        }
        rewritten: Node = {**node, "fields": fields, "computed_fields": []}
        if node.get("extras_schema"):
            rewritten["extras_schema"] = self.node(node["extras_schema"])
        return rewritten

    def on_dataclass(self, node: Node) -> Node:
        config = {**node.get("config", {}), **_CONFIG}
        return {**node, "schema": self.node(node["schema"]), "config": config}

    def on_dataclass_args(self, node: Node) -> Node:
        fields = [
            {
                "type": "dataclass-field",
                "name": field["name"],
                "schema": self.inside(f".{field['name']}", field["schema"]),
                "serialization_alias": wire_name(field["name"], field),
                **({"init_only": True} if field.get("init_only") else {}),
            }
            for field in node["fields"]
        ]
        return {**node, "fields": fields, "computed_fields": []}

    def on_union(self, node: Node) -> Node:
        union = plan_union(node, self.definitions)
        labelled = union.bare is None and not is_discriminated(node)
        choices: dict[str, Node] = {}
        for tag, label, member in zip(union.tags, union.labels, union.members, strict=True):
            rewritten = self._as_member(member)
            if resolve(member, self.definitions)["type"] == "float":
                rewritten = _plain(float, _FLOAT)  # an int given for a float must look like one
            choices[tag] = _labelled(label, rewritten) if labelled else rewritten
        pick = picker(union, member_checks(union.members, Check(self.definitions)))
        return {"type": "tagged-union", "choices": choices, "discriminator": pick}

    def on_inner(self, node: Node) -> Node:
        return self.node(node.get("schema", {"type": "any"}))

    def on_nullable(self, node: Node) -> Node:
        return {"type": "nullable", "schema": self.node(node["schema"])}

    def on_pydantic(self, node: Node) -> Node:
        """A type only pydantic knows: its own JSON form."""
        if getattr(node.get("serialization", {}).get("function"), "__name__", "") == "_serialize_secret":
            raise WalkError("Secret[…] would be written as ****: use SecretStr or SecretBytes, which keep their value")
        if getattr(node.get("function", {}).get("function"), "__name__", "") == "pattern_bytes_validator":
            raise WalkError("a regular expression for bytes cannot travel: send one for text, re.Pattern[str]")
        self.foreign = True
        return dict(node)


def wire_name(name: str, field: Node) -> str:
    """The one name a field has on the wire, both ways: its validation alias where that is a plain name."""
    alias: str | list[str | int | list[str | int]] | None = field.get("validation_alias")
    if isinstance(alias, str):
        return alias
    if isinstance(alias, list):
        plain = [path[0] for path in alias if isinstance(path, list) and len(path) == 1 and isinstance(path[0], str)]
        return plain[0] if plain else name
    return name


def _pairs(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return list(value.items())


def _plain(function: Callable[[Any], object], returns: Node | None = None) -> Node:
    serialization: Node = {"type": "function-plain", "function": function, "return_schema": returns or {"type": "any"}}
    return {"type": "any", "serialization": serialization}


def _by_mode(function: Callable[[Any, bool], object]) -> Node:
    def serialize(value: Any, info: Any) -> object:
        return function(value, info.mode == BINARY)

    serialization: Node = {
        "type": "function-plain",
        "function": serialize,
        "info_arg": True,
        "return_schema": {"type": "any"},
    }
    return {"type": "any", "serialization": serialization}


def _after(node: Node, function: Callable[[Any], object]) -> Node:
    serialization = node.get("serialization")
    if serialization is None:
        return _plain(function)
    inner = serialization["function"]
    return _plain(lambda value: function(inner(value)))


def _labelled(label: str, node: Node) -> Node:
    def serialize(value: Any, handler: Callable[[Any], object]) -> list[object]:
        return [label, handler(value)]

    serialization: Node = {
        "type": "function-wrap",
        "function": serialize,
        "schema": node,
        "return_schema": {"type": "any"},
    }
    return {"type": "any", "serialization": serialization}
