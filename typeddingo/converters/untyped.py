"""Data that says nothing of its parts, for the type checkers: exactly a dict, exactly a list, of anything."""

from __future__ import annotations

from typing import Any, TypeGuard

__all__ = ["is_dict", "is_list"]


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """Whether it is a dict, and no subclass of it."""
    return type(value) is dict


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is a list, and no subclass of it."""
    return type(value) is list
