# What typeddingo calls of msgpack, which ships without types; no more.
from collections.abc import Callable
from typing import NamedTuple

class ExtType(NamedTuple):
    code: int
    data: bytes

class Timestamp: ...
class UnpackException(Exception): ...

def packb(o: object, *, default: Callable[[object], object] | None = ...) -> bytes: ...
def unpackb(
    packed: bytes,
    *,
    object_pairs_hook: Callable[[list[tuple[object, object]]], object] | None = ...,
    list_hook: Callable[[list[object]], object] | None = ...,
    ext_hook: Callable[[int, bytes], object] = ...,
) -> object: ...
