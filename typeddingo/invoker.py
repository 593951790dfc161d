"""How the values of a message reach a function. Comes from a worker with decoded values, ends in the user's function.

The built-in marshallers decode into the annotated types already, so they call directly. A marshaller of your own is
combined with the invoker that fits what it decodes, as in the seed: ``class Mine(CustomMarshaller, GenericInvoker)``.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from typeddingo.contract import Contract
from typeddingo.converters.codecs import Codecs
from typeddingo.errors import ArgumentError, DecodeError
from typeddingo.row import Unfit

__all__ = ["DirectInvoker", "GenericInvoker", "InvokeError", "Invoker", "LazyInvoker", "compile_call", "invoker_of"]

Call: TypeAlias = Callable[[tuple[object, ...], Mapping[str, object]], object]


class InvokeError(ArgumentError):
    """The values do not make a call of the function; it was not called. Reported as ``ErrorCode.INVOKE``."""


@runtime_checkable
class Invoker(Protocol):
    """Calls functions with values that came off the wire (Go: ``Invoker``). Thread-safe."""

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        """What ``fn`` returns for ``args``: a coroutine when it is an ``async def`` (Go: ``Call``).
        Raises ``InvokeError`` before ``fn`` is called, else whatever ``fn`` raises."""
        ...

    def returns(self, fn: Callable[..., object], values: tuple[object, ...], /) -> tuple[object, ...]:
        """Return values off the wire as the types that ``fn`` is annotated with (Go: ``Return``).
        Raises ``InvokeError``."""
        ...


class DirectInvoker:
    """Calls as it is told: for marshallers whose values have the annotated types already. Costs nothing."""

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        """``fn(*args)``."""
        return fn(*args)

    def returns(self, fn: Callable[..., object], values: tuple[object, ...], /) -> tuple[object, ...]:
        """The values as they are."""
        return values


class LazyInvoker(DirectInvoker):
    """Takes exact types only; another type or a wrong count is an ``InvokeError`` (Go: ``LazyInvoker``)."""

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        """``fn(*args)`` when each argument is of its annotation. Raises ``InvokeError``, ``SignatureError``."""
        return fn(*self.arguments(_contract_of(fn, strict=True), args, {})[0])

    def returns(self, fn: Callable[..., object], values: tuple[object, ...], /) -> tuple[object, ...]:
        """The values when each is of its return annotation. Raises ``InvokeError``, ``SignatureError``."""
        contract = _contract_of(fn, strict=True)
        try:
            return contract.returns.check_values(values)
        except Unfit as err:
            raise InvokeError(f"task {contract.name!r}: {err.text}", task=contract.name, misfits=err.misfits) from None

    def arguments(
        self, contract: Contract, args: tuple[object, ...], kwargs: Mapping[str, object], /
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        """What the function will be called with. Raises ``InvokeError``."""
        try:
            return contract.bind(args, kwargs)
        except ArgumentError as err:
            raise InvokeError(str(err), task=err.task, misfits=err.misfits) from None


class GenericInvoker(LazyInvoker):
    """Corrects types where nothing is lost: ``"5"`` and ``5.0`` for an int, a dict for a dataclass, an attrs class or a
    model, a list for a tuple (Go: ``GenericInvoker``). Where Go truncates (``5.9`` for an int) or wraps around, this is
    an ``InvokeError``: a corrected value must still be the caller's."""

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        """``fn`` called with the corrected arguments. Raises ``InvokeError``, ``SignatureError``."""
        corrected, named = self.arguments(_contract_of(fn, strict=False), args, {})
        return fn(*corrected, **named)

    def returns(self, fn: Callable[..., object], values: tuple[object, ...], /) -> tuple[object, ...]:
        """The corrected return values. Raises ``InvokeError``, ``SignatureError``."""
        contract = _contract_of(fn, strict=False)
        if len(values) != (count := contract.returns.count):
            raise InvokeError(f"task {contract.name!r}: expected {count} values, there are {len(values)}")
        try:
            return contract.returns.load_tree(values)
        except DecodeError as err:
            raise InvokeError(str(err), task=contract.name, misfits=err.misfits) from None

    def arguments(
        self, contract: Contract, args: tuple[object, ...], kwargs: Mapping[str, object], /
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        """What the function will be called with. Raises ``InvokeError``."""
        try:
            args = contract.arguments.load_tree(args)
            kwargs = contract.keywords.load_tree(kwargs) if kwargs else kwargs
            contract.check_loaded(args, kwargs)
        except DecodeError as err:
            raise InvokeError(str(err), task=contract.name, misfits=err.misfits) from None
        return args, kwargs


def invoker_of(marshaller: object) -> Invoker:
    """How what a marshaller decodes reaches a function: as it says itself or, when it wraps another one and has an
    ``invoker`` for that, as this says; else directly."""
    invoker = getattr(marshaller, "invoker", marshaller)
    return invoker if isinstance(invoker, Invoker) else DirectInvoker()


def compile_call(invoker: Invoker, contract: Contract, fn: Callable[..., object]) -> Call:
    """What a worker does for each message of one task, decided once: through ``invoker``, as ``contract`` says, into
    ``fn`` (the task's function, or what injects the context into it)."""
    if type(invoker).call is DirectInvoker.call:
        return lambda args, kwargs: fn(*args, **kwargs) if kwargs else fn(*args)
    if isinstance(invoker, LazyInvoker) and type(invoker).call in (LazyInvoker.call, GenericInvoker.call):
        correct = invoker.arguments
        contract = _of_strictness(contract, strict=not isinstance(invoker, GenericInvoker))

        def corrected(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
            args, kwargs = correct(contract, args, kwargs)
            return fn(*args, **kwargs)

        return corrected
    # Somebody's own invoker knows positions only, as the seed's interface does: names are put on the function.
    return lambda args, kwargs: invoker.call(functools.partial(fn, **kwargs) if kwargs else fn, args)


def _of_strictness(contract: Contract, *, strict: bool) -> Contract:
    if contract.strict is strict:
        return contract
    codecs = Codecs(strict=strict, converter=contract.converter)
    made = Contract(contract.name, contract.fn, contract.signature, codecs)
    codecs.settle()
    return made


_contracts: weakref.WeakKeyDictionary[object, dict[bool, Contract]] = weakref.WeakKeyDictionary()


def _contract_of(fn: Callable[..., object], *, strict: bool) -> Contract:
    """Compiled once a function; two threads that meet here make the same thing twice, which harms nobody."""
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    try:
        known = _contracts.setdefault(fn, {})
    except TypeError:  # neither hashable nor weakly referable: a rare callable, compiled each time
        return Contract.of(fn, name=name, strict=strict)
    if (contract := known.get(strict)) is None:
        contract = known[strict] = Contract.of(fn, name=name, strict=strict)
    return contract
