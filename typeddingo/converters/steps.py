"""Small core schemas that ``check`` and ``load`` are put together from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typeddingo.converters.misfits import TAG
from typeddingo.converters.nodes import Node

__all__ = ["after", "chain", "first_of", "keeping", "plain", "wrapped"]


def plain(function: Callable[[Any], Any]) -> Node:
    """The function alone decides."""
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def keeping(check: Callable[[Any], object]) -> Callable[[Any], Any]:
    """The check as a function that hands back the value itself."""

    def kept(value: Any) -> Any:
        check(value)
        return value

    return kept


def wrapped(function: Callable[[Any, Callable[[Any], Any]], Any], node: Node) -> Node:
    """The function decides, and may ask the node."""
    return {"type": "function-wrap", "function": {"type": "no-info", "function": function}, "schema": node}


def after(function: Callable[[Any], Any], node: Node) -> Node:
    """The function, on what the node made."""
    return {"type": "function-after", "function": {"type": "no-info", "function": function}, "schema": node}


def chain(*steps: Node) -> Node:
    """One after the other, each on what the one before made."""
    return {"type": "chain", "steps": list(steps)}


def first_of(*choices: Node) -> Node:
    """The first that accepts the input."""
    labelled = [(choice, f"{TAG}{i}") for i, choice in enumerate(choices)]
    return {"type": "union", "mode": "left_to_right", "choices": labelled}
