"""The fields of a dataclass of pydantic's that its constructor does not take (``init=False``). Comes from ``load``.

pydantic refuses them in its input. They are taken out before it sees them, and set when it has made the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typeddingo.converters.misfits import TAG
from typeddingo.converters.nodes import Node
from typeddingo.converters.steps import after
from typeddingo.converters.untyped import is_dict

__all__ = ["LateField", "with_late_fields"]

_EARLY, _LATE = TAG + "early", TAG + "late"


@dataclass(frozen=True, slots=True)
class LateField:
    """One of them, and how it is loaded."""

    name: str
    node: Node


def with_late_fields(made: Node, late: Mapping[str, LateField]) -> Node:
    """``made`` makes an object of the other fields; ``late`` are by their names on the wire."""

    def apart(tree: object) -> dict[str, object]:
        if not is_dict(tree):
            return {_EARLY: tree, _LATE: {}}
        given = {name: item for name, item in tree.items() if name in late}
        return {_EARLY: {name: item for name, item in tree.items() if name not in given}, _LATE: given}

    def together(parts: dict[str, Any]) -> object:
        for name, value in parts[_LATE].items():
            object.__setattr__(parts[_EARLY], late[name].name, value)
        return parts[_EARLY]

    fields = {name: _field(_without_default(field.node), required=False) for name, field in late.items()}
    parts = {_EARLY: _field(made), _LATE: _field({"type": "typed-dict", "fields": fields})}
    split: Node = {
        "type": "function-before",
        "function": {"type": "no-info", "function": apart},
        "schema": {"type": "typed-dict", "fields": parts},
    }
    return after(together, split)


def _field(node: Node, *, required: bool = True) -> Node:
    return {"type": "typed-dict-field", "schema": node, "required": required}


def _without_default(node: Node) -> Node:
    inner: Node = node["schema"] if node["type"] == "default" else node
    return inner
