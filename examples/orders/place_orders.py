"""A caller: places three orders, of which the last is a bad one.

    python -m examples.orders.place_orders

Shows: a result that is an ``Invoice`` again, progress as it comes, and what a failure looks like to the caller.
"""

from __future__ import annotations

from datetime import datetime

from examples.orders.models import Order, OrderLine
from examples.orders.tasks import app, bill
from typeddingo import TaskFailed


def order(number: int, customer: str, **articles: int) -> Order:
    lines = tuple(OrderLine(article=article, quantity=quantity) for article, quantity in articles.items())
    placed = datetime.fromisoformat("2026-11-24T09:30:00+01:00")
    return Order(number=number, customer=customer, placed=placed, lines=lines)


def place(order: Order) -> None:
    result = bill.call(order)  # returns when the order is stored: from now on it survives us
    for report in result.reports(timeout=30):
        if report.progress is not None:
            done, total = report.progress
            print(f"order {order.number}: {done:g} of {total:g} lines")
    try:
        invoice = result.get()
        print(f"order {order.number}: {invoice.total} are due on {invoice.due:%d %B}")
    except TaskFailed as failure:
        print(f"order {order.number}: {failure.exception_type}: {failure.message}")


def main() -> None:
    with app:
        place(order(1001, "Anna", tea=2))
        place(order(1002, "Ben", tea=1, milk=3, honey=1))
        place(order(1003, "Carla", milk=1, unicorn=1))


if __name__ == "__main__":
    main()
