"""The transform that makes a validator of live values: exactly the annotated type, at any depth.

Subclasses are refused (what they add would be lost), text is not a number, a bool is not an int; an int is a float, as
for mypy. What the validator returns is not used: the caller's own values travel.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic_core import SchemaValidator

from typeddingo.converters.exact import (
    a_type,
    check_json_value,
    exact,
    exact_and_tried,
    exact_float,
    exact_int,
    exact_str,
    exact_time,
    unchanged,
    uniform,
)
from typeddingo.converters.leaves import Leaf
from typeddingo.converters.misfits import expected
from typeddingo.converters.nodes import Definitions, Node, constraints_of, is_of_class, label_of
from typeddingo.converters.steps import chain, keeping, plain, wrapped
from typeddingo.converters.transform import Transform
from typeddingo.converters.unions import picker, plan_union

__all__ = ["Check", "build_validator", "dataclass_args", "exactly", "member_checks", "one_of"]

_NATIVE: Mapping[str, type] = {"int": int, "bool": bool, "str": str, "float": float}

_TRANSFORMING = frozenset({"strip_whitespace", "to_lower", "to_upper"})
"""Constraints of a text that make another text of it."""


def build_validator(node: Node, definitions: Sequence[Node] = (), config: Any = None) -> SchemaValidator:
    """A validator of a rewritten node. Models' own prebuilt validators are not used: they know nothing of our wire."""
    schema: Any = {"type": "definitions", "schema": node, "definitions": list(definitions)} if definitions else node
    return SchemaValidator(schema, config, _use_prebuilt=False)


