"""Reading pydantic's core schemas: what a node is, which Python types its values have, what they look like on the wire.

Comes from ``source`` (annotation -> core schema), used by the three transforms ``check``, ``dump`` and ``load``.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import re
import uuid
import zoneinfo
from collections.abc import Mapping
from typing import Any, TypeAlias

from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.converters.leaves import Leaf, leaf_of_class
from typeddingo.converters.pydantic_types import byte_size_leaf, secret_leaf, url_leaf
from typeddingo.errors import SignatureError

__all__ = [
    "ANYTHING",
    "Definitions",
    "Node",
    "constraints_of",
    "is_of_class",
    "kinds_of",
    "label_of",
    "leaf_of",
    "opaque_of",
    "resolve",
    "types_of",
    "unwrapped",
]

Node: TypeAlias = "dict[str, Any]"
Definitions: TypeAlias = "Mapping[str, Node]"

ANYTHING = frozenset({"null", "bool", "int", "float", "str", "bytes", "array", "object"})
"""Every wire kind: what a value may look like when nothing is known of it."""

OPAQUE = "typeddingo_opaque"
"""The metadata key under which ``source`` leaves a ``ValueConverter`` for a node that is not pydantic's business."""

_SIMPLE: Mapping[str, tuple[type, frozenset[str]]] = {
    "int": (int, frozenset({"int"})),
    "bool": (bool, frozenset({"bool"})),
    "str": (str, frozenset({"str"})),
    "none": (type(None), frozenset({"null"})),
    "float": (float, frozenset({"float", "str"})),  # nan and the infinities are text
    "list": (list, frozenset({"array"})),
    "tuple": (tuple, frozenset({"array"})),
    "set": (set, frozenset({"array"})),
    "frozenset": (frozenset, frozenset({"array"})),
    "deque": (collections.deque, frozenset({"array"})),
    "dict": (dict, frozenset({"object", "array"})),  # an array of pairs when the keys are not text
    "typed-dict": (dict, frozenset({"object"})),
}

_LEAF_NODES: Mapping[str, type] = {
    "decimal": decimal.Decimal,
    "datetime": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "timedelta": dt.timedelta,
    "uuid": uuid.UUID,
    "complex": complex,
    "fraction": fractions.Fraction,
    "bytes": bytes,
}

_CLASSES_OF_FUNCTIONS: Mapping[str, type] = {
    "validate_str_is_valid_iana_tz": zoneinfo.ZoneInfo,
    "pattern_either_validator": re.Pattern,
    "pattern_str_validator": re.Pattern,
}
"""Types for which pydantic has no node but a function of its own."""

_CONSTRAINTS = frozenset(
    [
        "gt",
        "ge",
        "lt",
        "le",
        "multiple_of",
        "max_digits",
        "decimal_places",
        "min_length",
        "max_length",
        "pattern",
        "allow_inf_nan",
        "tz_constraint",
        "now_op",
        "version",
        "strip_whitespace",
        "to_lower",
        "to_upper",
        "coerce_numbers_to_str",
        "max_size",
        "ascii_only",
    ]
)


_CLASSES = ("model", "dataclass")

_TRANSPARENT = ("default", "function-before", "function-after", "function-wrap", "custom-error", "json")


def resolve(node: Node, definitions: Definitions) -> Node:
    """The node behind references and wrappers that do not change its values' types."""
    while (inner := unwrapped(node, definitions)) is not None:
        node = inner
    return node


def unwrapped(node: Node, definitions: Definitions) -> Node | None:
    """One step towards what ``resolve`` finds, None when there is none."""
    kind = node["type"]
    if kind == "definition-ref":
        return definitions[node["schema_ref"]]
    if kind in _TRANSPARENT and "schema" in node:
        inner: Node = node["schema"]
        return inner if leaf_of(node) is None and opaque_of(node) is None else None
    if kind == "json-or-python" and travels_as_json_side(node):
        json_side: Node = node["json_schema"]
        return json_side
    return None


def is_instance_of(node: Node) -> bool:
    """``pydantic.InstanceOf[C]``, where C is a class that is carried."""
    if node["type"] != "json-or-python" or node["python_schema"]["type"] != "is-instance":
        return False
    json_side: Node = node["json_schema"]
    return json_side["type"] in ("model", "dataclass", "definition-ref") or opaque_of(json_side) is not None


