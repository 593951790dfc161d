"""A list of annotations compiled by pydantic: validators of live values and of wire data, serializers.

Comes from ``row``. Everything is built from one core schema and compiled when first needed; a slot that cannot be
carried is refused at once.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic_core import SchemaSerializer, SchemaValidator, ValidationError

from typeddingo.converter import ValueConverter
from typeddingo.converters.check import Check, build_validator
from typeddingo.converters.dump import Dump, build_serializer
from typeddingo.converters.exact import LEAST, MOST
from typeddingo.converters.load import Load
from typeddingo.converters.nodes import (
    Definitions,
    Node,
    constraints_of,
    leaf_of,
    opaque_of,
    resolve,
    types_of,
    unwrapped,
)
from typeddingo.converters.source import row_source
from typeddingo.converters.transform import WalkError
from typeddingo.errors import SignatureError

__all__ = ["Slots"]

T = TypeVar("T")

Choose = Callable[[object], ValueConverter | None]


class Slots:
    """``names`` say what each slot is, for errors at decoration; ``tail`` says that the last slot repeats."""

    def __init__(
        self, names: Sequence[str], annotations: Sequence[object], choose: Choose, *, strict: bool, tail: bool = False
    ) -> None:
        self.strict = strict
        self.tail = tail
        self._names = names
        self._sources, self._definitions = self._read(annotations, choose)
        dump = Dump(self._definitions)
        self._dumps = [
            _walked(repr(name), functools.partial(dump.node, node))
            for name, node in zip(names, self._sources, strict=True)
        ]
        self._dump_definitions = _walked(", ".join(map(repr, names)), dump.all_definitions)
        self.foreign: bool = dump.foreign

    def __len__(self) -> int:
        return len(self._sources)

    def _read(self, annotations: Sequence[object], choose: Choose) -> tuple[list[Node], Definitions]:
        try:
            return row_source(annotations, choose)
        except SignatureError:
            for name, annotation in zip(self._names, annotations, strict=True):  # which one was it?
                try:
                    row_source([annotation], choose)
                except SignatureError as err:
                    raise SignatureError(f"{name!r} {err}") from err.__cause__
            raise

    # which Python types the slots take

    @functools.cached_property
    def types(self) -> list[type | None]:
        """The one exact type of each slot's values, None where there are several or it cannot be told."""
        found = [types_of(node, self._definitions) for node in self._sources]
        return [next(iter(types)) if types is not None and len(types) == 1 else None for types in found]

    @functools.cached_property
    def floats(self) -> list[int]:
        """The slots that take an int for a float, as mypy does, and make it one."""
        found = [types_of(node, self._definitions) for node in self._sources]
        return [i for i, types in enumerate(found) if types is not None and float in types and int not in types]

    @functools.cached_property
    def gate(self) -> Callable[[tuple[Any, ...]], bool] | None:
        """Says quickly that values fit, where their exact types decide it (False: look closer); else None."""
        if self.tail or None in self.types or not all(self._settled(node) for node in self._sources):
            return None
        tests = [f"len(v) == {len(self.types)}"]
        tests += [self._test(index, f"v[{index}]") for index in range(len(self.types))]
        return self._compiled(tests)

    @functools.cached_property
    def gate_of_one(self) -> Callable[[Any], bool] | None:
        """The same for the bare value of a single slot."""
        return None if self.gate is None or len(self.types) != 1 else self._compiled([self._test(0, "v")])

    def _test(self, index: int, value: str) -> str:
        cls = self.types[index]
        test = f"type({value}) is t{index}"
        if cls is str:
            return f"{test} and {value}.isascii()"
        if cls is dt.time:
            return f"{test} and {value}.tzinfo is None"
        return f"{test} and LEAST < {value} < MOST" if cls is int else test

    def _compiled(self, tests: Sequence[str]) -> Callable[[Any], bool]:
        """One expression, 0.17 µs for two ints: every call in this process passes three of them, loops took 0.43."""
        names: dict[str, object] = {f"t{index}": cls for index, cls in enumerate(self.types)}
        source = f"lambda v: {' and '.join(tests)}"
        gate: Callable[[Any], bool] = eval(source, {"LEAST": LEAST, "MOST": MOST, **names})
        return gate

    def _settled(self, node: Node) -> bool:
        """The exact type of a value decides alone: nothing on the way to its scalar demands more."""
        if constraints_of(node) or opaque_of(node) is not None or node["type"].startswith("function"):
            return False
        if (inner := unwrapped(node, self._definitions)) is not None:
            return self._settled(inner)
        return node["type"] in ("int", "str", "bool", "float", "none") or (
            node["type"] != "literal" and leaf_of(node) is not None
        )

    # compiled on first need

    @functools.cached_property
    def _checks(self) -> list[Node]:
        return self._rewritten(Check(self._definitions))

    @functools.cached_property
    def _loads(self) -> list[Node]:
        return self._rewritten(self._load)

    @functools.cached_property
    def _corrections(self) -> list[Node]:
        return self._rewritten(self._correct)

    def _rewritten(self, transform: Check | Load) -> list[Node]:
        return [transform.node(node) for node in self._sources]

    @property
    def _load(self) -> Load:
        return Load(self._definitions, strict=self.strict)

    @property
    def _correct(self) -> Load:
        return Load(self._definitions, strict=False, live=True)

    def _tuple(self, nodes: list[Node], arity: int) -> Node:
        node: Node = {"type": "tuple", "items_schema": nodes[: arity + 1] if self._repeats(arity) else nodes[:arity]}
        if self._repeats(arity):
            node["items_schema"] = nodes
            node["variadic_item_index"] = len(nodes) - 1
        return node

    def _repeats(self, arity: int) -> bool:
        return self.tail and arity >= len(self._sources)

    def checker(self, arity: int) -> Callable[[Any], tuple[object, ...]]:
        """Validates a tuple of ``arity`` live values. Raises ``ValidationError``; with ``strict`` off, corrects."""
        exact = self.exact_checker(arity)
        return exact if self.strict else _correcting(exact, self._corrector(arity))

    def exact_checker(self, arity: int) -> Callable[[Any], tuple[object, ...]]:
        """As ``checker``, correcting nothing."""
        definitions = Check(self._definitions).all_definitions()
        return build_validator(self._tuple(self._checks, arity), definitions).validate_python

    def _corrector(self, arity: int) -> Callable[[Any], tuple[object, ...]]:
        definitions = self._correct.all_definitions()
        return build_validator(self._tuple(self._corrections, arity), definitions).validate_python

    def loader(self, arity: int) -> SchemaValidator:
        """Validates a tuple of ``arity`` values from the wire."""
        return build_validator(self._tuple(self._loads, arity), self._load.all_definitions())

    def dumper(self, arity: int) -> SchemaSerializer:
        """Serializes a tuple of ``arity`` checked values."""
        return build_serializer(self._tuple(self._dumps, arity), self._dump_definitions)

    def slot_checker(self, index: int) -> Callable[[Any], object]:
        """As ``exact_checker``, for one slot alone."""
        return build_validator(self._checks[index], Check(self._definitions).all_definitions()).validate_python

    def slot_loader(self, index: int) -> SchemaValidator:
        """As ``loader``, for one slot alone."""
        return build_validator(self._loads[index], self._load.all_definitions())

    def slot_dumper(self, index: int) -> SchemaSerializer:
        """As ``dumper``, for one slot alone."""
        return build_serializer(self._dumps[index], self._dump_definitions)

    def slot_is_native(self, index: int) -> bool:
        """The values of this slot are their own wire form in every format."""
        node = resolve(self._sources[index], self._definitions)
        return node["type"] in ("int", "bool", "str", "none")


def _correcting(exact: Callable[[Any], T], correct: Callable[[Any], T]) -> Callable[[Any], T]:
    """What fits stays as it is; what was corrected must fit, or something of it would be lost."""

    def corrected(values: Any) -> T:
        try:
            exact(values)
        except ValidationError:
            values = correct(values)
            exact(values)
        result: T = values
        return result

    return corrected


def _walked(names: str, walk: Callable[[], T]) -> T:
    """What the walk over a schema makes; what it refuses, in the words of a signature."""
    try:
        return walk()
    except WalkError as err:
        way = "".join(err.path)
        raise SignatureError(f"{names}{f' (at {way})' if way else ''}: {err.text}") from None
