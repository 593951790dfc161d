"""Memory and processor time of a process and its children."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.usage import cpu_seconds, memory_bytes
from typeddingo.testing import eventually

MIB = 1 << 20
PARENT = """
import subprocess, sys
child = "import sys; held = bytearray(b'x' * (40 << 20)); sum(range(9_000_000)); print(flush=True); sys.stdin.read()"
subprocess.run([sys.executable, "-c", child])
"""


@pytest.fixture
def parent() -> Iterator[int]:
    """Of a child that has used 40 MiB and some time, and has said so."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_what_a_child_holds_and_uses_is_its_parents(parent: int) -> None:
    assert memory_bytes(parent) > 40 * MIB
    assert cpu_seconds(parent) > 0.05


def test_this_process_gets_older() -> None:
    before = cpu_seconds(os.getpid())

    def older() -> bool:
        sum(range(1_000_000))
        return cpu_seconds(os.getpid()) > before

    eventually(older, "some time was used")


def test_a_process_that_has_ended_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert (memory_bytes(process.pid), cpu_seconds(process.pid)) == (0, 0)
