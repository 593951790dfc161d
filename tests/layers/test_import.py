"""What ``import typeddingo`` does, and above all what it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("cattrs", "cronsim", "hypothesis", "pika", "pytest", "redis", "rich", "unittest")

WATCH = """
import _thread, sys, threading
seen = []
def spy(*args, **kwargs):
    seen.append("thread")
    return start(*args, **kwargs)
names = [name for name in ("start_new_thread", "start_joinable_thread") if hasattr(_thread, name)]
start = getattr(_thread, names[-1])  # what threading uses: the joinable kind since Python 3.13
for name in names:
    setattr(_thread, name, spy)
    setattr(threading, "_" + name, spy)
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(("socket.", "subprocess.")) else None)
{0}
print(seen)
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def cpu_seconds(code: str) -> float:
    """Of a fresh interpreter that runs ``code``: the best of several, because a busy machine only ever adds to it."""
    measure = f"{code}\nimport time\nprint(time.process_time())"
    return min(float(run(measure)) for _ in range(5))


def test_importing_the_package_opens_no_socket_and_starts_no_thread_or_process() -> None:
    assert run(WATCH.format("import typeddingo")) == "[]"


@pytest.mark.parametrize(
    "deed",
    [
        "threading.Thread(target=int).start()",
        "import socket; socket.socket().close()",
        "import os; os.popen('true').close()",
    ],
)
def test_the_watch_notices_what_must_not_happen(deed: str) -> None:
    assert run(WATCH.format(deed)) != "[]"


@pytest.mark.parametrize("library", HEAVY)
def test_importing_the_package_leaves_heavy_libraries_alone(library: str) -> None:
    assert run(f"import typeddingo, sys; print({library!r} in sys.modules)") == "False"


def test_everything_the_package_promises_can_be_imported() -> None:
    assert run("import typeddingo as t; print([name for name in t.__all__ if not hasattr(t, name)])") == "[]"


@pytest.mark.slow
def test_importing_the_package_costs_at_most_half_as_much_again_as_pydantic() -> None:
    nothing = cpu_seconds("")
    assert cpu_seconds("import typeddingo") - nothing <= 1.5 * (cpu_seconds("import pydantic") - nothing)
