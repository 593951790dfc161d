"""Tasks with a state: a bound method and a closure, registered by name.

Shows: `app.register`, the call form for everything that is not a plain `def`; the handle keeps the method's types.
The state lives in the process that works, here the same one. One worker each, so that nothing needs a lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from typeddingo import App


@dataclass
class Account:
    """Money is a Decimal on both sides of the call: nothing turns it into a float on the way."""

    balance: Decimal = Decimal(0)

    def deposit(self, amount: Decimal) -> Decimal:
        self.balance += amount
        return self.balance


def numbered(prefix: str) -> Callable[[str], str]:
    """A closure that remembers how often it was called."""
    count = 0

    def label(text: str) -> str:
        nonlocal count
        count += 1
        return f"{prefix}{count}: {text}"

    return label


def main() -> None:
    app = App("local")
    account = Account()
    deposit = app.register("deposit", account.deposit)
    label = app.register("label", numbered("No. "))
    with app:
        app.allocate(deposit, count=1)
        app.allocate(label, count=1)
        for amount in ("19.90", "0.10", "5"):
            print("balance:", deposit.call(Decimal(amount)).get(timeout=10))
        for text in ("first", "second"):
            print(label.call(text).get(timeout=10))
    print("the object itself:", account.balance)


if __name__ == "__main__":
    main()
