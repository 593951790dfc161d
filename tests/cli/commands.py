"""Runs ``typeddingo`` as a user does: in a folder, in a process of its own. A warning is an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from typeddingo.testing import eventually

COMMAND = [sys.executable, "-W", "error", "-m", "typeddingo"]


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


def run(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "", timeout: float = 60
) -> Done:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Worker:
    """``typeddingo worker``, from its start to the end of the ``with``; then it is gone, whatever it did."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "worker", *arguments],
            cwd=folder,
            env=environment(env),
            stdin=subprocess.PIPE,  # a terminal at which nobody types
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        """What it has said so far."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self._process.pid

    def children(self) -> list[int]:
        """The worker processes that are alive."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def saying(self, *words: str) -> list[str]:
        """The lines that hold all of these words."""
        return [line for line in list(self.lines) if all(word in line for word in words)]

    def until(self, *words: str, times: int = 1, timeout: float = 30) -> str:
        """Wait until it has said this so often; returns the last such line."""
        try:
            eventually(lambda: len(self.saying(*words)) >= times, timeout=timeout)
        except AssertionError:
            raise AssertionError(f"never said {words}, but:\n{''.join(self.lines)}") from None
        return self.saying(*words)[times - 1]

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def ended(self, timeout: float = 20) -> int:
        """Wait for its end; the exit code."""
        code = self._process.wait(timeout)
        self._reader.join(timeout)
        return code

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """One signal, and the exit code that comes of it."""
        self.send(number)
        return self.ended(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(15)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)


def is_alive(pid: int) -> bool:
    """It runs: a process that has ended and that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
