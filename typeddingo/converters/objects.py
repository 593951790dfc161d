"""An attrs class or a dataclass taken apart and made again, by code that cattrs writes. Comes from ``cattrs``.

What the fields hold is the business of the functions it is given, one a field.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import cattrs
import cattrs.gen

from typeddingo.converters.attrs_classes import is_attrs
from typeddingo.converters.fields import Member, members

__all__ = ["Convert", "maker", "taker"]

Convert = Callable[[Any], object]

_gen: Any = cattrs.gen  # Any: its functions are typed for a class that is known

[_ATTRIBUTE] = attrs.fields(attrs.make_class("Described", {"field": attrs.field(kw_only=True)}))


def taker(cls: type, dumps: Mapping[str, Convert]) -> Callable[[object], dict[str, object]]:
    """Makes a dict of an object. A field without a function of its own stays as it is."""
    converter = cattrs.Converter()
    marks = _marks(dumps)
    for name, dump in dumps.items():
        converter.register_unstructure_hook(marks[name], dump)
    fields = _described(members(cls), marks)
    take: Callable[[object], dict[str, object]]
    take = _gen.make_dict_unstructure_fn_from_attrs(fields, cls, converter, _cattrs_include_init_false=True)
    return take


def maker(cls: type, loads: Mapping[str, Convert], *, strict: bool) -> Callable[[dict[str, object]], object]:
    """Makes an object of a dict; unknown keys are refused if ``strict``. Raises what cattrs and the class do."""
    converter = cattrs.Converter()
    marks = _marks(loads)
    for name, load in loads.items():
        converter.register_structure_hook(marks[name], _hook(load))
    fields = _described(members(cls), marks)
    variables = {variable.__name__: object for variable in getattr(cls, "__parameters__", ())}
    options = {"_cattrs_forbid_extra_keys": strict, "_cattrs_detailed_validation": True}
    make = _gen.make_dict_structure_fn_from_attrs(fields, _constructor(cls), converter, variables, **options)
    return lambda tree: make(tree, cls)


def _constructor(cls: type) -> Callable[..., object]:
    """The class, or what calls it and then sets the fields that it does not take, in frozen classes too."""
    late = {_alias(member): member.name for member in members(cls) if member.late}
    if not late:
        return cls
    validate = attrs.validate if is_attrs(cls) else None

    @functools.wraps(cls, updated=())
    def construct(**fields: object) -> object:
        values = [(name, fields.pop(alias)) for alias, name in late.items() if alias in fields]
        made = cls(**fields)
        for name, value in values:
            object.__setattr__(made, name, value)
        if validate is not None:
            validate(made)
        return made

    return construct


def _alias(member: Member) -> str:
    """What ``_constructor`` calls a field: no other field has the name of a late one."""
    return f"late {member.name}" if member.late else member.alias


def _marks(names: Iterable[str]) -> dict[str, type]:
    """A type for each field, under which cattrs finds the function of just that field.

    cattrs also takes functions by the names of the fields, as keyword arguments: not of a field named as one of its own
    parameters is.
    """
    return {name: type(name, (), {}) for name in names}


def _described(fields: Iterable[Member], marks: Mapping[str, type]) -> list[Any]:
    """The fields as attrs describes them, which is how cattrs wants them."""
    return [
        _ATTRIBUTE.evolve(
            name=member.name,
            alias=_alias(member),
            type=marks.get(member.name, object),
            default=attrs.NOTHING if member.required else None,
        )
        for member in fields
    ]


def _hook(load: Convert) -> Callable[[Any, Any], object]:
    def structure(tree: Any, _: Any) -> object:
        return load(tree)

    return structure