def travels_as_json_side(node: Node) -> bool:
    """``Sequence[T]`` and its kin, carried as the list (set, dict) they travel as; ``InstanceOf[C]``, carried as C."""
    if is_instance_of(node):
        return True
    return (
        node["type"] == "json-or-python"
        and node["json_schema"]["type"] in ("list", "set", "frozenset", "dict")
        and instance_class(node) is None
    )


def is_of_class(node: Node, definitions: Definitions) -> bool:
    """A validator of a model's own, and none in an annotation around it: the class's name is on the outermost."""
    if resolve(node, definitions)["type"] not in _CLASSES:
        return False
    if "ref" in node:
        return True
    while "ref" not in node and node["type"] not in ("definition-ref", *_CLASSES):
        node = unwrapped(node, definitions) or node
    return "ref" not in node and node["type"] in _CLASSES


def is_json_value(node: Node) -> bool:
    """``pydantic.JsonValue``: plain JSON data, the one way to say "anything JSON can hold"."""
    return str(node.get("ref", "")).startswith("pydantic.types.JsonValue:")


def instance_class(node: Node) -> type | None:
    """The class a node demands of live values, dug out of pydantic's lax/strict and json/python forks."""
    kind = node["type"]
    if kind == "is-instance":
        cls = node["cls"]
        return cls if isinstance(cls, type) else None
    if kind == "lax-or-strict":
        return instance_class(node["strict_schema"])
    if kind == "json-or-python":
        return instance_class(node["python_schema"])
    if kind == "union" and node["choices"]:
        first: Node | tuple[Node, str] = node["choices"][0]
        return instance_class(first[0] if isinstance(first, tuple) else first)
    if kind == "enum":
        cls = node["cls"]
        return cls if isinstance(cls, type) else None
    return None


def leaf_of(node: Node) -> Leaf | None:
    """The scalar a node stands for, None when it is a container or anything else."""
    kind = node["type"]
    if (cls := _LEAF_NODES.get(kind)) is not None:
        return leaf_of_class(cls)
    if kind == "literal":
        return _literal_leaf(node)
    if kind in ("is-instance", "lax-or-strict", "json-or-python", "enum"):
        cls = instance_class(node)
        if cls is not None:
            return secret_leaf(cls) or leaf_of_class(cls)
    if kind == "function-plain":
        cls = _CLASSES_OF_FUNCTIONS.get(getattr(node["function"]["function"], "__name__", ""))
        return None if cls is None else leaf_of_class(cls)
    return url_leaf(node) or byte_size_leaf(node)


def _literal_leaf(node: Node) -> Leaf | None:
    """A literal with members JSON has no word for (enum members, bytes); None for plain text, ints, bools and None."""
    expected: list[object] = node["expected"]
    if all(type(value) in (str, int, bool, type(None)) for value in expected):
        return None
    forms: dict[tuple[type, object], object] = {}
    for value in expected:
        form = value
        if isinstance(value, enum.Enum):
            leaf = leaf_of_class(type(value))
            assert leaf is not None
            form = leaf.dump(value)
        elif isinstance(value, bytes):
            form = f"bytes:{value.hex()}"
        if (type(form), form) in forms:
            raise SignatureError(
                f"Literal{expected!r}: two members look alike on the wire; use the enum itself, or other words"
            )
        forms[type(form), form] = value
    by_value = {(type(value), value): form for (_, form), value in forms.items()}

    def load(tree: object) -> object:
        try:
            return forms[type(tree), tree]
        except (KeyError, TypeError):
            raise ValueError from None

    kinds = {type(form) for _, form in forms}
    kind = "str" if kinds == {str} else "int" if kinds == {int} else "str|int|bool|null"
    types = tuple({type(value) for value in expected})
    return Leaf(f"one of {list(expected)!r}", types, kind, lambda v: by_value[type(v), v], load)


def literal_types(node: Node) -> frozenset[type]:
    """The Python types of a literal's members."""
    members: list[object] = node["expected"]
    return frozenset(type(value) for value in members)


def opaque_of(node: Node) -> Any:
    """The ``ValueConverter`` of a node that ``source`` took out of pydantic's hands, else None."""
    metadata = node.get("metadata")
    held = metadata.get(OPAQUE) if metadata else None
    return None if held is None else held.converter


