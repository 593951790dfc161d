"""The walk over a core schema that ``check``, ``dump`` and ``load`` share.

One method a node type; what becomes of containers is said here, the rest is for the subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from typeddingo.converters.leaves import Leaf
from typeddingo.converters.nodes import (
    Definitions,
    Node,
    is_json_value,
    leaf_of,
    opaque_of,
    travels_as_json_side,
)
from typeddingo.errors import SignatureError

__all__ = ["Transform", "WalkError"]


class WalkError(SignatureError):
    """A node that cannot be carried, with the way to it."""

    def __init__(self, text: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.path = path


class Transform:
    """Rewrites nodes; a subclass says what becomes of scalars, opaque nodes, unions and models."""

    same: ClassVar[Mapping[str, str]] = {"set": "list", "frozenset": "list"}
    """Node types that are treated as another one is."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions: Definitions = definitions

    def all_definitions(self) -> list[Node]:
        """The rewritten definitions, for wrapping a node that refers to them."""
        return [{**self.node(node), "ref": ref} for ref, node in self.definitions.items()]

    def node(self, node: Node) -> Node:
        """The rewritten node, without its ``ref`` (only definitions keep theirs)."""
        if (opaque := opaque_of(node)) is not None:
            return self.opaque(opaque)
        if is_json_value(node):
            return self.json_value()
        if (leaf := leaf_of(node)) is not None:
            return self.leaf(node, leaf)
        if travels_as_json_side(node):
            return self.node(node["json_schema"])
        kind: str = self.same.get(node["type"], node["type"])
        method: Callable[[Node], Node] | None = getattr(self, "on_" + kind.replace("-", "_"), None)
        if method is None:
            raise WalkError(f"a {node['type']} cannot travel; carry data instead")
        result = method(node)
        result.pop("ref", None)
        return result

    def inside(self, step: str, node: Node) -> Node:
        """As ``node``, for a part of a value: errors name the way."""
        try:
            return self.node(node)
        except WalkError as err:
            raise WalkError(err.text, (step, *err.path)) from None

    # what a subclass decides

    def opaque(self, converter: Any) -> Node:
        raise NotImplementedError

    def leaf(self, node: Node, leaf: Leaf) -> Node:
        raise NotImplementedError

    def json_value(self) -> Node:
        raise NotImplementedError

    def on_union(self, node: Node) -> Node:
        raise NotImplementedError

    def on_tagged_union(self, node: Node) -> Node:
        raise NotImplementedError

    def on_dict(self, node: Node) -> Node:
        raise NotImplementedError

    # refused everywhere

    def on_any(self, node: Node) -> Node:
        raise WalkError(
            "Any and object say nothing about the value, so it cannot come back as itself: name the type "
            "(list[int], not list), or use pydantic.JsonValue for plain JSON data"
        )

    def on_is_instance(self, node: Node) -> Node:
        name = getattr(node["cls"], "__qualname__", node["cls"])
        raise WalkError(
            f"no converter can carry the class {name}: make it a dataclass, an attrs class or a pydantic model, "
            "or pass a converter= that handles it"
        )

    def on_callable(self, node: Node) -> Node:
        raise WalkError("a callable cannot travel: send its name, or make it a task")

    def on_is_subclass(self, node: Node) -> Node:
        raise WalkError("a class cannot travel: send its name, or use an enum")

    def on_generator(self, node: Node) -> Node:
        raise WalkError("an Iterable or Iterator can be read only once: write list[…]")

    # the same everywhere: containers of parts

    def on_nullable(self, node: Node) -> Node:
        return {**node, "schema": self.node(node["schema"])}

    def on_list(self, node: Node) -> Node:
        return {**node, "items_schema": self.items(node)}

    def items(self, node: Node) -> Node:
        """The rewritten item type of a list or set."""
        return self.inside("[]", node.get("items_schema", {"type": "any"}))

    def on_tuple(self, node: Node) -> Node:
        return {**node, "items_schema": [self.inside(f"[{i}]", item) for i, item in enumerate(node["items_schema"])]}

    def on_definition_ref(self, node: Node) -> Node:
        return dict(node)

    def on_custom_error(self, node: Node) -> Node:
        return {**node, "schema": self.node(node["schema"])}

    def on_default(self, node: Node) -> Node:
        return {**node, "schema": self.node(node["schema"])}

    def on_json(self, node: Node) -> Node:
        return self.node(node.get("schema", {"type": "any"}))

    def field_map(self, fields: dict[str, Node]) -> dict[str, Node]:
        """The rewritten fields of a model or typed dict."""
        return {name: {**field, "schema": self.inside(f".{name}", field["schema"])} for name, field in fields.items()}
