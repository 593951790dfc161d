"""A module whose tasks go where TYPEDDINGO_URL says; copied into a folder of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from typeddingo import App

app = App(os.environ["TYPEDDINGO_URL"])


@app.task
def shout(text: str) -> str:
    return text.upper()


@app.task
def die(name: str) -> None:
    """Leaves a mark for every start."""
    with Path(name).open("a") as marks:
        marks.write(".")
    os._exit(9)


@app.task
def sleep(name: str, seconds: float) -> int:
    """Returns how often it had been started."""
    with Path(name).open("a") as marks:  # open all the time: a test can see who is in it
        marks.write(".")
        marks.flush()
        time.sleep(seconds)
    return Path(name).stat().st_size


@app.task(retries=1, backoff=0.1)
def fail(name: str) -> str:
    """As long as there is no such file."""
    if not Path(name).exists():
        raise FileNotFoundError(name)
    return "well"