class Check(Transform):
    """Live values. ``trusting``: inside a pydantic model, whose own validators have run when it was made."""

    trusting: bool = False

    same: ClassVar[Mapping[str, str]] = {"tagged-union": "union", "multi-host-url": "url"}

    def leaf(self, node: Node, leaf: Leaf) -> Node:
        if node["type"] == "literal":
            return self.on_literal(node)
        if leaf.types == (dt.time,):
            return _then(exact_time, node)
        if leaf.tried:
            return plain(exact_and_tried(leaf))
        if self.trusting and len(leaf.types) == 1:
            return {"type": "is-instance", "cls": leaf.types[0]}
        return _then(exact(leaf.types, leaf.expected), node)

    def opaque(self, converter: Any) -> Node:
        return plain(converter.check)

    def json_value(self) -> Node:
        return plain(check_json_value)

    # scalars: pydantic's strict mode takes subclasses and returns the base

    def on_int(self, node: Node) -> Node:
        return self._scalar(exact_int, node)

    def on_bool(self, node: Node) -> Node:
        return {**node, "strict": True}

    def on_str(self, node: Node) -> Node:
        return self._scalar(exact_str, node)

    def on_float(self, node: Node) -> Node:
        return self._scalar(exact_float, node)

    def _scalar(self, check: Callable[[Any], Any], node: Node) -> Node:
        return {"type": node["type"], "strict": True} if self.trusting else _then(check, node)

    def on_none(self, node: Node) -> Node:
        return {"type": "none"}

    def on_literal(self, node: Node) -> Node:
        choices: list[object] = node["expected"]
        members = {(type(value), value) for value in choices}
        words = "one of " + ", ".join(map(repr, choices))

        def check(value: object) -> object:
            try:
                if (type(value), value) in members:
                    return value
            except TypeError:  # unhashable
                pass
            raise expected(words)

        return plain(check)

    # containers: the exact class, then the parts

    def on_list(self, node: Node) -> Node:
        return self._container(node, list)

    def on_set(self, node: Node) -> Node:
        return self._container(node, set)

    def on_frozenset(self, node: Node) -> Node:
        return self._container(node, frozenset)

    def _container(self, node: Node, cls: type) -> Node:
        if node.get("fail_fast") is not None:
            node = {key: value for key, value in node.items() if key != "fail_fast"}
        items = node.get("items_schema", {"type": "any"})
        if (native := _native_item(items)) is not None:
            self.items(node)
            rewritten = {**node, "items_schema": {"type": items["type"], "strict": True}, "strict": True}
            return wrapped(uniform(cls, native, bool(constraints_of(node))), rewritten)
        return _exactly(cls, {**node, "items_schema": self.items(node), "strict": True})

    def on_tuple(self, node: Node) -> Node:
        return _exactly(tuple, {**super().on_tuple(node), "strict": True})

    def on_dict(self, node: Node) -> Node:
        rewritten = {
            **node,
            "keys_schema": self.inside("[key]", node.get("keys_schema", {"type": "any"})),
            "values_schema": self.inside("[value]", node.get("values_schema", {"type": "any"})),
            "strict": True,
        }
        return _exactly(dict, rewritten)

    def on_deque(self, node: Node) -> Node:
        import collections

        return _exactly(collections.deque, {**self.on_list_items(node), "strict": True})

    def on_list_items(self, node: Node) -> Node:
        return {**node, "items_schema": self.items(node)}

    def on_typed_dict(self, node: Node) -> Node:
        fields = self.field_map(node["fields"])
        extras = {"extras_schema": self.node(node["extras_schema"])} if node.get("extras_schema") else {}
        rewritten = {
            "type": "typed-dict",
            "fields": fields,
            "extra_behavior": "allow" if extras else "forbid",
            **extras,
        }
        return _exactly(dict, rewritten)

    def on_named_tuple(self, node: Node) -> Node:
        items = [self.inside(f".{field['name']}", field["schema"]) for field in node["fields"]]
        return chain(
            plain(exact((node["cls"],), label_of(node, {}))), plain(tuple), {"type": "tuple", "items_schema": items}
        )

    # classes: the exact class, then the state

    def on_model(self, node: Node) -> Node:
        cls = node["cls"]
        inner = Check(self.definitions)
        inner.trusting = True
        words = f"{label_of(node, {})} itself, not a subclass of it"
        if node.get("root_model"):
            return chain(_state_of(cls, words, "root"), inner.inside(".root", node["schema"]))
        state = chain(_state_of(cls, words, "__dict__"), inner.node(_model_fields(node["schema"])))
        if node.get("config", {}).get("extra_fields_behavior") == "allow":
            return chain(inner.extras(_model_fields(node["schema"])), state)
        return state

    def extras(self, fields: Node) -> Node:
        """What an open model holds beyond its fields: of the type it says, else plain JSON data."""
        values = self.node(fields["extras_schema"]) if fields.get("extras_schema") else self.json_value()
        names = {"type": "str", "strict": True}
        return wrapped(_on_extras, {"type": "dict", "keys_schema": names, "values_schema": values})

    def on_model_fields(self, node: Node) -> Node:
        fields = {
            name: {"type": "typed-dict-field", "schema": self.inside(f".{name}", field["schema"]), "required": True}
            for name, field in node["fields"].items()
        }
        return {"type": "typed-dict", "fields": fields, "extra_behavior": "ignore"}

    def on_dataclass(self, node: Node) -> Node:
        fields = [field for field in dataclass_args(node["schema"])["fields"] if not field.get("init_only")]
        names = [field["name"] for field in fields]

        def state(value: Any) -> dict[str, object]:
            return {name: getattr(value, name) for name in names}

        itself = plain(exact((node["cls"],), f"{label_of(node, {})} itself, not a subclass of it"))
        checked = {
            field["name"]: {"type": "typed-dict-field", "schema": self.inside(f".{field['name']}", field["schema"])}
            for field in fields
        }
        return chain(itself, plain(state), {"type": "typed-dict", "fields": checked})

    # unions: which member is it?

    def on_union(self, node: Node) -> Node:
        union = plan_union(node, self.definitions)
        choices = {tag: self.node(member) for tag, member in zip(union.tags, union.members, strict=True)}
        return {
            "type": "tagged-union",
            "choices": choices,
            "discriminator": picker(union, member_checks(union.members, self)),
            "custom_error_type": "union_member",
            "custom_error_message": f"expected {union.expected}",
        }

    def on_default(self, node: Node) -> Node:
        return self.node(node["schema"])  # a live object has all its fields

    # functions

    def on_function_after(self, node: Node) -> Node:
        return self._asked(node)

    def on_function_wrap(self, node: Node) -> Node:
        return self._asked(node)

    def _asked(self, node: Node) -> Node:
        inner = self.node(node["schema"])
        if self.trusting or is_of_class(node, self.definitions):
            return inner  # it ran when the model was made
        return wrapped(unchanged, {**node, "schema": wrapped(_itself, inner)})

    def on_function_before(self, node: Node) -> Node:
        return self.node(node["schema"])  # it prepares raw input; a live value is not raw

    def on_function_plain(self, node: Node) -> Node:
        return {"type": "any"} if self.trusting else wrapped(unchanged, dict(node))

    # pydantic's own forks for types we do not know: their strict, live side

    def on_lax_or_strict(self, node: Node) -> Node:
        strict: Node = node["strict_schema"]
        return self._of_pydantic({**strict, "strict": True} if "strict" in strict else dict(strict))

    def on_json_or_python(self, node: Node) -> Node:
        return self._of_pydantic(dict(node["python_schema"]))

    def on_chain(self, node: Node) -> Node:
        return self._of_pydantic(dict(node))

    def _of_pydantic(self, node: Node) -> Node:
        return node if self.trusting else wrapped(unchanged, node)

    def on_url(self, node: Node) -> Node:
        return {**node, "strict": True}


