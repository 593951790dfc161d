"""Go's types as Python annotations, and Go's JSON as the Python values that must come out: an independent reading.

What Go lets be nil (slices, maps, pointers) is ``… | None`` here; a struct is a dataclass with the fields of its JSON.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import Annotated, Any, TypeAlias

from pydantic import Field, JsonValue, create_model

from typeddingo.contract import Contract

__all__ = ["Inexpressible", "annotation", "contract_of", "value"]

GoType: TypeAlias = dict[str, Any]


class Inexpressible(Exception):
    """No Python annotation says the same."""


@dataclass
class Tree:
    V: int
    Kids: list[Tree | None] | None


_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "int": 64}
_NAMED: dict[str, Any] = {
    "time.Time": datetime,
    "time.Duration": timedelta,
    "net.IP": IPv4Address,
    "main.Tree": Tree,
    "main.Color": str,  # its MarshalJSON writes a text
    "json.Number": int,  # the vectors hold a whole number
    "json.RawMessage": JsonValue,
    "big.Int": int,
}
_NOT_HERE = {"main.Tagged": "omitempty and ',string' tags", "error": "an interface whose contents Go cannot decode"}
_structs: dict[str, type[Any]] = {}


def annotation(go: GoType) -> Any:
    """The annotation for a Go type. Raises ``Inexpressible``."""
    name, kind = go["go"], go["kind"]
    if name in _NOT_HERE:
        raise Inexpressible(_NOT_HERE[name])
    if name in _NAMED:
        return _NAMED[name]
    if kind in _BITS:
        edge = 1 << (_BITS[kind] - 1)
        return int if _BITS[kind] == 64 else Annotated[int, Field(ge=-edge, lt=edge)]
    if kind.startswith("uint"):
        return Annotated[int, Field(ge=0, lt=1 << int(kind[4:] or 64))]
    simple = {"float64": float, "float32": float, "string": str, "bool": bool, "interface": JsonValue}
    if kind in simple:
        return simple[kind]
    if kind == "ptr":
        return annotation(go["elem"]) | None
    if kind == "slice":
        return (bytes if _is_byte(go["elem"]) else list[annotation(go["elem"])]) | None  # type: ignore[misc]  # made at run time
    if kind == "array":  # not a tuple: '-> tuple[…]' is several return values
        return Annotated[list[annotation(go["elem"])], Field(min_length=go["len"], max_length=go["len"])]  # type: ignore[misc]  # made at run time
    if kind == "map":
        return dict[annotation(go["key"]), annotation(go["elem"])] | None  # type: ignore[misc]  # made at run time
    if kind == "struct":
        return _struct(go)
    raise Inexpressible(f"{name} is no data")


def value(go: GoType, tree: Any) -> Any:
    """The Python value of a piece of Go's JSON, worked out without the package under test."""
    name, kind = go["go"], go["kind"]
    if tree is None or kind == "interface" or name in ("main.Color", "json.Number", "json.RawMessage", "big.Int"):
        return tree
    if name == "time.Time":
        return datetime.fromisoformat(tree)
    if name == "time.Duration":
        return timedelta(microseconds=(tree + 500) // 1000)  # Python has no nanoseconds
    if name == "net.IP":
        return IPv4Address(tree)
    if name == "main.Tree":
        return Tree(tree["V"], [value(go, kid) for kid in tree["Kids"]] if tree["Kids"] is not None else None)
    if kind.startswith("float"):
        return float(tree)
    if kind == "ptr":
        return value(go["elem"], tree)
    if kind == "slice":
        if _is_byte(go["elem"]):
            return base64.b64decode(tree) if isinstance(tree, str) else bytes(tree)
        return [value(go["elem"], item) for item in tree]
    if kind == "array":
        return [value(go["elem"], item) for item in tree]
    if kind == "map":
        key = int if "int" in go["key"]["kind"] else str
        return {key(k): value(go["elem"], v) for k, v in tree.items()}
    if kind == "struct":
        return _struct(go)(**{field: value(kind_of, tree[field]) for field, kind_of in _fields(go)})
    return tree


def contract_of(name: str, parameters: list[GoType], returns: list[GoType]) -> Contract:
    """The contract of a Python function with the signature of a Go one. Raises ``Inexpressible``."""
    outs = [annotation(go) for go in returns]
    result: Any = None if not outs else outs[0] if len(outs) == 1 else tuple[tuple(outs)]  # type: ignore[misc]  # made at run time

    def echo(*values: Any) -> Any: ...

    echo.__annotations__ = {f"a{i}": annotation(go) for i, go in enumerate(parameters)} | {"return": result}
    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(f"a{i}", kind) for i in range(len(parameters))])
    echo.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature looks at first
    function: Callable[..., Any] = echo
    return Contract.of(function, name=name)


def _is_byte(go: GoType) -> bool:
    return bool(go["kind"] == "uint8")


def _fields(go: GoType) -> list[tuple[str, GoType]]:
    """The fields of a struct as its JSON has them: embedded structs laid flat, unexported fields left out."""
    fields: list[tuple[str, GoType]] = []
    for field in go["fields"]:
        tag = field["json_tag"].partition(",")[0]
        if field["anonymous"] and not tag:
            fields += _fields(field["type"])
        elif field["exported"]:
            fields.append((tag or field["name"], field["type"]))
    return fields


def _struct(go: GoType) -> type[Any]:
    if go["go"] not in _structs:
        _structs[go["go"]] = _made(
            "Struct" if " " in go["go"] else go["go"].split(".")[-1],
            {name: annotation(kind) for name, kind in _fields(go)},
        )
    return _structs[go["go"]]


def _made(name: str, fields: dict[str, Any]) -> type[Any]:
    if all(field.isidentifier() for field in fields):
        return make_dataclass(name, fields.items())
    # JSON names like "out.Name" are aliases, which models have.
    aliased: dict[str, Any] = {f.replace(".", "_"): (kind, Field(alias=f)) for f, kind in fields.items()}
    model: type[Any] = create_model(name, **aliased)
    return model
