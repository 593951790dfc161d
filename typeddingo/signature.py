"""A function's signature, read once. Comes from the decorator, goes to ``contract``.

The only file that touches ``inspect``.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import typing_extensions

from typeddingo.converters.hints import resolved_hints
from typeddingo.errors import SignatureError

__all__ = ["Parameter", "Signature", "accepts", "read_signature", "takes_by_name"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task, its annotation resolved."""

    name: str
    annotation: object
    kind: object
    """Python's own word for it, one of ``inspect.Parameter``'s constants."""
    required: bool

    @property
    def positional(self) -> bool:
        """It travels by position: the fixed part of the argument list."""
        return self.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

    @property
    def nameable(self) -> bool:
        """It may be given by name."""
        return self.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

    @property
    def keyword_only(self) -> bool:
        """It can only be given by name."""
        return self.kind is inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, slots=True)
class Signature:
    """What a call may look like. The injected context is not part of it."""

    parameters: tuple[Parameter, ...]
    returns: object
    is_async: bool
    native: inspect.Signature
    """Python's own, without the injected parameter: it binds the unusual calls."""

    @property
    def positional(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.positional)

    @property
    def needed(self) -> tuple[str, ...]:
        """What every call must give."""
        many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return tuple(p.name for p in self.parameters if p.required and p.kind not in many)

    @property
    def keyword_only(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.keyword_only)

    @property
    def var_positional(self) -> Parameter | None:
        return next((p for p in self.parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), None)

    @property
    def var_keyword(self) -> Parameter | None:
        return next((p for p in self.parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)


def read_signature(
    fn: Callable[..., object], *, name: str, context: bool, namespace: Mapping[str, object] | None = None
) -> Signature:
    """Read and check a callable's signature. ``context``: its first parameter is injected by the worker.
    ``namespace`` resolves names that are local to the place of decoration. Raises ``SignatureError``."""
    target = _function_behind(fn)
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise SignatureError(
            f"task {name!r} is a generator: a task returns one value; return a list instead of yielding"
        )
    try:
        native = inspect.signature(fn)
    except (TypeError, ValueError) as err:
        raise SignatureError(
            f"task {name!r}: the signature of {fn!r} cannot be read ({err}); wrap it in a def"
        ) from err
    hints = _hints_of(target, name, namespace)
    given = list(native.parameters.values())
    if context:
        if not given or given[0].kind not in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            raise SignatureError(f"task {name!r} has context=True: its first parameter must be the Context")
        given = given[1:]
        native = native.replace(parameters=given)
    parameters = tuple(_parameter(p, hints, name) for p in given)
    if "return" not in hints:
        raise SignatureError(f"task {name!r} has no return annotation: write '-> None' if it returns nothing")
    return Signature(
        parameters=parameters,
        returns=hints["return"],
        is_async=inspect.iscoroutinefunction(target),
        native=native,
    )


def accepts(fn: Callable[..., object], signature: Signature) -> bool:
    """``fn`` can be called with every complete call of this signature."""
    try:
        native = inspect.signature(fn)
    except (TypeError, ValueError):
        return True  # it keeps that to itself: the first call will tell
    kinds = {parameter.kind for parameter in native.parameters.values()}
    if signature.var_positional is not None and inspect.Parameter.VAR_POSITIONAL not in kinds:
        return False
    if signature.var_keyword is not None and inspect.Parameter.VAR_KEYWORD not in kinds:
        return False
    try:
        native.bind(*signature.positional, **{parameter.name: parameter for parameter in signature.keyword_only})
    except TypeError:
        return False
    return True


def takes_by_name(constructor: Callable[..., object], names: Iterable[str]) -> bool:
    """An ``__init__`` can be called with exactly these keyword arguments."""
    if constructor is object.__init__:
        return not list(names)
    try:
        native = inspect.signature(constructor)
    except (TypeError, ValueError):
        return True  # it keeps that to itself: the first call will tell
    try:
        native.bind(None, **dict.fromkeys(names))
    except TypeError:
        return False
    return True


def _parameter(parameter: inspect.Parameter, hints: Mapping[str, object], task: str) -> Parameter:
    if parameter.name not in hints:
        raise SignatureError(
            f"task {task!r}: parameter {parameter.name!r} has no annotation: write '{parameter.name}: int' "
            "(or whatever it is); the annotations are the contract"
        )
    if typing.get_origin(hints[parameter.name]) in (typing.Unpack, typing_extensions.Unpack):
        raise SignatureError(
            f"task {task!r}: parameter {parameter.name!r} is an Unpack[…], which is not carried: "
            "declare its members as parameters of their own ('*, a: int, b: str')"
        )
    return Parameter(
        name=parameter.name,
        annotation=hints[parameter.name],
        kind=parameter.kind,
        required=parameter.default is inspect.Parameter.empty,
    )


def _function_behind(fn: Callable[..., object]) -> Callable[..., object]:
    """The function that carries the annotations: behind bound methods, partials, wrappers and callable objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    if inspect.ismethod(fn):
        return fn.__func__
    if inspect.isfunction(fn) or inspect.isbuiltin(fn) or inspect.isclass(fn):
        return fn
    call = getattr(type(fn), "__call__", None)  # noqa: B004  # the method itself is wanted, not whether there is one
    return inspect.unwrap(call) if inspect.isfunction(call) else fn


def _hints_of(target: Callable[..., object], name: str, namespace: Mapping[str, object] | None) -> dict[str, Any]:
    if not hasattr(target, "__annotations__"):
        raise SignatureError(f"task {name!r}: {target!r} has no annotations; wrap it in an annotated def")
    try:
        return resolved_hints(target, namespace or {})
    except SignatureError as err:
        raise SignatureError(f"task {name!r}: {err}") from err.__cause__
