"""What a message must be before it is sent. Comes from every marshaller's encoder and goes back, or is an error."""

from __future__ import annotations

from typeddingo.config import Limits
from typeddingo.contract import Contract, ReturnMisfit
from typeddingo.errors import ArgumentError, ConfigError, PayloadTooLarge
from typeddingo.marshallers.guard import name_fits, size_of, too_deep
from typeddingo.row import Unfit

__all__ = ["check_names", "check_size", "need_depth", "unreturnable", "unsendable"]


def check_names(name: str, id: str, limits: Limits) -> None:
    """What a receiver would refuse is not sent. Raises ``ConfigError``."""
    if not name_fits(name, limits.name):
        raise ConfigError(f"the name of a task must be printable and at most {limits.name} bytes; give it another name")
    if len(id) > limits.id or not (id.isascii() or size_of(id) <= limits.id):
        raise ConfigError(f"task {name!r}: an id is at most {limits.id} bytes; make its id maker shorter ones")


def check_size(name: str, frame: bytes, limits: Limits) -> None:
    """The whole frame. Raises ``PayloadTooLarge``."""
    if len(frame) > limits.frame:
        raise PayloadTooLarge(
            f"task {name!r}: the frame would be {len(frame)} bytes, at most {limits.frame} are allowed; "
            "send a reference to the data, or raise Limits(frame=…) on both sides"
        )


def need_depth(data: bytes, limits: Limits, *, around: int = 0) -> None:
    """Nothing nested deeper than the receiver would take. Raises ``Unfit``."""
    if too_deep(data, limits, around):
        raise Unfit(f"expected lists and objects nested at most {limits.depth} deep")


def unsendable(contract: Contract, misfit: Unfit) -> ArgumentError:
    """An argument that was checked, and that the wire cannot carry all the same."""
    return ArgumentError(f"task {contract.name!r}: {misfit.text}", task=contract.name, misfits=misfit.misfits)


def unreturnable(contract: Contract, misfit: Unfit) -> ReturnMisfit:
    """A return value that was checked, and that the wire cannot carry all the same."""
    return ReturnMisfit(
        f"the return value of '-> {contract.returns_text}' cannot travel: {misfit.text}", misfit.misfits
    )
