"""Marshaller 3, Go dingo's default: every argument and return value its own JSON chunk.

Comes from the bridge, goes to a broker or backend; and back. A custom marshaller whose codec is the contract itself.
"""

from __future__ import annotations

from typeddingo.config import Limits
from typeddingo.contract import Contract
from typeddingo.marshallers.custom import CustomMarshaller
from typeddingo.marshallers.departure import need_depth
from typeddingo.marshallers.guard import check_json

__all__ = ["JSONSafeCodec", "JSONSafeMarshaller"]


class JSONSafeCodec:
    """Values to JSON chunks and back (Go: ``JSONSafeCodec``). Thread-safe."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._unchecked = min(limits.depth, limits.digits)  # bytes that hold nothing for check_json but objects

    def prepare(self, contract: Contract, /) -> None:
        """Nothing to prepare: the contract is compiled."""

    def encode_arguments(self, contract: Contract, args: tuple[object, ...], /) -> list[bytes]:
        """One JSON text an argument."""
        return self._shallow(contract.arguments.dump_chunks(args))

    def decode_arguments(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]:
        """Raises ``WireError``."""
        self._check(contract, chunks)
        return contract.arguments.load_chunks(chunks)

    def encode_returns(self, contract: Contract, values: tuple[object, ...], /) -> list[bytes]:
        """One JSON text a return value."""
        return self._shallow(contract.returns.dump_chunks(values))

    def decode_returns(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]:
        """Raises ``WireError``."""
        self._check(contract, chunks)
        return contract.returns.load_chunks(chunks)

    def _check(self, contract: Contract, chunks: list[bytes]) -> None:
        for chunk in chunks:
            if len(chunk) > self._unchecked or b"{" in chunk:
                check_json(contract.name, chunk, self._limits)

    def _shallow(self, chunks: list[bytes]) -> list[bytes]:
        for chunk in chunks:
            if len(chunk) > self._limits.depth:
                need_depth(chunk, self._limits)
        return chunks


class JSONSafeMarshaller(CustomMarshaller):
    """Go: ``CustomMarshaller{JSONSafeCodec}``. Thread-safe."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(JSONSafeCodec(limits), limits)
