"""A fixed list of annotated slots, compiled: check live values, dump them, load them from bytes of unknown origin.

Comes from ``contract`` (the parameters or the return values of one task), used by the marshallers. Thread-safe: what is
compiled on first need may be compiled twice, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import (
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    ValidationError,
    from_json,
    to_json,
)

from typeddingo.converter import Tree
from typeddingo.converters.codecs import Codecs
from typeddingo.converters.dump import BINARY
from typeddingo.converters.misfits import misfits_of, misfits_on_arrival
from typeddingo.converters.untyped import is_dict, is_list
from typeddingo.errors import DecodeError, Misfit

__all__ = ["Names", "Row", "Unfit"]


class Unfit(Exception):
    """Values that do not fit; turned into the public error by whoever knows what they are."""

    def __init__(self, text: str, misfits: tuple[Misfit, ...] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.misfits = misfits

    @classmethod
    def at(cls, misfits: tuple[Misfit, ...]) -> Unfit:
        """All the places, in one line."""
        return cls(_sentence(misfits), misfits)


class Row:
    """Positional slots. Values are tuples, in order; trailing optional slots may be missing, a ``tail`` may repeat."""

    def __init__(
        self,
        slots: Sequence[tuple[str, object]],
        *,
        codecs: Codecs,
        task: str,
        required: int | None = None,
        tail: tuple[str, object] | None = None,
    ) -> None:
        named = [*slots, tail] if tail else list(slots)
        self._task = task
        self._names = [name for name, _ in named]
        self._slots = codecs.slots(self._names, [annotation for _, annotation in named], tail=tail is not None)
        self._count = len(slots)
        self._required = self._count if required is None else required
        self._tail = tail is not None
        self._lax = not codecs.strict
        self._checkers: dict[int, Callable[[tuple[object, ...]], tuple[object, ...]]] = {}
        self._loaders: dict[int, SchemaValidator] = {}
        self._dumpers: dict[int, SchemaSerializer] = {}
        self._slot_dumper_list: list[SchemaSerializer] = []
        self._slot_loader_list: list[SchemaValidator] = []

    @property
    def count(self) -> int:
        """How many slots there are, the tail not counted."""
        return self._count

    # live values

    @property
    def gate(self) -> Callable[[tuple[object, ...]], bool] | None:
        """Says quickly of a full tuple that ``check`` would return it as it is; False: ask ``check``."""
        return self._slots.gate

    @property
    def gate_of_one(self) -> Callable[[object], bool] | None:
        """``gate`` for the bare value of a single slot."""
        return self._slots.gate_of_one

    def check(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """The values themselves, if each is exactly one of its annotation; an int for a float becomes one.

        Raises ``Unfit``.
        """
        if (gate := self._slots.gate) is not None and gate(values):
            return values
        checker = self._checkers.get(len(values)) or self._checker(len(values))
        try:
            checked = checker(values)
        except ValidationError as err:
            raise Unfit.at(self._misfits(misfits_of(err))) from None
        except Exception as err:  # a validator of the user's may raise what it likes
            raise Unfit(_unexpected(err)) from None
        if self._lax:
            values = checked
        return self._with_floats(values) if self._slots.floats else values

    def check_values(self, values: object) -> tuple[object, ...]:
        """As ``check``, for something that may not even be a tuple of the right length."""
        if type(values) is not tuple:
            raise Unfit(f"expected a tuple of {self._count}")
        given: tuple[object, ...] = values  # pyright: ignore[reportUnknownVariableType]  # a tuple, of anything
        if len(given) != self._count:
            raise Unfit(f"expected {self._count} values, there are {len(given)}")
        return self.check(given)

    def _floats(self, arity: int) -> list[int]:
        """The places among ``arity`` values that take an int for a float: all those of the tail, or none of them."""
        floats = [index for index in self._slots.floats if index < arity]
        return [*floats, *range(self._count + 1, arity)] if self._tail and self._count in floats else floats

    def _with_floats(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """An int given for a float becomes one."""
        ints = [index for index in self._floats(len(values)) if type(values[index]) is int]
        if not ints:
            return values
        made: list[Any] = list(values)
        for index in ints:
            made[index] = float(made[index])
        return tuple(made)

    def _checker(self, arity: int) -> Callable[[tuple[object, ...]], tuple[object, ...]]:
        return self._checkers.setdefault(arity, self._slots.checker(arity))

    def quick_dump(self) -> Callable[[tuple[object, ...]], bytes]:
        """``dump_json`` for rows with a value in every slot; raises whatever pydantic does."""
        return self._slots.dumper(self._count).to_json

    def quick_load(self) -> Callable[[bytes], tuple[object, ...]]:
        """``load_json`` for rows with a value in every slot; raises whatever pydantic does."""
        return self._slots.loader(self._count).validate_json

    # JSON, one array

    def dump_json(self, values: tuple[object, ...]) -> bytes:
        """Checked values as one JSON array."""
        dumper = self._dumpers.get(len(values)) or self._dumper(len(values))
        try:
            return dumper.to_json(values, by_alias=True)
        except Exception as err:
            raise Unfit(_unexpected(err)) from None

    def load_json(self, data: bytes) -> tuple[object, ...]:
        """One JSON array as values. Raises ``DecodeError``."""
        arity = self._count
        loader = self._loaders.get(arity) or self._loader(arity)
        try:
            return loader.validate_json(data)  # type: ignore[no-any-return]  # a tuple schema makes a tuple
        except Exception as err:
            if not (self._tail or self._required < arity) or not isinstance(err, ValidationError):
                raise self._refused(err) from None
        try:
            items = from_json(data)
        except Exception as err:
            raise self._refused(err) from None
        if not is_list(items):
            raise DecodeError(f"task {self._task!r}: expected an array of values")
        return self.load_tree(items)

    # JSON, one text a slot

    def dump_chunks(self, values: tuple[object, ...]) -> list[bytes]:
        """Checked values as one JSON text each."""
        dumpers, last = self._slot_dumpers, len(self._slot_dumpers) - 1
        try:
            return [dumpers[min(i, last)].to_json(value, by_alias=True) for i, value in enumerate(values)]
        except Exception as err:
            raise Unfit(_unexpected(err)) from None

    def load_chunks(self, chunks: Sequence[bytes]) -> tuple[object, ...]:
        """One JSON text a slot as values. Raises ``DecodeError``."""
        self._allow(len(chunks))
        loaders, last = self._slot_loaders, len(self._slot_loaders) - 1
        values: list[object] = []
        for i, chunk in enumerate(chunks):
            try:
                values.append(loaders[min(i, last)].validate_json(chunk))
            except Exception as err:
                raise self._refused(err, self._names[min(i, last)]) from None
        return tuple(values)

    # trees, for binary formats

    def dump_tree(self, values: tuple[object, ...]) -> list[Tree]:
        """Checked values as a list of trees for a binary format (``bytes`` stay bytes)."""
        dumper = self._dumpers.get(len(values)) or self._dumper(len(values))
        try:
            if self._slots.foreign:  # a serializer of the user's may only speak JSON
                return list(from_json(dumper.to_json(values, by_alias=True)))
            return list(dumper.to_python(values, mode=BINARY, by_alias=True))
        except Exception as err:
            raise Unfit(_unexpected(err)) from None

    def load_tree(self, trees: Sequence[object]) -> tuple[object, ...]:
        """A list of trees from a binary format as values. Raises ``DecodeError``."""
        arity = len(trees)
        self._allow(arity)
        loader = self._loaders.get(arity) or self._loader(arity)
        try:
            return loader.validate_python(trees)  # type: ignore[no-any-return]  # a tuple schema makes a tuple
        except Exception as err:
            raise self._refused(err) from None

    # compiled on first need

    def _loader(self, arity: int) -> SchemaValidator:
        return self._loaders.setdefault(arity, self._slots.loader(arity))

    def _dumper(self, arity: int) -> SchemaSerializer:
        return self._dumpers.setdefault(arity, self._slots.dumper(arity))

    @property
    def _slot_dumpers(self) -> list[SchemaSerializer]:
        if len(self._slot_dumper_list) != len(self._slots):
            self._slot_dumper_list = [self._slots.slot_dumper(i) for i in range(len(self._slots))]
        return self._slot_dumper_list

    @property
    def _slot_loaders(self) -> list[SchemaValidator]:
        if len(self._slot_loader_list) != len(self._slots):
            self._slot_loader_list = [self._slots.slot_loader(i) for i in range(len(self._slots))]
        return self._slot_loader_list

    # errors

    def _allow(self, arity: int) -> None:
        if arity > self._count and not self._tail:
            raise DecodeError(f"task {self._task!r}: expected {self._count} values, there are {arity}")

    def _misfits(self, misfits: tuple[Misfit, ...]) -> tuple[Misfit, ...]:
        """With the names of the slots."""
        found: list[Misfit] = []
        for misfit in misfits:
            if misfit.path and isinstance(misfit.path[0], int):
                index = misfit.path[0]
                name = self._names[min(index, len(self._names) - 1)] if self._names else ""
                here: tuple[str | int, ...] = (
                    (name, index - self._count) if self._tail and index >= self._count else (name,)
                )
                misfit = Misfit((*here, *misfit.path[1:]), misfit.expected, misfit.kind)
            found.append(misfit)
        return tuple(found)

    def _refused(self, error: Exception, name: str | None = None) -> DecodeError:
        if isinstance(error, ValidationError):
            misfits = misfits_on_arrival(error)
            if name:
                misfits = tuple(Misfit((name, *m.path), m.expected, m.kind) for m in misfits)
            else:
                misfits = self._misfits(misfits)
            return DecodeError(f"task {self._task!r}: {_sentence(misfits)}", misfits=misfits)
        return DecodeError(f"task {self._task!r}: {name or 'a value'} was refused ({_unexpected(error)})")


class Names:
    """Slots that travel by name. Values are dicts; any name may be missing."""

    def __init__(
        self,
        slots: Mapping[str, object],
        *,
        codecs: Codecs,
        task: str,
        only: Mapping[str, object],
        extra: object | None = None,
    ) -> None:
        """``slots`` also travel by position and are compiled when first named; ``only`` the others."""
        self._task = task
        self._codecs = codecs
        self._slots = slots
        self._rows = {name: Row([(name, annotation)], codecs=codecs, task=task) for name, annotation in only.items()}
        self._extra = Row([("kwargs", extra)], codecs=codecs, task=task) if extra is not None else None

    def check(self, values: Mapping[str, object]) -> dict[str, object]:
        """The values, if each is one of its annotation. Raises ``Unfit``."""
        misfits: list[Misfit] = []
        checked: dict[str, object] = {}
        for name, value in values.items():
            try:
                checked[name] = self._row(name).check((value,))[0]
            except Unfit as err:
                misfits += [Misfit((name, *m.path[1:]), m.expected, m.kind) for m in err.misfits] or [
                    Misfit((name,), err.text)
                ]
        if misfits:
            raise Unfit.at(tuple(misfits))
        return checked

    def dump_json(self, values: Mapping[str, object]) -> bytes:
        """Checked values as one JSON object."""
        return b"{" + b",".join(to_json(n) + b":" + self._row(n).dump_chunks((v,))[0] for n, v in values.items()) + b"}"

    def load_json(self, data: bytes) -> dict[str, object]:
        """One JSON object as values. Raises ``DecodeError``."""
        try:
            tree = from_json(data)
        except ValueError:
            raise DecodeError(f"task {self._task!r}: the named values are not JSON") from None
        return self.load_tree(tree)

    def dump_tree(self, values: Mapping[str, object]) -> dict[str, Tree]:
        """Checked values as an object of trees for a binary format."""
        return {name: self._row(name).dump_tree((value,))[0] for name, value in values.items()}

    def load_tree(self, tree: object) -> dict[str, object]:
        """An object of trees as values. Raises ``DecodeError``."""
        if not is_dict(tree) or not all(type(name) is str for name in tree):
            raise DecodeError(f"task {self._task!r}: expected the named values as an object")
        return {name: self._row(name).load_tree([item])[0] for name, item in tree.items()}

    def _row(self, name: str) -> Row:
        row = self._rows.get(name)
        if row is None and name in self._slots:
            row = self._rows[name] = Row([(name, self._slots[name])], codecs=self._codecs, task=self._task)
            self._codecs.settle()
        row = row or self._extra
        if row is None:
            raise DecodeError(f"task {self._task!r}: there is no parameter of that name")
        return row


def _sentence(misfits: tuple[Misfit, ...]) -> str:
    shown = "; ".join(f"{m.where}: {m.expected}" if m.path else m.expected for m in misfits[:5])
    return shown + (f"; and {len(misfits) - 5} more" if len(misfits) > 5 else "")


def _unexpected(error: BaseException) -> str:
    """An error that is not a validation error, in words that hold no value."""
    if isinstance(error, UnicodeError) or (
        isinstance(error, PydanticSerializationError) and "UnicodeEncodeError" in str(error)
    ):
        return "expected text without lone surrogates"
    if isinstance(error, RecursionError):
        return "expected a value that is not nested so deep"
    return f"expected a value that can be carried ({type(error).__name__})"
