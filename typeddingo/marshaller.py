"""The interface between messages and frames. Comes from the bridge, goes to a broker or backend; and back."""

from __future__ import annotations

import enum
from typing import Protocol

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.header import Header
from typeddingo.message import Report, TaskMessage

__all__ = ["Codec", "Limits", "Marshaller", "MarshallerID"]


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


class Codec(Protocol):
    """What ``CustomMarshaller`` needs to know: values to chunks of bytes and back (Go: ``CustomMarshallerCodec``)."""

    def prepare(self, contract: Contract, /) -> None: ...

    def encode_arguments(self, contract: Contract, args: tuple[object, ...], /) -> list[bytes]:
        """One chunk an argument, or as many as the codec likes."""
        ...

    def decode_arguments(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]: ...

    def encode_returns(self, contract: Contract, values: tuple[object, ...], /) -> list[bytes]: ...

    def decode_returns(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]: ...
