"""The scalar types that pydantic brings along: secrets, URLs, sizes. Used by ``nodes``.

Their core schemas validate what a user may write; here is what their values look like on the wire.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pydantic
from pydantic_core import SchemaValidator

from typeddingo.converters.leaves import Leaf, leaf_of_class

__all__ = ["byte_size_leaf", "is_encoded", "secret_leaf", "url_leaf"]


def secret_leaf(cls: type) -> Leaf | None:
    """``SecretStr`` and ``SecretBytes`` keep their values on the wire."""
    if issubclass(cls, pydantic.SecretStr):
        return Leaf("a secret text", (cls,), "str", lambda v: v.get_secret_value(), _load_with(cls, str))
    if issubclass(cls, pydantic.SecretBytes):
        plain = leaf_of_class(bytes)
        assert plain is not None
        return Leaf("secret bytes", (cls,), "bytes", lambda v: v.get_secret_value(), _load_through(cls, plain))
    return None


def url_leaf(node: dict[str, Any]) -> Leaf | None:
    """The leaf of a URL class, None when the node is none. It loads with the node: that knows further constraints."""
    if node["type"] != "function-wrap" or node["schema"]["type"] not in ("url", "multi-host-url"):
        return None
    cls = _owner(next(iter(node.get("metadata", {}).get("pydantic_js_functions", ())), None))
    return None if cls is None else Leaf(f"a URL ({cls.__name__})", (cls,), "str", str, _load_url(node), tried=True)


def byte_size_leaf(node: dict[str, Any]) -> Leaf | None:
    """The leaf of ``ByteSize``, None when the node is none."""
    if node["type"] != "function-after":
        return None
    cls = _owner(node["function"]["function"])
    if cls is None or not issubclass(cls, pydantic.ByteSize):
        return None
    return Leaf("a size in bytes (ByteSize)", (cls,), "int", int, _load_size(cls), tried=True)


def is_encoded(node: dict[str, Any]) -> bool:
    """``Base64Bytes`` and its kin: the value is what was decoded, which is bytes or text as any other."""
    if node["type"] != "function-after":
        return False
    owner: object = getattr(node["function"]["function"], "__self__", None)
    return isinstance(owner, (pydantic.EncodedBytes, pydantic.EncodedStr))


def _owner(method: object) -> type | None:
    """The class of a class method."""
    owner: object = getattr(method, "__self__", None)
    return owner if isinstance(owner, type) else None


def _load_url(node: dict[str, Any]) -> Callable[[Any], object]:
    @functools.cache
    def validator() -> SchemaValidator:
        schema: Any = node
        return SchemaValidator(schema)

    def load(text: Any) -> object:
        if type(text) is not str:
            raise ValueError
        url: object = validator().validate_python(text)
        return url

    return load


def _load_size(cls: type[pydantic.ByteSize]) -> Callable[[Any], object]:
    def load(number: Any) -> object:
        if type(number) is not int or number < 0:
            raise ValueError
        return cls(number)

    return load


def _load_through(cls: Any, plain: Leaf) -> Callable[[Any], object]:
    def load(tree: object) -> object:
        return cls(plain.load(tree))

    return load


def _load_with(cls: type, wire: type) -> Callable[[Any], object]:
    def load(tree: object) -> object:
        if type(tree) is not wire:
            raise ValueError
        return cls(tree)

    return load