def member_checks(members: Sequence[Node], transform: Check) -> Callable[[], Sequence[Callable[[Any], object]]]:
    """The checks of a union's members, compiled when a value first needs them: members may refer to the union."""
    compiled: list[Callable[[Any], object]] = []

    def checks() -> Sequence[Callable[[Any], object]]:
        if not compiled:
            fresh = Check(transform.definitions)
            definitions = fresh.all_definitions()
            compiled.extend(build_validator(fresh.node(member), definitions).validate_python for member in members)
        return compiled

    return checks


def exactly(node: Node, definitions: Definitions) -> Callable[[Any], object]:
    """A check that lets a value of the node pass, as it is; compiled when it is first needed."""
    checks = member_checks([node], Check(definitions))
    return keeping(lambda value: checks()[0](value))


def one_of(members: Sequence[Node], definitions: Definitions, words: str) -> Callable[[Any], object]:
    """A check that lets a value pass, as it is, when a union's member takes it."""
    checks = member_checks(members, Check(definitions))

    def check(value: object) -> object:
        for takes in checks():
            try:
                takes(value)
            except ValueError:
                continue
            return value
        raise expected(words)

    return check


def _itself(value: object, handler: Callable[[Any], object]) -> object:
    handler(value)
    return value


def _on_extras(model: Any, check: Callable[[Any], Any]) -> Any:
    check(getattr(model, "__pydantic_extra__", None) or {})
    return model


def _state_of(cls: type, words: str, attribute: str) -> Node:
    """An instance of exactly this class, then what it holds."""

    def state(value: object) -> object:
        if type(value) is cls:
            return getattr(value, attribute)
        raise expected(f"{words}, got {a_type(type(value))}")

    return plain(state)


def _then(check: Callable[[Any], Any], node: Node) -> Node:
    """The exact check, then the node itself where it demands more than its type."""
    constraints = constraints_of(node)
    if not constraints:
        return plain(check)
    demands = {**node, "strict": True}
    return chain(plain(check), wrapped(unchanged, demands) if _TRANSFORMING & constraints.keys() else demands)


def _native_item(items: Node) -> type | None:
    """The class of a scalar item without constraints: one pass over the types checks them all."""
    if items["type"] in _NATIVE and not constraints_of(items):
        return _NATIVE[items["type"]]
    return None


def _exactly(cls: type, node: Node) -> Node:
    return chain(plain(exact((cls,), f"a {cls.__name__}")), node)


def _model_fields(node: Node) -> Node:
    """The fields below a model's own validators."""
    while node["type"] != "model-fields":
        node = node["schema"]
    return node


def dataclass_args(node: Node) -> Node:
    """The fields below a dataclass's own validators."""
    while node["type"] != "dataclass-args":
        node = node["schema"]
    return node
