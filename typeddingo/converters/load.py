"""The transform that makes a validator of wire data: from JSON text or a tree of unknown origin to values, strictly.

Works on JSON bytes and on Python trees alike, so that every format and every nested converter shares it. Where
``strict`` is off, what pydantic's lax mode accepts is corrected on the way (``"5"`` for an int), live values included.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from typeddingo.converters.check import Check, dataclass_args, exactly, one_of
from typeddingo.converters.dump import wire_name
from typeddingo.converters.exact import check_json_value
from typeddingo.converters.late import LateField, with_late_fields
from typeddingo.converters.leaves import DIGITS, FLOAT_WORDS, Leaf
from typeddingo.converters.misfits import expected
from typeddingo.converters.nodes import Definitions, Node, constraints_of, int_keys, is_of_class, text_keys
from typeddingo.converters.steps import after, chain, first_of, keeping, plain, wrapped
from typeddingo.converters.transform import Transform
from typeddingo.converters.unions import WIRE_KINDS, Union, is_discriminated, plan_union

__all__ = ["Load"]


_TEXTS = {
    "decimal": r"^-?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Infinity|s?NaN[0-9]*)$",
    "uuid": r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
_DIGITS = frozenset({"max_digits", "decimal_places"})
"""Constraints that only a finite number can satisfy."""
_NAMES = {"decimal": "a decimal number", "uuid": "a UUID"}


class Load(Transform):
    """Wire forms, as ``Dump`` makes them."""

    same: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("bool", "str", "none"), "int"),
        **dict.fromkeys(("set", "frozenset"), "list"),
        **dict.fromkeys(("chain", "url", "multi-host-url"), "function-plain"),
    }

    def __init__(self, definitions: Definitions, strict: bool = True, live: bool = False) -> None:
        """``live``: with ``strict`` off, what comes is no wire data but the caller's own values."""
        super().__init__(definitions)
        self.strict = strict
        self.live = live

    def leaf(self, node: Node, leaf: Leaf) -> Node:
        if node["type"] in ("decimal", "uuid"):  # pydantic reads these from text as we do, in a third of the time
            return self._from_text(node)
        loaded = plain(_loading(leaf))
        if not self.strict:
            return first_of(loaded, {**node, "strict": False})
        if not constraints_of(node):
            return loaded
        return {"type": "chain", "steps": [loaded, {**node, "strict": True}]}

    def _from_text(self, node: Node) -> Node:
        lax = {**node, "strict": False}
        if node["type"] == "decimal" and not _DIGITS & node.keys():
            lax = {"allow_inf_nan": True, **lax}
        if not self.strict:
            return lax
        text = {"type": "str", "strict": True, "pattern": _TEXTS[node["type"]]}
        refusal = {"custom_error_type": "wrong_type", "custom_error_message": f"expected {_NAMES[node['type']]}"}
        return {"type": "chain", "steps": [{"type": "custom-error", "schema": text, **refusal}, lax]}

    def opaque(self, converter: Any) -> Node:
        def load(tree: Any, info: Any) -> object:
            return converter.load(tree, binary=info.mode != "json")

        loaded: Node = {"type": "function-plain", "function": {"type": "with-info", "function": load}}
        return first_of(plain(keeping(converter.check)), loaded) if self.live else loaded

    def json_value(self) -> Node:
        return plain(check_json_value)

    def on_int(self, node: Node) -> Node:
        return self._scalar(node)

    def on_float(self, node: Node) -> Node:
        finite = {**self._scalar(node), "allow_inf_nan": False}
        if node.get("allow_inf_nan") is False:
            return finite
        words: Node = {
            "type": "function-after",
            "function": {"type": "no-info", "function": float},
            "schema": {"type": "literal", "expected": list(FLOAT_WORDS)},
        }
        live: Node = {"type": "function-plain", "function": {"type": "no-info", "function": _not_finite}}
        return {
            "type": "union",
            "mode": "left_to_right",
            "choices": [
                finite,
                {"type": "json-or-python", "json_schema": words, "python_schema": first_of(words, live)},
            ],
            "custom_error_type": "float_expected",
            "custom_error_message": "expected a float",
        }

    def _scalar(self, node: Node) -> Node:
        return {**node, "strict": self.strict} if node["type"] != "none" else dict(node)

    def on_literal(self, node: Node) -> Node:
        if not self.strict or all(type(value) is str for value in node["expected"]):
            return dict(node)
        return Check(self.definitions).on_literal(node)

    # containers: arrays and objects

    def on_list(self, node: Node) -> Node:
        items = node.get("items_schema", {"type": "any"})
        loaded = {**node, "items_schema": self.items(node), "strict": False, "fail_fast": True}
        if items["type"] == "float" and self.strict:  # half the time for the many lists of finite floats
            return first_of({**loaded, "items_schema": {**self._scalar(items), "allow_inf_nan": False}}, loaded)
        return loaded

    def on_deque(self, node: Node) -> Node:
        loaded = {"type": "list", "items_schema": self.items(node), "strict": False, "fail_fast": True}
        return after(collections.deque, loaded)

    def on_tuple(self, node: Node) -> Node:
        return {**super().on_tuple(node), "strict": False, "fail_fast": True}

    def on_named_tuple(self, node: Node) -> Node:
        cls = node["cls"]
        items = [self.inside(f".{field['name']}", field["schema"]) for field in node["fields"]]
        loaded = after(cls._make, {"type": "tuple", "items_schema": items, "strict": False})
        return loaded if self.strict else first_of({"type": "is-instance", "cls": cls}, loaded)

    def on_dict(self, node: Node) -> Node:
        keys = node.get("keys_schema", {"type": "any"})
        new_keys, new_values = (
            self.inside("[key]", keys),
            self.inside("[value]", node.get("values_schema", {"type": "any"})),
        )
        as_object = {**node, "keys_schema": new_keys, "values_schema": new_values, "strict": False, "fail_fast": True}
        if text_keys(keys, self.definitions):
            if int_keys(keys, self.definitions):
                int_of_key = _int_of_key if self.strict else _int_of_any_key
                as_object["keys_schema"] = {"type": "chain", "steps": [plain(int_of_key), new_keys]}
            return as_object if self.strict else wrapped(_all_keys, as_object)
        pairs = {
            "type": "list",
            "items_schema": {"type": "tuple", "items_schema": [new_keys, new_values]},
            "strict": False,
            "fail_fast": True,
        }
        loaded = after(_dict_of_pairs, pairs)
        return loaded if self.strict else first_of(loaded, wrapped(_all_keys, as_object))

    def on_typed_dict(self, node: Node) -> Node:
        rewritten: Node = {**node, "fields": self.field_map(node["fields"]), "computed_fields": [], "strict": False}
        rewritten["extra_behavior"] = "ignore" if not self.strict else "forbid"
        if node.get("extras_schema"):
            rewritten |= {"extras_schema": self.node(node["extras_schema"]), "extra_behavior": "allow"}
        return rewritten

    # classes: pydantic builds them, validators and all

    def on_model(self, node: Node) -> Node:
        config = {**node.get("config", {}), "strict": False, "validate_by_alias": True, "validate_by_name": False}
        inner = self.inside(".root", node["schema"]) if node.get("root_model") else self._forbidding_extra(node)
        return {**node, "schema": inner, "strict": False, "config": config, "revalidate_instances": "never"}

    def _forbidding_extra(self, node: Node) -> Node:
        inner = self.node(node["schema"])
        if self.strict and "extra_fields_behavior" not in node.get("config", {}):
            target = inner
            while target["type"] != "model-fields" and "schema" in target:
                target = target["schema"]
            target.setdefault("extra_behavior", "forbid")
        return inner

    def on_model_fields(self, node: Node) -> Node:
        fields = {
            name: {
                **field,
                "schema": self.inside(f".{name}", field["schema"]),
                "validation_alias": wire_name(name, field),
            }
            for name, field in node["fields"].items()
        }
        rewritten: Node = {**node, "fields": fields, "computed_fields": []}
        if node.get("extras_schema"):
            rewritten["extras_schema"] = self.node(node["extras_schema"])
        return rewritten

    def on_dataclass(self, node: Node) -> Node:
        config = {**node.get("config", {}), "strict": False, "validate_by_alias": True, "validate_by_name": False}
        if self.strict:
            config.setdefault("extra_fields_behavior", "forbid")
        made = {**node, "schema": self.node(node["schema"]), "strict": False, "config": config}
        late = [field for field in dataclass_args(node["schema"])["fields"] if field.get("init") is False]
        return made if not late else with_late_fields(made, {wire_name(f["name"], f): self._late(f) for f in late})

    def _late(self, field: Node) -> LateField:
        return LateField(field["name"], self.inside(f".{field['name']}", field["schema"]))

    def on_dataclass_args(self, node: Node) -> Node:
        fields = [
            {
                **field,
                "schema": self.inside(f".{field['name']}", field["schema"]),
                "validation_alias": wire_name(field["name"], field),
            }
            for field in node["fields"]
        ]
        return {**node, "fields": fields, "computed_fields": []}

    # unions: what the wire says it is

    def on_union(self, node: Node) -> Node:
        if not self.strict:
            return self._lax_union(node)
        union = plan_union(node, self.definitions)
        members = [self.node(member) for member in union.members]
        if union.bare is not None:
            return _tagged(dict(zip(union.tags, members, strict=True)), _by_kind(union.bare), union)
        choices = {
            tag: after(_second, {"type": "tuple", "items_schema": [{"type": "literal", "expected": [label]}, member]})
            for tag, label, member in zip(union.tags, union.labels, members, strict=True)
        }
        return _tagged(choices, _by_label(union), union)

    def on_tagged_union(self, node: Node) -> Node:
        if is_discriminated(node):
            return {
                **node,
                "choices": {tag: self.node(choice) for tag, choice in node["choices"].items()},
                "strict": False,
            }
        return self.on_union(node)

    def _lax_union(self, node: Node) -> Node:
        """A value that is one of the union is never taken for something else. Then what the wire says, corrections."""
        union = plan_union(node, self.definitions)
        itself = plain(one_of(union.members, self.definitions, union.expected))
        from_wire = Load(self.definitions).on_union(node)
        corrected: Node = {"type": "union", "choices": [self.node(member) for member in union.members]}
        return first_of(itself, from_wire, corrected) if self.live else first_of(from_wire, itself, corrected)

    # functions of the user's: they are asked of what was loaded, as of what is sent

    def on_function_after(self, node: Node) -> Node:
        return {**node, "schema": self.node(node["schema"])}

    def on_function_before(self, node: Node) -> Node:
        """It prepares raw input, which a wire form is not: only where that cannot be loaded as it is."""
        inner = self.node(node["schema"])
        prepared = {**node, "schema": inner}
        if self.strict:
            return inner
        return prepared if self.live else first_of(inner, prepared)

    def on_function_wrap(self, node: Node) -> Node:
        inner = self.node(node["schema"])
        around = {**node, "schema": inner}
        if self.live or is_of_class(node, self.definitions):
            return around
        asked = chain(inner, {**node, "schema": plain(exactly(node["schema"], self.definitions))})
        return asked if self.strict else first_of(asked, around)

    def on_function_plain(self, node: Node) -> Node:
        return dict(node)

    def on_lax_or_strict(self, node: Node) -> Node:
        return dict(node["lax_schema"])

    def on_json_or_python(self, node: Node) -> Node:
        return dict(node["json_schema"]) if self.strict else dict(node)


