"""The transform that makes a validator of live values: exactly the annotated type, at any depth. Its output is not used.

Subclasses are refused (what they add would be lost), text is not a number, a bool is not an int; an int is a float, as for mypy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import SchemaValidator, core_schema

from typeddingo.converters.leaves import DIGITS, Leaf
from typeddingo.converters.misfits import expected
from typeddingo.converters.nodes import Node, constraints_of, label_of
from typeddingo.converters.transform import Transform
from typeddingo.converters.unions import picker, plan_union

__all__ = ["LEAST", "MOST", "Check", "build_validator", "member_checks"]

MOST = 10**DIGITS
"""The first int that is too long to be written as text."""
LEAST = -MOST
_NATIVE: Mapping[str, type] = {"int": int, "bool": bool, "str": str, "float": float}


def build_validator(node: Node, definitions: Sequence[Node] = (), config: Any = None) -> SchemaValidator:
    """A validator of a rewritten node. Models' own prebuilt validators are not used: they know nothing of our wire."""
    schema: Any = core_schema.definitions_schema(node, list(definitions)) if definitions else node  # type: ignore[arg-type]  # Node is a CoreSchema
    return SchemaValidator(schema, config, _use_prebuilt=False)


class Check(Transform):
    """Live values. ``trusting``: inside a pydantic model, whose own validators have run when it was made."""

    trusting = False

    def leaf(self, node: Node, leaf: Leaf) -> Node:
        if self.trusting and len(leaf.types) == 1:
            return {"type": "is-instance", "cls": leaf.types[0]}
        return _then(_exact(leaf.types, leaf.expected), node)

    def opaque(self, converter: Any) -> Node:
        return _plain(converter.check)

    def json_value(self) -> Node:
        return _plain(check_json_value)

    # scalars: pydantic's strict mode takes subclasses and returns the base

    def on_int(self, node: Node) -> Node:
        return self._scalar(_exact_int, node)

    def on_bool(self, node: Node) -> Node:
        return {**node, "strict": True}

    def on_str(self, node: Node) -> Node:
        return self._scalar(_exact_str, node)

    def on_float(self, node: Node) -> Node:
        return self._scalar(_exact_float, node)

    def _scalar(self, check: Callable[[Any], Any], node: Node) -> Node:
        return {"type": node["type"], "strict": True} if self.trusting else _then(check, node)

    def on_none(self, node: Node) -> Node:
        return {"type": "none"}

    def on_literal(self, node: Node) -> Node:
        members = {(type(value), value) for value in node["expected"]}
        words = "one of " + ", ".join(map(repr, node["expected"]))

        def check(value: Any) -> Any:
            try:
                if (type(value), value) in members:
                    return value
            except TypeError:  # unhashable
                pass
            raise expected(words)

        return _plain(check)

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
            return _wrapped(_uniform(cls, native, bool(constraints_of(node))), rewritten)
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
        return _chain(
            _plain(_exact((node["cls"],), label_of(node, {}))), _plain(tuple), {"type": "tuple", "items_schema": items}
        )

    # classes: the exact class, then the state

    def on_model(self, node: Node) -> Node:
        cls = node["cls"]
        inner = Check(self.definitions)
        inner.trusting = True
        words = f"{label_of(node, {})} itself, not a subclass of it"
        if node.get("root_model"):
            return _chain(_state_of(cls, words, "root"), inner.inside(".root", node["schema"]))
        state = _chain(_state_of(cls, words, "__dict__"), inner.node(_model_fields(node["schema"])))
        if node.get("config", {}).get("extra_fields_behavior") == "allow":
            return _chain(_plain(_check_extras), state)
        return state

    def on_model_fields(self, node: Node) -> Node:
        fields = {
            name: {"type": "typed-dict-field", "schema": self.inside(f".{name}", field["schema"]), "required": False}
            for name, field in node["fields"].items()
        }
        return {"type": "typed-dict", "fields": fields, "extra_behavior": "ignore"}

    def on_dataclass(self, node: Node) -> Node:
        fields = [field for field in _dataclass_args(node["schema"])["fields"] if not field.get("init_only")]
        names = [field["name"] for field in fields]

        def state(value: Any) -> dict[str, object]:
            return {name: getattr(value, name) for name in names}

        exact = _plain(_exact((node["cls"],), f"{label_of(node, {})} itself, not a subclass of it"))
        checked = {
            field["name"]: {"type": "typed-dict-field", "schema": self.inside(f".{field['name']}", field["schema"])}
            for field in fields
        }
        return _chain(exact, _plain(state), {"type": "typed-dict", "fields": checked})

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

    on_tagged_union = on_union

    # functions

    def on_function_after(self, node: Node) -> Node:
        inner = self.node(node["schema"])
        return inner if self.trusting else {**node, "schema": inner}

    def on_function_before(self, node: Node) -> Node:
        return self.node(node["schema"])  # it prepares raw input; a live value is not raw

    def on_function_wrap(self, node: Node) -> Node:
        inner = self.node(node["schema"])
        return inner if self.trusting else {**node, "schema": inner}

    def on_function_plain(self, node: Node) -> Node:
        return {"type": "any"} if self.trusting else dict(node)

    # pydantic's own forks for types we do not know: their strict, live side

    def on_lax_or_strict(self, node: Node) -> Node:
        return (
            {**node["strict_schema"], "strict": True}
            if "strict" in node["strict_schema"]
            else dict(node["strict_schema"])
        )

    def on_json_or_python(self, node: Node) -> Node:
        return dict(node["python_schema"])

    def on_chain(self, node: Node) -> Node:
        return dict(node)

    def on_url(self, node: Node) -> Node:
        return {**node, "strict": True}

    on_multi_host_url = on_url


