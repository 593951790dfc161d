"""Unions: which member a live value belongs to, and how the wire says which one it was.

Members whose wire forms have different JSON types tell themselves apart and travel bare. Any others (``UUID | str``,
``Decimal | str``, two classes with the same fields) travel as ``[label, value]``: nothing is guessed from what a text
looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from typeddingo.converters.misfits import TAG
from typeddingo.converters.nodes import Definitions, Node, choices_of, kinds_of, label_of, types_of

__all__ = ["Union", "WIRE_KINDS", "is_discriminated", "picker", "plan_union"]

WIRE_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    bytes: "bytes",
    list: "array",
    tuple: "array",
    dict: "object",
}


@dataclass(frozen=True, slots=True)
class Union:
    """The members of one union and how they travel."""

    members: tuple[Node, ...]
    labels: tuple[str, ...]
    """Unique, in order."""
    tags: tuple[str, ...]
    """The labels as they appear in pydantic's error locations."""
    bare: dict[str, str] | None
    """wire kind -> tag, when the members tell themselves apart; None when they are labelled on the wire."""
    by_type: dict[type, str | None]
    """Python type -> tag; None where several members have values of that type."""
    exhaustive: bool
    """``by_type`` knows every type the members can have."""
    expected: str


def is_discriminated(node: Node) -> bool:
    """The user (or pydantic) named a field that tells the members apart: the value says itself what it is.

    On the wire too, unless the field holds enum members that are no text or ints.
    """
    return (
        node["type"] == "tagged-union"
        and isinstance(node["discriminator"], str)
        and all(isinstance(tag, (str, int)) for tag in node["choices"])
    )


def plan_union(node: Node, definitions: Definitions) -> Union:
    """Decide how a union travels. Unions of unions are one union."""
    members = _flat(node, definitions)
    labels = _unique([label_of(member, definitions) for member in members])
    tags = tuple(TAG + label for label in labels)
    bare: dict[str, str] | None = {}
    for member, tag in zip(members, tags, strict=True):
        for kind in kinds_of(member, definitions):
            if bare is not None and kind in bare:
                bare = None
            if bare is not None:
                bare[kind] = tag
    by_type: dict[type, str | None] = {}
    for member, tag in zip(members, tags, strict=True):
        for cls in types_of(member, definitions) or ():
            by_type[cls] = None if cls in by_type else tag
    exhaustive = all(types_of(member, definitions) is not None for member in members)
    if not exhaustive:
        by_type = dict.fromkeys(by_type)  # a member we cannot type may take any value: ask them all
    if bare is not None and "float" in bare:
        bare.setdefault("int", bare["float"])  # Go prints 1.0 as 1
    return Union(tuple(members), tuple(labels), tags, bare, by_type, exhaustive, " or ".join(labels))


def _flat(node: Node, definitions: Definitions) -> list[Node]:
    found: list[Node] = []
    for choice in choices_of(node):
        if choice["type"] == "union":
            found.extend(_flat(choice, definitions))
        elif choice["type"] == "nullable":
            found.append({"type": "none"})
            found.extend(_flat({"choices": [choice["schema"]]}, definitions))
        else:
            found.append(choice)
    return found


def _unique(labels: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    result: list[str] = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        result.append(label if labels.count(label) == 1 else f"{label}#{seen[label]}")
    return result


def picker(union: Union, checks: Callable[[], Sequence[Callable[[Any], object]]]) -> Callable[[Any], str | None]:
    """The tag of the member a live value belongs to, None when it belongs to none.

    By its exact type where that decides; else the first member whose check accepts it. ``checks`` is asked on first
    need.
    """
    by_type, tags = union.by_type, union.tags
    as_float = by_type.get(float)  # ``float | str`` takes an int, as mypy does

    def pick(value: object) -> str | None:
        cls = type(value)
        if (tag := by_type.get(cls)) is not None:
            return tag
        if cls in by_type or not union.exhaustive:
            for tag, check in zip(tags, checks(), strict=True):
                try:
                    check(value)
                except ValueError:
                    continue
                return tag
        return as_float if cls is int else None

    return pick
