"""Functions that child processes find by their names. Comes from test_isolation, which registers them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from typeddingo import Context, Retry, Tasks, current_context

tasks = Tasks()


@dataclass(frozen=True)
class Order:
    item: str
    count: int


def add(a: int, b: int = 1) -> int:
    return a + b


def total(*orders: Order, start: int = 0) -> Order:
    return Order("+".join(order.item for order in orders), start + sum(order.count for order in orders))


def pid() -> int:
    return os.getpid()


async def later(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


async def never() -> None:
    await asyncio.sleep(60)


def fails(message: str) -> None:
    raise ValueError(message)


def wrong() -> int:
    return "text"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # on purpose


def spins() -> None:
    """Python code, which an exception can end."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass


def stubborn(note: str) -> None:
    """C code that holds the interpreter: no thread of this process runs meanwhile."""
    Path(note).write_text(str(os.getpid()), encoding="utf-8")
    re.match(r"(a+)+$", "a" * 60 + "b")


def dies(how: str) -> None:
    if how == "exits":
        os._exit(3)
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "leaves":
        sys.exit(4)


def reports(context: Context, steps: int) -> str:
    for step in range(1, steps + 1):
        context.progress(step, steps)
    current_context().progress(steps + 1)
    return f"{context.name} {context.id} {context.attempt}"


def waits_for_the_end(note: str) -> str:
    Path(note).touch()
    context = current_context()
    while not context.cancelled:
        time.sleep(0.005)
    return "ended in peace"


def has_a_child_of_its_own(note: str) -> None:
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(note).write_text(str(started.pid), encoding="utf-8")
    time.sleep(60)


def leaves_a_fork(note: str) -> None:
    """Its copy of the sockets must not keep the worker waiting."""
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    Path(note).write_text(str(child), encoding="utf-8")
    os._exit(5)


def leaves_a_thread_that_reports(context: Context) -> None:
    def late() -> None:
        for _ in range(1000):
            context.progress(1)
            time.sleep(0.001)

    threading.Thread(target=late, daemon=True).start()


def echo(data: bytes) -> bytes:
    return data


def talks(text: str) -> None:
    print(text, end="")


@tasks.task(name="moody", isolation="process", retries=2, backoff=0)
def moody(file: str) -> int:
    """Fails once, asks for another run, succeeds."""
    with Path(file).open("a", encoding="utf-8") as tries:
        tries.write(f"{current_context().attempt} ")
    count = len(Path(file).read_text(encoding="utf-8").split())
    if count == 1:
        raise ConnectionError("again")
    if count == 2:
        raise Retry(after=0.01)
    return count


@tasks.task(name="mortal", isolation="process", retries=5, backoff=0, retry_on=(ChildProcessError,))
def mortal(file: str) -> int:
    """Dies twice, fails in the end."""
    with Path(file).open("a", encoding="utf-8") as tries:
        tries.write("x")
    if len(Path(file).read_text(encoding="utf-8")) < 3:
        os._exit(1)
    raise ConnectionError("not again")


def interval(seconds: float) -> tuple[float, float]:
    """When it ran, by the clock that all processes share."""
    begin = time.monotonic()
    time.sleep(seconds)
    return begin, time.monotonic()


def tenant(context: Context) -> str:
    return context.headers.get("tenant", "nobody")


def ticks() -> None:
    with Path(os.environ["APART_NOTE"]).open("a", encoding="utf-8") as note:
        note.write("x")