def member_checks(members: Sequence[Node], transform: Check) -> Callable[[], Sequence[Callable[[Any], object]]]:
    """The checks of a union's members, compiled when a value first needs them (members may refer to the union itself)."""
    compiled: list[Callable[[Any], object]] = []

    def checks() -> Sequence[Callable[[Any], object]]:
        if not compiled:
            fresh = Check(transform.definitions)
            definitions = fresh.all_definitions()
            compiled.extend(build_validator(fresh.node(member), definitions).validate_python for member in members)
        return compiled

    return checks


def check_json_value(value: Any, depth: int = 0) -> Any:
    """Plain JSON data, exactly: what comes back is equal and of the same types."""
    cls = type(value)
    if cls is str or cls is bool or value is None or (cls is int and LEAST < value < MOST):
        return value
    if cls is float and math.isfinite(value):
        return value
    if depth < 60:
        if cls is list:
            for item in value:
                check_json_value(item, depth + 1)
            return value
        if cls is dict and all(type(key) is str for key in value):
            for item in value.values():
                check_json_value(item, depth + 1)
            return value
    raise expected(
        "plain JSON data (None, bool, int, finite float, str, list, dict with str keys), at most 60 levels deep"
    )


def _check_extras(model: Any) -> Any:
    check_json_value(getattr(model, "__pydantic_extra__", None) or {})
    return model


def _state_of(cls: type, words: str, attribute: str) -> Node:
    """An instance of exactly this class, then what it holds."""

    def state(value: Any) -> Any:
        if type(value) is cls:
            return getattr(value, attribute)
        raise expected(f"{words}, got {_a(type(value))}")

    return _plain(state)


def _model_fields(node: Node) -> Node:
    """The fields below a model's own validators."""
    while node["type"] != "model-fields":
        node = node["schema"]
    return node


def _dataclass_args(node: Node) -> Node:
    while node["type"] != "dataclass-args":
        node = node["schema"]
    return node


# the exact type, then the annotation's constraints


def _exact(types: tuple[type, ...], words: str) -> Callable[[Any], Any]:
    only = types[0] if len(types) == 1 else None

    def check(value: Any) -> Any:
        cls = type(value)
        if cls is only or cls in types:
            return value
        raise expected(f"{words}, got {_a(cls)}")

    return check


def _exact_int(value: Any) -> Any:
    if type(value) is int and LEAST < value < MOST:
        return value
    got = f"an int, got {_a(type(value))}" if type(value) is not int else f"an int of at most {DIGITS} digits"
    raise expected(got, "int_type")


def _exact_str(value: Any) -> Any:
    if type(value) is not str:
        raise expected(f"a str, got {_a(type(value))}", "string_type")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise expected("text without lone surrogates", "string_unicode") from None
    return value


def _exact_float(value: Any) -> Any:
    if type(value) is float or type(value) is int:
        return value
    raise expected(f"a float, got {_a(type(value))}", "float_type")


def _a(cls: type) -> str:
    """The type of what was given: never the value."""
    if cls is type(None):
        return "None"
    return f"{'an' if cls.__name__[0] in 'aeiouAEIOU' else 'a'} {cls.__name__}"


def _then(check: Callable[[Any], Any], node: Node) -> Node:
    """The exact check, then the node itself where it demands more than its type."""
    constraints = constraints_of(node)
    if not constraints:
        return _plain(check)
    return _chain(_plain(check), {**node, "strict": True})


def _native_item(items: Node) -> type | None:
    """The class of a scalar item without constraints, checked by pydantic at full speed."""
    if items["type"] in _NATIVE and not constraints_of(items) and "serialization" not in items:
        return _NATIVE[items["type"]]
    return None


def _uniform(cls: type, item: type, constrained: bool) -> Callable[[Any, Callable[[Any], Any]], Any]:
    """Every item is exactly of one class: one pass over the types tells, pydantic finds the place when not."""
    allowed = {item, int} if item is float else {item}

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is not cls:
            raise expected(f"a {cls.__name__}, got {_a(type(value))}", f"{cls.__name__}_type")
        uniform = set(map(type, value)) <= allowed
        if constrained or not uniform:
            handler(value)
        if not uniform:
            raise expected(f"a {cls.__name__} of {item.__name__}, and no subclasses of it")
        if item is str and not all(map(str.isascii, value)):
            _exact_str("".join(value))
        if item is int and value and not (min(value) > LEAST and max(value) < MOST):
            raise expected(f"ints of at most {DIGITS} digits")
        return value

    return check


def _plain(function: Callable[[Any], Any]) -> Node:
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def _wrapped(function: Callable[[Any, Callable[[Any], Any]], Any], node: Node) -> Node:
    return {"type": "function-wrap", "function": {"type": "no-info", "function": function}, "schema": node}


def _exactly(cls: type, node: Node) -> Node:
    return _chain(_plain(_exact((cls,), f"a {cls.__name__}")), node)


def _chain(*steps: Node) -> Node:
    return {"type": "chain", "steps": list(steps)}
