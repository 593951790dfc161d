"""A wire format of your own: every value is the text it prints as, and an invoker turns text into the annotated types.

Shows: a `Codec`, `CustomMarshaller` with an invoker of your own, and `marshaller=` on a task. `marshal_locally` takes
local calls through the marshaller, as a broker would.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from typeddingo import App, Config, CustomMarshaller, GenericInvoker
from typeddingo.contract import Contract


class PlainText:
    """Values to bytes and back. The contract knows the task's name and its annotations; this codec needs neither."""

    def prepare(self, contract: Contract, /) -> None:
        print(f"{contract.name!r} will travel as plain text")

    def encode_arguments(self, contract: Contract, args: tuple[object, ...], /) -> list[bytes]:
        return [str(value).encode() for value in args]

    def decode_arguments(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]:
        return tuple(chunk.decode() for chunk in chunks)

    def encode_returns(self, contract: Contract, values: tuple[object, ...], /) -> list[bytes]:
        return [str(value).encode() for value in values]

    def decode_returns(self, contract: Contract, chunks: list[bytes], /) -> tuple[object, ...]:
        return tuple(chunk.decode() for chunk in chunks)


class Talkative(CustomMarshaller, GenericInvoker):
    """The generic invoker corrects types; this one also says what it got."""

    def call(self, fn: Callable[..., object], args: tuple[object, ...], /) -> object:
        print("the invoker got", args)
        return super().call(fn, args)


app = App("local", config=Config(marshal_locally=True))
plain = Talkative(PlainText())


@app.task(name="due", marshaller=plain, report_marshaller=plain)
def due(start: date, days: int) -> date:
    return start + timedelta(days=days)


if __name__ == "__main__":
    with app:
        print(repr(due.call(date(2026, 11, 24), 30).get(timeout=10)))