def constraints_of(node: Node) -> Node:
    """The constraints a scalar node carries beyond its type."""
    return {key: value for key, value in node.items() if key in _CONSTRAINTS}


def types_of(node: Node, definitions: Definitions) -> frozenset[type] | None:
    """The exact Python types a node's values can have; None when that cannot be told."""
    node = resolve(node, definitions)
    if is_json_value(node):
        return None
    if (opaque := opaque_of(node)) is not None:
        return frozenset(opaque.types) if hasattr(opaque, "types") else None
    if (leaf := leaf_of(node)) is not None:
        return frozenset(leaf.types)
    kind = node["type"]
    if kind in _SIMPLE:
        return frozenset({_SIMPLE[kind][0]})
    if kind == "literal":
        return literal_types(node)
    if kind == "nullable":
        inner = types_of(node["schema"], definitions)
        return None if inner is None else inner | {type(None)}
    if kind in ("model", "dataclass", "named-tuple"):
        return frozenset({node["cls"]})
    if kind == "is-instance" and is_attrs(node["cls"]):
        return frozenset({node["cls"]})
    if kind in ("union", "tagged-union"):
        found: frozenset[type] = frozenset()
        for choice in choices_of(node):
            inner = types_of(choice, definitions)
            if inner is None:
                return None
            found |= inner
        return found
    return None


def kinds_of(node: Node, definitions: Definitions, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """What a node's values can look like on the wire, as JSON types."""
    if node["type"] == "definition-ref":
        if node["schema_ref"] in seen:
            return ANYTHING
        seen |= {node["schema_ref"]}
    node = resolve(node, definitions)
    if is_json_value(node):
        return ANYTHING
    if (opaque := opaque_of(node)) is not None:
        return frozenset(getattr(opaque, "kinds", ANYTHING))
    if (leaf := leaf_of(node)) is not None:
        kinds = frozenset(leaf.kind.split("|"))
        return kinds | {"str"} if "bytes" in kinds else kinds  # bytes are base64 text in JSON
    kind = node["type"]
    if kind == "dict":
        return frozenset({"object" if text_keys(node["keys_schema"], definitions) else "array"})
    if kind in _SIMPLE:
        return _SIMPLE[kind][1]
    if kind == "literal":
        names = {str: "str", int: "int", bool: "bool", type(None): "null"}
        return frozenset(names[t] for t in literal_types(node))
    if kind == "nullable":
        return kinds_of(node["schema"], definitions, seen) | {"null"}
    if kind == "model":
        return kinds_of(node["schema"], definitions, seen) if node.get("root_model") else frozenset({"object"})
    if kind in ("dataclass", "model-fields", "is-instance"):
        return frozenset({"object"})
    if kind == "named-tuple":
        return frozenset({"array"})
    return ANYTHING


def text_keys(keys: Node, definitions: Definitions) -> bool:
    """Whether a dict with these keys travels as a JSON object: they are text on the wire, or ints (as Go's maps)."""
    return (
        kinds_of(keys, definitions) in (frozenset({"str"}), frozenset({"int"}))
        and resolve(keys, definitions)["type"] != "float"
    )


def int_keys(keys: Node, definitions: Definitions) -> bool:
    """Keys that are ints and become decimal text."""
    return kinds_of(keys, definitions) == frozenset({"int"})


def choices_of(node: Node) -> list[Node]:
    """The members of a union node of either sort."""
    choices: dict[str, Node] | list[Node | tuple[Node, str]] = node["choices"]
    if isinstance(choices, dict):
        return list(choices.values())
    return [choice[0] if isinstance(choice, tuple) else choice for choice in choices]


def label_of(node: Node, definitions: Definitions) -> str:
    """A short name for a node, as a user would say it."""
    node = resolve(node, definitions)
    if (opaque := opaque_of(node)) is not None:
        return str(getattr(opaque, "label", type(opaque).__name__))
    if (leaf := leaf_of(node)) is not None:
        return leaf.types[0].__name__
    if "cls" in node:
        return str(getattr(node["cls"], "__name__", node["cls"]))
    if is_json_value(node):
        return "JsonValue"
    return {"none": "None", "nullable": "Optional"}.get(node["type"], str(node["type"]))
