"""What callers and workers of the shop share: orders and invoices."""

from __future__ import annotations

from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, PositiveInt


class Model(BaseModel):
    """A field that this version does not know is refused: half of an order is worse than none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OrderLine(Model):
    article: str
    quantity: PositiveInt


class Order(Model):
    number: int
    customer: str
    placed: AwareDatetime
    lines: tuple[OrderLine, ...]


class InvoiceLine(Model):
    article: str
    quantity: PositiveInt
    price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.price * self.quantity


class Invoice(Model):
    order: Order
    lines: tuple[InvoiceLine, ...]
    due: AwareDatetime
    net: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return self.net + self.tax
