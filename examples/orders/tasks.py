"""The shop's one task, for callers and workers alike.

    typeddingo worker examples.orders.tasks:app

Shows: pydantic models with nested lines, Decimal money and aware datetimes; progress reports; a failure with a type of
its own. A task may run twice, when its worker dies just before it is done: this one then writes the same file again.
"""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from examples.orders.models import Invoice, InvoiceLine, Order
from typeddingo import App, Context, Option

PRICES = {"tea": Decimal("4.20"), "milk": Decimal("1.10"), "honey": Decimal("7.35")}
TAX = Decimal("0.07")

app = App(os.environ.get("TYPEDDINGO_URL", "redis://localhost:6379/0"))
folder = Path(os.environ.get("INVOICES", "invoices"))


class NotForSale(Exception):
    """The order names an article that the shop does not have."""


@app.task(context=True, option=Option(monitor_progress=True))
def bill(context: Context, order: Order) -> Invoice:
    """Write the invoice of an order."""
    lines: list[InvoiceLine] = []
    for line in order.lines:
        if line.article not in PRICES:
            raise NotForSale(f"order {order.number}: we do not sell {line.article}")
        lines.append(InvoiceLine(article=line.article, quantity=line.quantity, price=PRICES[line.article]))
        context.progress(len(lines), len(order.lines))
    net = sum((line.amount for line in lines), Decimal())
    tax = (net * TAX).quantize(Decimal("0.01"))
    invoice = Invoice(order=order, lines=tuple(lines), due=order.placed + timedelta(days=14), net=net, tax=tax)
    keep(invoice)
    return invoice


def keep(invoice: Invoice) -> None:
    """Whoever looks into the folder sees a whole invoice or none."""
    folder.mkdir(exist_ok=True)
    written = folder / f"{invoice.order.number}.json.part"
    written.write_text(invoice.model_dump_json(indent=2), encoding="utf-8")
    written.rename(folder / f"{invoice.order.number}.json")
