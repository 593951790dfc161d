"""The census with workers in two other processes: the same numbers as in one, also when one of the two is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from examples.census import Census
from tests.cli.commands import Worker, environment
from tests.examples.programs import EXAMPLES, ROOT, run_example

LIMIT = 500
pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(180)]


def counted(file: Path) -> tuple[object, ...]:
    """All of the census but its duration."""
    census = TypeAdapter(Census).validate_json(file.read_bytes())
    assert len(census.modules) + len(census.failures) == LIMIT
    return census.root, census.modules, census.failures


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    file = tmp_path_factory.mktemp("census") / "census.json"
    done = run_example("census.py", "--limit", str(LIMIT), "--json", str(file))
    assert done.returncode == 0, done.stderr
    return counted(file)


@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_a_census_taken_elsewhere_is_the_same_when_a_worker_is_killed(
    request: pytest.FixtureRequest, technology: str, in_process: tuple[object, ...], tmp_path: Path
) -> None:
    url = str(request.getfixturevalue(f"{technology}_url")) + ("?lease=2" if technology == "redis" else "")
    file = tmp_path / "census.json"
    with Worker(ROOT, "examples.census:app", "--processes", "2", env={"TYPEDDINGO_URL": url}) as worker:
        worker.until("is ready")
        caller = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "census.py"), "--limit", str(LIMIT), "--url", url, "--json", str(file)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            worker.until("census.measure id=", times=50)
            victim = worker.children()[0]
            os.kill(victim, signal.SIGKILL)
            assert len(worker.saying("census.measure id=")) < LIMIT
            worker.until(f"process {victim} was killed by SIGKILL")
            printed, _ = caller.communicate(timeout=120)
        finally:
            caller.kill()
            caller.wait()
        assert caller.returncode == 0, printed
        assert worker.stop() == 0
    assert counted(file) == in_process
