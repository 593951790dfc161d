"""Many results as one. Comes from the caller's results, is a ``Result`` itself; needs no thread of its own."""

from __future__ import annotations

import functools
from typing import TypeVar, cast, overload

from typeddingo.errors import ConfigError
from typeddingo.handlers import mutex
from typeddingo.option import Option
from typeddingo.result import Result

__all__ = ["gather"]

R = TypeVar("R")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
R5 = TypeVar("R5")
R6 = TypeVar("R6")
R7 = TypeVar("R7")
R8 = TypeVar("R8")

_NAMED = 4
"""Results that are named one by one; of more, only their number is told."""


class _Gathered(Result[tuple[object, ...]]):
    """Ends when all its parts have succeeded, or with the first that has not."""

    __slots__ = ("_left", "_parts")

    def __init__(self, parts: tuple[Result[object], ...]) -> None:
        super().__init__(
            f"gather({_summary([part.name for part in parts])})", _summary([part.id for part in parts]), Option()
        )
        self._home = next((part._home for part in parts if part._home is not None), None)
        self._parts = parts
        self._left = len(parts)
        if not parts:
            self._succeed(())
        for part in parts:
            part._on_end(functools.partial(self._part_ended, part))

    def cancel(self) -> None:
        """Cancel every part. See ``Result.cancel``."""
        for part in self._parts:
            part.cancel()

    def forget(self) -> None:
        """Raises ``ConfigError``: nothing is kept of it, and it lets go of its parts when it ends."""
        raise ConfigError("a gathered result is kept nowhere: call forget() of its parts")

    def _part_ended(self, part: Result[object]) -> None:
        if part.ok:
            with mutex:
                self._left -= 1
                if self._left or self.done:
                    return
            self._succeed(tuple(part._value for part in self._parts))
        elif (report := part.last) is not None and report.failed:
            self._deliver(report)
        else:
            self._close(part._error())
        self._parts = ()


def _summary(texts: list[str]) -> str:
    return ", ".join(texts) if len(texts) <= _NAMED else f"{texts[0]}, … {len(texts)}"


@overload
def gather() -> Result[tuple[()]]: ...
@overload
def gather(r1: Result[R1], /) -> Result[tuple[R1]]: ...
@overload
def gather(r1: Result[R1], r2: Result[R2], /) -> Result[tuple[R1, R2]]: ...
@overload
def gather(r1: Result[R1], r2: Result[R2], r3: Result[R3], /) -> Result[tuple[R1, R2, R3]]: ...
@overload
def gather(r1: Result[R1], r2: Result[R2], r3: Result[R3], r4: Result[R4], /) -> Result[tuple[R1, R2, R3, R4]]: ...
@overload
def gather(
    r1: Result[R1], r2: Result[R2], r3: Result[R3], r4: Result[R4], r5: Result[R5], /
) -> Result[tuple[R1, R2, R3, R4, R5]]: ...
@overload
def gather(
    r1: Result[R1], r2: Result[R2], r3: Result[R3], r4: Result[R4], r5: Result[R5], r6: Result[R6], /
) -> Result[tuple[R1, R2, R3, R4, R5, R6]]: ...
@overload
def gather(
    r1: Result[R1], r2: Result[R2], r3: Result[R3], r4: Result[R4], r5: Result[R5], r6: Result[R6], r7: Result[R7], /
) -> Result[tuple[R1, R2, R3, R4, R5, R6, R7]]: ...
@overload
def gather(
    r1: Result[R1],
    r2: Result[R2],
    r3: Result[R3],
    r4: Result[R4],
    r5: Result[R5],
    r6: Result[R6],
    r7: Result[R7],
    r8: Result[R8],
    /,
) -> Result[tuple[R1, R2, R3, R4, R5, R6, R7, R8]]: ...
@overload
def gather(*results: Result[R]) -> Result[tuple[R, ...]]: ...
def gather(*results: Result[object]) -> Result[tuple[object, ...]]:
    """One result for many: the tuple of what they return, in their order. Returns at once; thread-safe.

    It ends when all have succeeded. As soon as one has not, it ends as that one did: ``get`` raises its ``TaskFailed``,
    which names the task and id of the part. The parts go on and keep their own handlers. ``gather()`` of nothing has
    succeeded.
    """
    for result in results:
        if not isinstance(result, Result):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise TypeError(f"gather() takes results, not {type(result).__name__}: write gather(a.call(…), b.call(…))")
    return cast("Result[tuple[object, ...]]", _Gathered(results))
