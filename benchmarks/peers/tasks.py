"""What every system runs: next to nothing, so that what is measured is the way there and back."""

from __future__ import annotations

import time

from benchmarks.peers.orders import Order

__all__ = ["add", "nap", "price"]


def add(a: int, b: int) -> int:
    """The task of all workloads but the following."""
    return a + b


def nap(seconds: float) -> float:
    """A task that waits for something else."""
    if seconds:
        time.sleep(seconds)
    return seconds


def price(order: Order) -> str:
    """W5: what a shop would send."""
    return str(sum((item.price * item.count for item in order.items), start=order.shipping))
