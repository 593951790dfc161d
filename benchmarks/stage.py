"""One system on an empty server: its caller's process and its worker. Comes from ``measure``; ends both at its end."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.environments import ROOT, python_of
from benchmarks.servers import Servers
from benchmarks.systems import System
from benchmarks.usage import cpu_seconds, memory_bytes
from tests.servers.process import Process

__all__ = ["Failed", "Stage"]


class Failed(Exception):
    """The system did not do what it was asked for; its log says why."""


class Stage:
    """A context manager. ``concurrency``: tasks that the worker runs at a time, 0 for the system's default."""

    def __init__(self, system: System, servers: Servers, concurrency: int = 0) -> None:
        self._system = system
        self._servers = servers
        self._directory = tempfile.TemporaryDirectory(prefix=f"tdg-bench-{system.driver}-")
        self._log = Path(self._directory.name, "log")
        self._environment = {
            **os.environ,
            **servers.empty(system),
            "BENCHMARK_CONCURRENCY": str(concurrency),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        self._worker: Process | None = None
        self.started = 0.0
        """When the worker was started (``time.monotonic``)."""

    def __enter__(self) -> Self:
        command = [str(python_of(self._system)), "-m", "benchmarks.peers", self._system.driver]
        with self._log.open("ab") as log:
            self._caller = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            self.hello = self.ask("hello")
        except Failed:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def ask(self, what: str, **how: object) -> dict[str, Any]:
        """Let the caller's process do something; returns what it measured. Raises ``Failed``."""
        assert self._caller.stdin is not None
        assert self._caller.stdout is not None
        try:
            self._caller.stdin.write(json.dumps({"do": what, **how}) + "\n")
            self._caller.stdin.flush()
            answer: dict[str, Any] = json.loads(self._caller.stdout.readline() or '{"error": "it ended"}')
        except BrokenPipeError:
            answer = {"error": "it ended"}
        if "error" in answer:
            raise Failed(f"{self._system.name}: {what}: {answer['error']}\n{self.log()}")
        return answer

    def start_worker(self) -> float:
        """Start it and wait until it has run what ``mark`` has left for it; returns how many seconds that took."""
        self.started = time.monotonic()
        self._worker = Process(
            self.hello["worker"], cwd=ROOT, log=self._log, env={**self._environment, "PYTHONUNBUFFERED": "1"}
        )
        return float(self.ask("started")["at"]) - self.started

    def cpu(self) -> dict[str, float]:
        """Seconds so far of caller, worker and server."""
        return {who: cpu_seconds(pid) for who, pid in self._pids().items()}

    def memory(self) -> dict[str, float]:
        """PSS of caller and worker, in MB."""
        return {who: memory_bytes(pid) / 1e6 for who, pid in self._pids().items() if who != "server"}

    def log(self) -> str:
        """The end of what both have printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def _pids(self) -> dict[str, int]:
        worker = {"worker": self._worker.pid} if self._worker else {}
        return {"caller": self._caller.pid, **worker, "server": self._servers.pid(self._system)}

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.stop(timeout=5)
            self._worker.kill()
        try:
            self._caller.communicate(timeout=5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._caller.kill()
            self._caller.communicate()
        self._directory.cleanup()
