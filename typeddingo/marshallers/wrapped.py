"""A marshaller around another: its frames hold the other's, changed by ``wrap``, and changed back by ``unwrap``.

Comes from the bridge, asks the inner marshaller, goes to a broker or backend; and back. The frame outside has the same
name and id as the one inside, so brokers, mappers and workers need not know that it is wrapped.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Literal, TypeAlias

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.errors import HeaderError, Untrusted, WireError
from typeddingo.header import Header, compose_bytes, decompose_bytes
from typeddingo.invoker import Invoker, invoker_of
from typeddingo.journey import Journey
from typeddingo.marshaller import JourneyReader, Marshaller, carries_journeys
from typeddingo.marshallers.departure import check_size
from typeddingo.marshallers.guard import check_arrival
from typeddingo.message import Report, TaskMessage

__all__ = ["FrameKind", "WrappedMarshaller"]

FrameKind: TypeAlias = Literal["task", "report"]
"""What a frame holds. One kind must not pass for the other."""


class WrappedMarshaller(abc.ABC):
    """To build on: ``SignedMarshaller`` is one, encryption is another. Thread-safe as far as the two hooks are.

    It calls functions as the inner marshaller does, and can itself be wrapped.
    """

    signs: bool = False
    """Only who holds a secret can make its frames. The engine then puts the address of the reports inside, and says
    nothing in a report of its own about a frame that was not trusted."""

    def __init__(self, inner: Marshaller, limits: Limits | None = None) -> None:
        """``limits`` are those of the frame outside; the inner marshaller has its own."""
        self._inner = inner
        self._limits = limits or Limits()
        self.invoker: Invoker = invoker_of(inner)
        """How decoded arguments reach a function: as the inner marshaller says."""
        self.signs = type(self).signs or bool(getattr(inner, "signs", False))

    @abc.abstractmethod
    def wrap(self, kind: FrameKind, frame: bytes, /) -> list[bytes]:
        """The chunks that travel instead of this frame of the inner marshaller, one at least."""

    @abc.abstractmethod
    def unwrap(self, kind: FrameKind, chunks: list[bytes], /) -> bytes:
        """The frame that ``wrap`` was given. Whatever it raises is an ``Untrusted`` to who called."""

    def prepare(self, contract: Contract, /) -> None:
        """Passed on (Go: ``Prepare``)."""
        self._inner.prepare(contract)

    def encode_task(self, contract: Contract, task: TaskMessage, /) -> bytes:
        """Raises ``PayloadTooLarge``, and what the inner marshaller raises."""
        return self._wrapped("task", task.id, task.name, self._inner.encode_task(contract, task))

    def decode_task(self, contract: Contract, header: Header, frame: bytes, /) -> TaskMessage:
        """Raises ``Untrusted`` for what cannot be unwrapped, and what the inner marshaller raises."""
        inside, frame = self._unwrapped("task", contract, header, frame)
        return self._inner.decode_task(contract, inside, frame)

    @property
    def carries_journeys(self) -> bool:
        """As the inner marshaller does."""
        return carries_journeys(self._inner)

    def journey_in(self, contract: Contract, header: Header, frame: bytes, /) -> Journey | None:
        """See ``JourneyReader``. Raises ``WireError``."""
        inside, frame = self._unwrapped("task", contract, header, frame)
        return self._inner.journey_in(contract, inside, frame) if isinstance(self._inner, JourneyReader) else None

    def encode_report(self, contract: Contract, report: Report[object], /) -> bytes:
        """Raises ``PayloadTooLarge``, and what the inner marshaller raises."""
        return self._wrapped("report", report.id, report.name, self._inner.encode_report(contract, report))

    def decode_report(self, contract: Contract, header: Header, frame: bytes, /) -> Report[object]:
        """Raises ``Untrusted`` for what cannot be unwrapped, and what the inner marshaller raises."""
        inside, frame = self._unwrapped("report", contract, header, frame)
        return self._inner.decode_report(contract, inside, frame)

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        """Go: ``Invoker.Call``, as the inner marshaller does it."""
        return self.invoker.call(fn, args)

    def returns(self, fn: Callable[..., object], values: tuple[object, ...], /) -> tuple[object, ...]:
        """Go: ``Invoker.Return``, as the inner marshaller does it."""
        return self.invoker.returns(fn, values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {type(self._inner).__name__}>"

    def _wrapped(self, kind: FrameKind, id: str, name: str, frame: bytes) -> bytes:
        frame = compose_bytes(id, name, self.wrap(kind, frame))
        check_size(name, frame, self._limits)
        return frame

    def _unwrapped(self, kind: FrameKind, contract: Contract, header: Header, frame: bytes) -> tuple[Header, bytes]:
        try:
            frame = self._opened(kind, contract.name, header, frame)
            inside = Header.from_bytes(frame, max_chunks=self._limits.registry)
        except WireError as error:
            raise Untrusted(f"task {contract.name!r}: {str(error).removeprefix(f'task {contract.name!r}: ')}") from None
        except Exception as error:  # the bytes are anybody's, and the hook may not be ours
            what = f"task {contract.name!r}: the {kind} could not be unwrapped ({type(error).__name__})"
            raise Untrusted(what) from error
        if (inside.id, inside.name) != (header.id, header.name):
            raise Untrusted(f"task {contract.name!r}: the {kind} inside belongs to another call")
        return inside, frame

    def _opened(self, kind: FrameKind, name: str, header: Header, frame: bytes) -> bytes:
        check_arrival(name, header, frame, self._limits)
        start = header.length
        # Written exactly as ``_wrapped`` writes: what ``unwrap`` does not see is nobody's to choose.
        if start + sum(header.registry) != len(frame) or frame[:start] != header.to_bytes():
            raise HeaderError(f"the {kind} was not made by a {type(self).__name__}")
        return self.unwrap(kind, decompose_bytes(header, frame))
