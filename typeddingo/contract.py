"""A signature made executable: bind, check, dump and load the values of one task.

Comes from ``registry`` (made once at decoration), used by ``bridge`` (bind), marshallers (dump, load) and ``worker``
(returns).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from typeddingo.converter import Converter
from typeddingo.converters.codecs import Codecs
from typeddingo.errors import ArgumentError, DecodeError, Misfit, SignatureError
from typeddingo.row import Names, Row, Unfit
from typeddingo.signature import Signature, read_signature

__all__ = ["Contract", "ReturnMisfit"]


_REMEDY = "Nothing was sent: pass what the annotation says, or annotate what you pass"


class ReturnMisfit(ValueError):
    """A function returned what its annotation does not allow; the text names what did not fit, never the value."""

    def __init__(self, message: str, misfits: tuple[Misfit, ...]) -> None:
        super().__init__(message)
        self.misfits = misfits


class Contract:
    """Immutable, shared by all threads.

    ``arguments`` holds the positional parameters, ``keywords`` everything that travels by name, ``returns`` one slot a
    return value: none for ``-> None``, n for ``-> tuple[A, B, …]``, else one.
    """

    __slots__ = (
        "_by_name",
        "_count",
        "_join",
        "_required",
        "_slow",
        "arguments",
        "converter",
        "fn",
        "keywords",
        "name",
        "returns",
        "signature",
        "strict",
    )

    def __init__(self, name: str, fn: Callable[..., Any], signature: Signature, codecs: Codecs) -> None:
        self.name: str = name
        self.fn: Callable[..., Any] = fn
        self.signature: Signature = signature
        self.strict: bool = codecs.strict
        self.converter: Converter | None = codecs.converter
        positional = signature.positional
        tail = signature.var_positional
        self.arguments: Row = Row(
            [(p.name, p.annotation) for p in positional],
            task=name,
            required=sum(p.required for p in positional),
            tail=(tail.name, tail.annotation) if tail else None,
            codecs=codecs,
        )
        extra = signature.var_keyword
        self.keywords: Names = Names(
            {p.name: p.annotation for p in positional if p.nameable},
            only={p.name: p.annotation for p in signature.keyword_only},
            task=name,
            extra=extra.annotation if extra else None,
            codecs=codecs,
        )
        slots, self._join = _return_slots(signature.returns)
        self.returns: Row = Row(slots, task=name, codecs=codecs)
        self._count = len(positional)
        self._required = sum(p.required for p in positional)
        self._by_name = tuple(p.name for p in positional if p.nameable)
        self._slow = tail is not None or any(p.keyword_only and p.required for p in signature.parameters)

    @classmethod
    def of(
        cls,
        fn: Callable[..., Any],
        *,
        name: str,
        context: bool = False,
        strict: bool = True,
        converter: Converter | None = None,
        namespace: Mapping[str, object] | None = None,
    ) -> Contract:
        """Compile the contract of a function. Raises ``SignatureError``."""
        codecs = Codecs(strict=strict, converter=converter, namespace=namespace)
        signature = read_signature(fn, name=name, context=context, namespace=namespace)
        try:
            contract = cls(name, fn, signature, codecs)
            codecs.settle()
        except SignatureError as err:
            raise SignatureError(f"task {name!r}: {err}") from err.__cause__
        return contract

    @property
    def is_async(self) -> bool:
        """The function is an ``async def``."""
        return self.signature.is_async

    def bind(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        """The caller's side: bind a call and check every value. Positional arguments come back by position as far as
        they go without a gap, the rest by name; what was omitted stays omitted. Raises ``ArgumentError``."""
        try:
            if kwargs or self._slow or len(args) != self._count:
                args, kwargs = self._bound(args, kwargs)
            return self.arguments.check(args), self.keywords.check(kwargs) if kwargs else kwargs
        except Unfit as err:
            raise ArgumentError(
                f"task {self.name!r}: {err.text}. {_REMEDY}", task=self.name, misfits=err.misfits
            ) from None

    def complete(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        """A checked call with its defaults in place, by position as far as that goes: equal calls come out equal."""
        bound = self.signature.native.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def quick_bind(self) -> Callable[[tuple[object, ...]], bool]:
        """A function that says of purely positional arguments, quickly, that ``bind`` would return them as they are;
        False: ask ``bind``."""
        return (None if self._slow else self.arguments.gate) or _unsure

    @property
    def one_slot(self) -> bool:
        """The return value is one slot: it travels as it is."""
        return self._join is _as_one

    def quick_return(self) -> Callable[[object], bool]:
        """A function that says of a return value, quickly, that it fits as it is; False: ask ``split_returns``."""
        if self._join is _as_none:
            return _is_none
        if self._join is _as_one:
            return self.returns.gate_of_one or _unsure
        gate = self.returns.gate
        return _unsure if gate is None else lambda value: type(value) is tuple and gate(value)  # pyright: ignore[reportUnknownArgumentType]  # a tuple, of anything

    def check_loaded(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """The worker's side: the loaded values make a complete call. Raises ``DecodeError``."""
        if kwargs or self._slow or len(args) != self._count:
            try:
                self.signature.native.bind(*args, **kwargs)
            except TypeError as err:
                raise DecodeError(f"task {self.name!r}: {err}") from None

    def split_returns(self, value: object) -> tuple[object, ...]:
        """The worker's side: what the function returned as checked slots. Raises ``ReturnMisfit``."""
        slots = self.returns
        values: object = value if self._join is _as_tuple else (value,)
        if self._join is _as_none:
            values = () if value is None else (value,)
        try:
            return slots.check_values(values)
        except Unfit as err:
            raise ReturnMisfit(
                f"the return value does not fit '-> {self.returns_text}': {err.text}", err.misfits
            ) from None

    def join_returns(self, values: tuple[object, ...]) -> object:
        """The caller's side: slots as the value of the return annotation."""
        return self._join(values)

    @property
    def returns_text(self) -> str:
        """The return annotation as text."""
        annotation = self.signature.returns
        return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)

    def _bound(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        if not self._slow and len(self._by_name) == self._count and len(args) <= self._count:
            values = list(args)
            for name in self._by_name[len(args) :]:  # 0.5 µs: the usual mixtures of positions and names
                if name not in kwargs:
                    break
                values.append(kwargs[name])
            if len(values) - len(args) == len(kwargs) and len(values) >= self._required:
                return tuple(values), {}
        return self._bound_slowly(args, kwargs)

    def _bound_slowly(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        try:
            bound = self.signature.native.bind(*args, **kwargs)
        except TypeError as err:
            raise Unfit(f"{err}; the signature is {self.signature.native}", ()) from None
        given = bound.arguments
        position: list[object] = []
        named: dict[str, object] = {}
        for parameter in self.signature.parameters:
            if parameter.name not in given:
                continue
            value = given[parameter.name]
            if parameter.positional:
                if len(position) < self._count and not named and self._next_position(len(position), parameter.name):
                    position.append(value)
                else:
                    named[parameter.name] = value
            elif parameter.keyword_only:
                named[parameter.name] = value
            elif parameter is self.signature.var_positional:
                position.extend(value)
            else:
                named.update(value)
        return tuple(position), named

    def _next_position(self, index: int, name: str) -> bool:
        return self.signature.positional[index].name == name


def _unsure(value: object) -> bool:
    return False


def _is_none(value: object) -> bool:
    return value is None


def _as_none(values: tuple[object, ...]) -> object:
    return None


def _as_one(values: tuple[object, ...]) -> object:
    return values[0]


def _as_tuple(values: tuple[object, ...]) -> object:
    return values


def _return_slots(annotation: object) -> tuple[list[tuple[str, object]], Callable[[tuple[object, ...]], object]]:
    if annotation is None or annotation is type(None):
        return [], _as_none
    args = get_args(annotation)
    if get_origin(annotation) is tuple and args and Ellipsis not in args and args != ((),):
        return [(f"return[{i}]", arg) for i, arg in enumerate(args)], _as_tuple
    return [("return", annotation)], _as_one
