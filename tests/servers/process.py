"""One server process that never outlives the test session, however that ends.

Comes from RedisServer and RabbitServer. The kernel kills the process when the thread that started it is gone
(PR_SET_PDEATHSIG), and that thread lives exactly as long as the session; a session that ends in peace ends it before.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from typeddingo.testing import eventually


class Missing(Exception):
    """The server's program is not installed."""


def find(*candidates: str) -> str:
    """The first of these programs that is installed; raises ``Missing``."""
    for candidate in candidates:
        if program := shutil.which(candidate):
            return program
    raise Missing(f"{candidates[-1]} is not installed")


class Process:
    """A child process with a log file and a process group of its own."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, log: Path, env: Mapping[str, str] | None = None) -> None:
        self._log = log
        guard = [find("setpriv"), "--pdeathsig", "KILL", "--"]
        with log.open("ab") as output:
            self._child = _started(
                lambda: subprocess.Popen(
                    [*guard, *argv],
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended; negative for the signal that ended it. Raises ``TimeoutExpired``."""
        return self._child.wait(timeout)

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> bool:
        """False when it ended before it was ready; raises ``AssertionError`` with its log when it takes too long."""
        try:
            eventually(lambda: not self.running or ready(), "the server is ready", timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        return self.running

    def stop(self, timeout: float = 20.0) -> None:
        """Ask it to end (SIGTERM), and insist after ``timeout`` seconds."""
        if self.running:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL to it and all it has started in its group."""
        if self.running:
            self.send(signal.SIGKILL)
        self._child.wait()

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nothing answers. Returns when all of its threads have stopped."""
        self.send(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        eventually(lambda: all(_state(task) in "TZX" for task in tasks.iterdir()), "it has stopped")

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        if self.running:
            os.killpg(self._child.pid, number)

    def log(self, last: int = 4000) -> str:
        """The end of what it printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-last:]


def _state(task: Path) -> str:
    """The letter of a thread's state; X: it is gone."""
    try:
        return (task / "stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "X"


_orders: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
_orders = queue.SimpleQueue()
_starter: threading.Thread | None = None
_lock = threading.Lock()


def _started(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    global _starter
    with _lock:
        if _starter is None:
            _starter = threading.Thread(target=_start_all, name="starter of servers", daemon=True)
            _starter.start()
    done: Future[subprocess.Popen[bytes]] = Future()
    _orders.put((start, done))
    return done.result(30)


def _start_all() -> None:
    while True:
        start, done = _orders.get()
        try:
            done.set_result(start())
        except BaseException as error:
            done.set_exception(error)
