"""The module that the tests of the command line work with; copied into a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from typeddingo import App, Tasks

app = App("local")
orphans = Tasks()


@dataclass(frozen=True)
class Item:
    name: str
    price: Decimal


@app.task
def total(items: list[Item], *, discount: Decimal = Decimal(0)) -> Decimal:
    return sum((item.price for item in items), Decimal(0)) - discount


@app.task
def halves(number: int, by: int = 2) -> tuple[int, int]:
    return divmod(number, by)


@app.task
async def greet(name: str) -> str:
    if not name:
        raise ValueError("nobody\x1b[2J is there")
    return f"Grüß Gott, {name}"


@app.task
def nothing() -> None: ...


def make() -> App:
    return app


def needs(url: str) -> App:
    return App(url)
