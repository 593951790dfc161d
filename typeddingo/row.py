"""A fixed list of annotated slots, compiled: check live values, dump them, load them from bytes of unknown origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pydantic
import pydantic_core
from pydantic import ConfigDict, TypeAdapter

from typeddingo.converter import Converter, Tree
from typeddingo.errors import DecodeError, Misfit

__all__ = ["Names", "Row", "Unfit"]


class Unfit(Exception):
    """Values that do not fit; turned into the public error by whoever knows what they are."""

    def __init__(self, text: str, misfits: tuple[Misfit, ...]) -> None:
        super().__init__(text)
        self.text = text
        self.misfits = misfits


class Row:
    """Positional slots. Values are tuples, in order; trailing optional slots may be missing."""

    def __init__(
        self,
        slots: Sequence[tuple[str, object]],
        *,
        task: str,
        required: int,
        tail: tuple[str, object] | None = None,
        strict: bool = True,
        converter: Converter | None = None,
    ) -> None:
        self._task = task
        self._names = [n for n, _ in slots]
        self._types = [TypeAdapter(tuple[t], config=ConfigDict(strict=True, arbitrary_types_allowed=True)) for _, t in slots]  # interim
        self._tail = TypeAdapter(tuple[tail[1]], config=ConfigDict(strict=True)) if tail else None

    def _adapters(self, n: int) -> list[TypeAdapter[Any]]:
        if n > len(self._types):
            assert self._tail
            return self._types + [self._tail] * (n - len(self._types))
        return self._types[:n]

    def check(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """The values, if each is one of its annotation. Raises ``Unfit``."""
        out = []
        for i, (adapter, v) in enumerate(zip(self._adapters(len(values)), values)):
            try:
                adapter.validate_python((v,))
                out.append(v)
            except pydantic.ValidationError as err:
                e = err.errors(include_input=False, include_url=False)[0]
                m = Misfit((self._names[i] if i < len(self._names) else "args", *e["loc"][1:]), e["msg"], e["type"])
                raise Unfit(f"{m.where}: {m.expected}", (m,)) from None
        return tuple(out)

    def check_values(self, values: object) -> tuple[object, ...]:
        """As ``check``, for something that may not even be a tuple of the right length."""
        if type(values) is not tuple or len(values) != len(self._types):
            raise Unfit(f"expected {len(self._types)} values in a tuple", ())
        return self.check(values)

    def dump_json(self, values: tuple[object, ...]) -> bytes:
        """Checked values as one JSON array."""
        return b"[" + b",".join(self.dump_chunks(values)) + b"]"

    def load_json(self, data: bytes) -> tuple[object, ...]:
        """One JSON array as values. Raises ``DecodeError``."""
        try:
            items = pydantic_core.from_json(data)
        except ValueError as err:
            raise DecodeError(f"not JSON: {err}") from None
        if not isinstance(items, list):
            raise DecodeError("expected an array")
        return self.load_chunks([pydantic_core.to_json(i) for i in items])

    def dump_chunks(self, values: tuple[object, ...]) -> list[bytes]:
        """Checked values as one JSON text each."""
        return [a.dump_json((v,))[1:-1] for a, v in zip(self._adapters(len(values)), values)]

    def load_chunks(self, chunks: Sequence[bytes]) -> tuple[object, ...]:
        """One JSON text a slot as values. Raises ``DecodeError``."""
        if len(chunks) > len(self._types) and self._tail is None:
            raise DecodeError("too many values")
        out = []
        for a, c in zip(self._adapters(len(chunks)), chunks):
            try:
                out.append(a.validate_json(b"[" + c + b"]")[0])
            except pydantic.ValidationError as err:
                raise DecodeError(str(err.errors(include_input=False, include_url=False)[0]["msg"])) from None
        return tuple(out)

    def dump_tree(self, values: tuple[object, ...]) -> list[Tree]:
        """Checked values as a list of trees for a binary format (``bytes`` stay bytes)."""
        return [a.dump_python((v,), mode="json")[0] for a, v in zip(self._adapters(len(values)), values)]

    def load_tree(self, trees: Sequence[object]) -> tuple[object, ...]:
        """A list of trees from a binary format as values. Raises ``DecodeError``."""
        return self.load_chunks([pydantic_core.to_json(i) for i in trees])


class Names:
    """Slots that travel by name. Values are dicts; any name may be missing."""

    def __init__(
        self,
        slots: Mapping[str, object],
        *,
        task: str,
        extra: object | None = None,
        strict: bool = True,
        converter: Converter | None = None,
    ) -> None:
        self._rows = {n: Row([(n, t)], task=task, required=1) for n, t in slots.items()}
        self._extra = Row([("kwargs", extra)], task=task, required=1) if extra else None

    def _row(self, name: str) -> Row:
        row = self._rows.get(name, self._extra)
        if row is None:
            raise DecodeError(f"unknown parameter {name!r}")
        return row

    def check(self, values: Mapping[str, object]) -> dict[str, object]:
        """The values, if each is one of its annotation. Raises ``Unfit``."""
        return {n: self._row(n).check((v,))[0] for n, v in values.items()}

    def dump_json(self, values: Mapping[str, object]) -> bytes:
        """Checked values as one JSON object."""
        return b"{" + b",".join(pydantic_core.to_json(n) + b":" + self._row(n).dump_chunks((v,))[0] for n, v in values.items()) + b"}"

    def load_json(self, data: bytes) -> dict[str, object]:
        """One JSON object as values. Raises ``DecodeError``."""
        return {n: self._row(n).load_chunks([pydantic_core.to_json(v)])[0] for n, v in pydantic_core.from_json(data).items()}

    def dump_tree(self, values: Mapping[str, object]) -> dict[str, Tree]:
        """Checked values as an object of trees for a binary format."""
        return {n: self._row(n).dump_tree((v,))[0] for n, v in values.items()}

    def load_tree(self, tree: Mapping[str, object]) -> dict[str, object]:
        """An object of trees from a binary format as values. Raises ``DecodeError``."""
        return {n: self._row(n).load_tree([v])[0] for n, v in tree.items()}
