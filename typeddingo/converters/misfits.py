"""From pydantic's validation errors to ours: where, what was expected, never the value.

Comes from ``row``, goes to users.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from typeddingo.errors import Misfit

__all__ = ["MOST", "TAG", "expected", "misfits_of", "misfits_on_arrival", "validation_error"]

MOST = 1_000
"""So many places of one value are told."""

TAG = "\0"
"""Begins the labels of union members inside error locations, so that paths can leave them out."""

_WORDS = {
    "missing": "expected a value, it is missing",
    "missing_argument": "expected a value, it is missing",
    "extra_forbidden": "unexpected: the annotation has no such field",
    "recursion_loop": "expected a value that does not contain itself",
    "finite_number": "expected a finite number",
    "union_tag_not_found": "expected a value with the union's discriminator",
    "union_tag_invalid": "expected one of the union's discriminator values",
}
_PREFIXES = (
    ("Input should be ", "expected "),
    ("Value error, ", "refused by its validator: "),
    ("Assertion failed, ", "refused by its validator: "),
)

_custom_error: Callable[[str, str, dict[str, Any]], PydanticCustomError]
_custom_error = PydanticCustomError  # pyright: ignore[reportAssignmentType]  # it asks for literals; our kinds pass through here


def expected(text: str, kind: str = "wrong_type") -> PydanticCustomError:
    """The error a check or load function raises: ``expected(\"a decimal number\")``."""
    return _custom_error(kind, "{text}", {"text": f"expected {text}"})


def misfits_of(error: ValidationError, first: tuple[str | int, ...] = ()) -> tuple[Misfit, ...]:
    """The places that do not fit; ``first`` replaces the leading element of each location."""
    found: dict[Misfit, None] = {}  # in order, each once
    for detail in error.errors(include_url=False, include_context=False, include_input=False)[:MOST]:
        loc = tuple(step for step in detail["loc"] if not (isinstance(step, str) and step.startswith(TAG)))
        path = (*first, *loc[1:]) if first else loc
        words = _WORDS.get(detail["type"]) or _reworded(detail["msg"])
        found[Misfit(path, words, detail["type"])] = None
    return tuple(found)


def misfits_on_arrival(error: ValidationError) -> tuple[Misfit, ...]:
    """The same of what came from anybody: many places are only counted, as to list them takes many times the input."""
    if (count := error.error_count()) > MOST:
        return (Misfit((), f"there are {count} places that do not fit", "many"),)
    return misfits_of(error)


def _reworded(message: str) -> str:
    for prefix, replacement in _PREFIXES:
        if message.startswith(prefix):
            return replacement + message[len(prefix) :]
    return message


def validation_error(title: str, problems: list[tuple[tuple[str | int, ...], str, str]]) -> ValidationError:
    """An error of several places ``(location, kind, words)``, to be raised inside a validator.

    pydantic then puts the way to the validator before each location.
    """
    details: list[InitErrorDetails] = [
        InitErrorDetails(
            type=_custom_error(kind, "{text}", {"text": words}),
            loc=location,
            input=None,
        )
        for location, kind, words in problems
    ]
    return ValidationError.from_exception_data(title, details)
