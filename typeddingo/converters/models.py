"""What a core schema shows to be impossible, refused before anything is sent. Comes from ``adopt``."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable

from typeddingo.converters.dump import wire_name
from typeddingo.converters.nodes import Node
from typeddingo.errors import SignatureError
from typeddingo.signature import takes_by_name

__all__ = ["refuse_unfit"]

_LITERAL = (str, int, float, bytes, type(None), enum.Enum)
"""What may stand in a Literal; floats because pydantic allows them."""


def refuse_unfit(node: Node) -> None:
    """Raises ``SignatureError``, without the slot's name, for a node whose values could not come back."""
    if (refuse := _REFUSALS.get(node.get("type", ""))) is not None:
        refuse(node)


def _refuse_odd_literal(node: Node) -> None:
    if not all(isinstance(member, _LITERAL) for member in node["expected"]):
        raise SignatureError("is a Literal of more than text, bytes, ints, bools, None and members of enums")


def _refuse_model(node: Node) -> None:
    """pydantic gives a constructor of the user's the fields by the names they have on the wire."""
    if node.get("root_model"):
        return
    label = node["cls"].__name__
    fields = node["schema"]
    while fields["type"] != "model-fields":
        fields = fields["schema"]
    names = [wire_name(name, field) for name, field in fields["fields"].items()]
    _refuse_same_names(label, names)
    if node.get("custom_init") and not takes_by_name(node["cls"].__init__, names):
        raise SignatureError(
            f"holds a {label}, whose __init__ does not take its fields by name ({', '.join(names)}), so that none "
            "could be made on arrival: give it those parameters, or make what you need in a classmethod"
        )


def _refuse_dataclass(node: Node) -> None:
    _refuse_same_names(node["dataclass_name"], [wire_name(field["name"], field) for field in node["fields"]])


def _refuse_same_names(label: str, names: list[str]) -> None:
    [(name, times)] = Counter(names).most_common(1) or [("", 0)]
    if times > 1:
        raise SignatureError(f"holds a {label}, of which two fields have the alias {name!r}: give each its own")


_REFUSALS: dict[str, Callable[[Node], None]] = {
    "literal": _refuse_odd_literal,
    "model": _refuse_model,
    "dataclass-args": _refuse_dataclass,
}
