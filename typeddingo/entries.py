"""Tasks as the engine needs them and nobody has registered. Made from registered ones, used where pipelines pass."""

from __future__ import annotations

from types import GenericAlias

from typeddingo.contract import Contract
from typeddingo.errors import SignatureError
from typeddingo.registry import Entry

__all__ = ["list_of", "stranger"]


def _nobody() -> None: ...


def stranger(name: str) -> Entry:
    """A task we do not know, as far as its Fail report needs it: in the default encoding."""
    return Entry(name, _nobody, Contract.of(_nobody, name=name))


def list_of(entry: Entry) -> Entry:
    """The same task for every value of a list: takes the list, gives the list of what it returns. Made once. Raises
    ``SignatureError`` for a task without parameters."""
    if (listed := entry.listed) is None:
        contract = entry.contract
        parameters = contract.signature.positional or contract.signature.parameters
        if not parameters or parameters[0].keyword_only:
            raise SignatureError(f"each({entry.name!r}): the task takes no value; it must have a parameter by position")

        def every(values: list[object], /) -> list[object]:
            raise NotImplementedError

        every.__annotations__ = {
            "values": GenericAlias(list, (parameters[0].annotation,)),
            "return": GenericAlias(list, (contract.signature.returns,)),
        }
        made = Contract.of(every, name=entry.name, strict=contract.strict, converter=contract.converter)
        listed = entry.listed = Entry(
            entry.name, every, made, marshaller=entry.marshaller, report_marshaller=entry.report_marshaller
        )
    return listed
