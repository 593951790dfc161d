"""The interface between messages and frames. Comes from the bridge, goes to a broker or backend; and back."""

from __future__ import annotations

import enum
from typing import Protocol, runtime_checkable

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.header import Header
from typeddingo.journey import Journey
from typeddingo.message import Report, TaskMessage
from typeddingo.option import Option

__all__ = ["Codec", "JourneyReader", "Limits", "Marshaller", "MarshallerID", "carries_journeys"]


class MarshallerID(enum.IntEnum):
    """The built-in marshallers (Go: ``Encode``; 2 is Go's gob, which nobody else can read)."""

    DEFAULT = 0
    """JSON here; Go's default is JSONSAFE."""
    JSON = 1
    MSGPACK = 2
    JSONSAFE = 3


class Marshaller(Protocol):
    """Messages to frames and back (Go: ``Marshaller``). Thread-safe; keeps no state between calls."""

    def prepare(self, contract: Contract, /) -> None:
        """Called once for each task that will use this marshaller (Go: ``Prepare``)."""
        ...

    def encode_task(self, contract: Contract, task: TaskMessage, /) -> bytes:
        """The whole frame, header included. Raises ``PayloadTooLarge`` or ``ArgumentError``."""
        ...

    def decode_task(self, contract: Contract, header: Header, frame: bytes, /) -> TaskMessage:
        """Raises ``WireError``."""
        ...

    def encode_report(self, contract: Contract, report: Report[object], /) -> bytes:
        """The whole frame, header included. Raises ``PayloadTooLarge``."""
        ...

    def decode_report(self, contract: Contract, header: Header, frame: bytes, /) -> Report[object]:
        """Raises ``WireError``."""
        ...


@runtime_checkable
class JourneyReader(Protocol):
    """A marshaller that writes ``TaskMessage.journey`` and reads it again: its tasks may be steps of a pipeline. All of
    ours are."""

    def journey_in(self, contract: Contract, header: Header, frame: bytes, /) -> Journey | None:
        """The steps alone, of a frame whose arguments may be unreadable. Raises ``WireError``."""
        ...


@runtime_checkable
class OptionReader(Protocol):
    """A marshaller that can tell how a call wants to be reported although its values cannot be read. Optional."""

    def option_in(self, contract: Contract, header: Header, frame: bytes, /) -> Option:
        """The option alone. Raises ``WireError``."""
        ...


def carries_journeys(marshaller: Marshaller) -> bool:
    """Tasks of this marshaller may be steps of a pipeline."""
    return isinstance(marshaller, JourneyReader) and bool(getattr(marshaller, "carries_journeys", True))


class Codec(Protocol):
    """What ``CustomMarshaller`` needs to know: values to chunks of bytes and back (Go: ``CustomMarshallerCodec``)."""

    def prepare(self, contract: Contract, /) -> None: ...

    def encode_arguments(self, contract: Contract, args: tuple[object, ...], /) -> list[bytes]:
        """One chunk an argument, or as many as the codec likes."""
        ...

    def decode_arguments(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]: ...

    def encode_returns(self, contract: Contract, values: tuple[object, ...], /) -> list[bytes]: ...

    def decode_returns(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]: ...
