"""Annotations that are text, resolved. Used by ``signature`` (a function's) and ``fields`` (a class's).

Python runs such text when it is asked for the annotations, so anything may come of it.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from typeddingo.errors import SignatureError

__all__ = ["resolved_hints"]


def resolved_hints(owner: Any, namespace: Mapping[str, object]) -> dict[str, Any]:
    """The annotations of a function or class. ``namespace`` resolves names local to the place of decoration.

    Raises ``SignatureError``, which begins with the name of the annotation that cannot be read.
    """
    try:
        return typing.get_type_hints(owner, localns=dict(namespace), include_extras=True)
    except Exception as err:
        for name, annotation, of in _each(owner):
            try:
                _alone(annotation, of, namespace)
            except Exception as culprit:
                raise SignatureError(f"{name!r}: {_reason(annotation, culprit)}") from culprit
        raise SignatureError(f"an annotation cannot be read ({type(err).__name__}: {err})") from err


def _each(owner: Any) -> Iterator[tuple[str, object, dict[str, Any]]]:
    """Every annotation with its name and the globals it was written among."""
    if not isinstance(owner, type):
        for name, annotation in owner.__annotations__.items():
            yield name, annotation, getattr(owner, "__globals__", {})
        return
    for base in owner.__mro__:
        for name, annotation in vars(base).get("__annotations__", {}).items():
            yield name, annotation, vars(sys.modules[base.__module__])


def _alone(annotation: object, names: dict[str, Any], namespace: Mapping[str, object]) -> None:
    holder: Any = types.SimpleNamespace(__annotations__={"it": annotation})
    typing.get_type_hints(holder, globalns=names, localns=dict(namespace))


def _reason(annotation: object, error: Exception) -> str:
    if isinstance(error, NameError):
        return (
            f"the annotation {error.name!r} is not defined where it is written; define or import it above the task, "
            "not under TYPE_CHECKING"
        )
    return f"the annotation {annotation!r} cannot be read ({type(error).__name__}: {error}); write a type"
