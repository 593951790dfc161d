from typing import Generic, TypeVar

M = TypeVar("M")

class Method(Generic[M]):
    method: M