def _loading(leaf: Leaf) -> Callable[[Any], object]:
    load, words = leaf.load, leaf.expected

    def loading(tree: Any) -> object:
        try:
            return load(tree)
        except (ValueError, TypeError):
            raise expected(words) from None

    return loading


def _not_finite(value: Any) -> Any:
    """The nan and infinities of a binary format."""
    if type(value) is float:
        return value
    raise expected("a float", "float_type")


def _int_of_key(key: Any) -> Any:
    """Decimal text as Python prints it: nothing else, so that no two keys are the same int."""
    if (
        type(key) is str
        and len(key) <= DIGITS + 1
        and (key.isascii() and key.lstrip("-").isdigit())
        and str(int(key)) == key
    ):
        return int(key)
    raise expected("an int in decimal digits as key", "int_key")


def _int_of_any_key(key: Any) -> Any:
    """Decimal text as an int; a live key as it is."""
    return _int_of_key(key) if type(key) is str else key


def _all_keys(value: Any, handler: Callable[[Any], dict[Any, Any]]) -> dict[Any, Any]:
    """No two keys may become one."""
    result = handler(value)
    if len(result) != len(value):
        raise expected("keys that differ from each other", "duplicate_key")
    return result


def _dict_of_pairs(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    try:
        result = dict(pairs)
    except TypeError:
        raise expected("keys that can be hashed") from None
    if len(result) != len(pairs):
        raise expected("keys that differ from each other", "duplicate_key")
    return result


def _second(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def _by_kind(bare: dict[str, str]) -> Callable[[Any], str | None]:
    def tag(tree: object) -> str | None:
        return bare.get(WIRE_KINDS.get(type(tree), ""))

    return tag


def _by_label(union: Union) -> Callable[[Any], str | None]:
    tags = dict(zip(union.labels, union.tags, strict=True))

    def tag(tree: Any) -> str | None:
        if type(tree) in (list, tuple) and len(tree) == 2 and type(tree[0]) is str:
            return tags.get(tree[0])
        return None

    return tag


def _tagged(choices: dict[str, Node], discriminator: Callable[[Any], str | None], union: Union) -> Node:
    return {
        "type": "tagged-union",
        "choices": choices,
        "discriminator": discriminator,
        "custom_error_type": "union_member",
        "custom_error_message": f"expected {union.expected}",
    }
