"""A caller of the next version, put into service before the workers were: its orders may carry a note.

    python -m examples.orders.place_gift

Shows: what happens to a task that the workers do not understand. It is refused, not half understood, and not lost.
"""

from __future__ import annotations

import os
from datetime import datetime

from examples.orders.models import Invoice, Order, OrderLine
from typeddingo import App, TaskFailed


class GiftOrder(Order):
    """What ``models.Order`` is in the next version."""

    note: str


app = App(os.environ.get("TYPEDDINGO_URL", "redis://localhost:6379/0"))


@app.task(name="examples.orders.tasks.bill")
def bill(order: GiftOrder) -> Invoice:
    raise NotImplementedError("the workers do this")


def main() -> None:
    placed = datetime.fromisoformat("2026-11-24T10:00:00+01:00")
    tea = OrderLine(article="tea", quantity=1)
    with app:
        result = bill.call(GiftOrder(number=1004, customer="Dora", placed=placed, lines=(tea,), note="for Emil"))
        try:
            result.get(timeout=30)
        except TaskFailed as failure:
            print("order 1004:", failure.message)


if __name__ == "__main__":
    main()
