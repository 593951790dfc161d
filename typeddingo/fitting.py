"""Whether what one task returns can be what another one takes. Comes from the annotations of both, asked when a
pipeline is built. Only what certainly does not fit is refused: the values are checked again when they are there.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, Union, cast, get_args, get_origin

__all__ = ["fits_into"]

_ANYTHING: tuple[object, ...] = (Any, object)
_WIDER: dict[object, tuple[object, ...]] = {int: (float, complex), float: (complex,)}
"""What a number is also taken for."""


def fits_into(given: object, wanted: object) -> bool:
    """False: no value, or not every value, of the one annotation is one of the other."""
    given, wanted = _bare(given), _bare(wanted)
    if wanted in _ANYTHING or given is Any or given == wanted:
        return True
    if members := _members(given):
        return all(fits_into(member, wanted) for member in members)
    if members := _members(wanted):
        return any(fits_into(given, member) for member in members)
    if get_origin(given) is Literal:
        if get_origin(wanted) is Literal:
            return set(get_args(given)) <= set(get_args(wanted))
        return all(fits_into(kind, wanted) for kind in _kinds(given))
    if get_origin(wanted) is Literal:
        return any(fits_into(kind, given) for kind in _kinds(wanted))
    return _classes_fit(given, wanted)


def _classes_fit(given: object, wanted: object) -> bool:
    left, right = get_origin(given) or given, get_origin(wanted) or wanted
    if not isinstance(left, type) or not isinstance(right, type) or _open(left) or _open(right):
        return True  # who can tell?
    if right in _WIDER.get(left, ()):
        return True
    try:
        if not issubclass(left, right):
            return False
    except TypeError:
        return True
    return left is not right or _arguments_fit(left, get_args(given), get_args(wanted))


def _arguments_fit(kind: type, given: tuple[object, ...], wanted: tuple[object, ...]) -> bool:
    if not given or not wanted:
        return True
    if kind is tuple and (Ellipsis in given or Ellipsis in wanted):
        if Ellipsis not in wanted:
            return False
        return all(fits_into(item, wanted[0]) for item in given if item is not Ellipsis)
    if len(given) != len(wanted):
        return kind is not tuple
    return all(fits_into(one, other) for one, other in zip(given, wanted, strict=True))


def _bare(annotation: object) -> object:
    """Without ``Annotated`` and ``NewType``, whose values are those of what is inside."""
    while True:
        if get_origin(annotation) is typing.Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif annotation is None:
            return type(None)
        else:
            return annotation


def _members(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _kinds(literal: object) -> tuple[object, ...]:
    """The types of the values of a ``Literal``."""
    return tuple(cast("object", type(value)) for value in get_args(literal))


def _open(kind: type) -> bool:
    """A class of which others may be without being derived from it."""
    marks: Iterable[str] = ("_is_protocol", "__total__")
    return any(getattr(kind, mark, None) is not None and getattr(kind, mark) is not False for mark in marks)
