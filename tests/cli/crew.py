"""A module with work for ``typeddingo worker`` that needs no server: broker and backend are this process's memory.

Every process that imports it sends itself the calls that stand in the file ``calls``, one a line; the file is removed
first, so that one process gets them. Copied into a folder of its own.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

from typeddingo import App, Config, LocalBackend, LocalBroker

BEGUN = Path("begun")
"""There as soon as a task that takes its time has begun."""

app = App("remote", config=Config(workers=2))
app.use(LocalBroker())
app.use(LocalBackend())


@app.task
def double(number: int) -> int:
    return 2 * number


@app.task(workers=3)
async def refuse(secret: str) -> None:
    raise ValueError(secret)


@app.task
def die(how: int) -> None:
    os._exit(how)


@app.task
def sleep(seconds: float) -> None:
    BEGUN.touch()
    time.sleep(seconds)


@app.task
def spawn(seconds: float) -> None:
    """Starts a program and waits for it."""
    BEGUN.touch()
    subprocess.run(["sleep", str(seconds)], check=False)


@app.task
def mark(name: str) -> None:
    Path(name).touch()


def send() -> None:
    calls: dict[str, Callable[..., object]] = {
        "double": double.call,
        "refuse": refuse.call,
        "die": die.call,
        "sleep": sleep.call,
        "spawn": spawn.call,
        "mark": mark.call,
    }
    try:
        os.rename("calls", "taken")
    except FileNotFoundError:
        pass
    else:
        for line in Path("taken").read_text().splitlines():
            name, _, value = line.partition(" ")
            calls[name](int(value) if value.isdigit() else float(value) if "." in value else value)
    if not app.closed:
        poll()


def poll() -> None:
    timer = Timer(0.05, send)
    timer.daemon = True
    timer.start()


poll()
