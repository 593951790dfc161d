"""The order of W5, about 1 KB of JSON: a nested pydantic model with twenty items, a datetime and Decimals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from pydantic import BaseModel

__all__ = ["ORDER", "Address", "Item", "Order"]


class Item(BaseModel):
    """One line."""

    sku: str
    count: int
    price: Decimal


class Address(BaseModel):
    """Where it goes."""

    street: str
    city: str


class Order(BaseModel):
    """All of it."""

    id: int
    placed: datetime
    to: Address
    shipping: Decimal
    items: list[Item]


ORDER = Order(
    id=70_001,
    placed=datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
    to=Address(street="12 Long Lane", city="Aarhus"),
    shipping=Decimal("4.90"),
    items=[
        Item(sku=f"A-{number:03}", count=number % 5 + 1, price=Decimal(number) + Decimal("0.95"))
        for number in range(20)
    ],
)
