"""Servers that fault tests may break, one of each a session, repaired after every test; and the table at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.faults.scale import LIMIT, ROUNDS
from tests.faults.scene import Scene
from tests.faults.technology import OnRabbit, OnRedis, Technology
from tests.servers import RabbitServer, RedisServer
from tests.servers.fixtures import started

HERE = Path(__file__).parent
FIGURES = "figures"
MATRIX = re.compile(r"test_F(?:[0-3]\d|4[0-6])_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.servers)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LIMIT))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What passes once may have been lucky: those that stand in the matrix of faults are run several times."""
    if ROUNDS > 1 and MATRIX.match(metafunc.function.__name__):
        metafunc.fixturenames.append("round")
        metafunc.parametrize("round", range(1, ROUNDS + 1), ids=lambda number: f"round {number}")


@pytest.fixture(scope="session")
def breakable_redis() -> Iterator[RedisServer]:
    with started(lambda: RedisServer(aof=True)) as server:
        yield server


@pytest.fixture(scope="session")
def breakable_rabbit() -> Iterator[RabbitServer]:
    with started(RabbitServer) as server:
        yield server


@pytest.fixture(params=["redis", "amqp"])
def technology(request: pytest.FixtureRequest) -> Technology:
    if request.param == "redis":
        return OnRedis(request.getfixturevalue("breakable_redis"))
    return OnRabbit(request.getfixturevalue("breakable_rabbit"))


@pytest.fixture
def scene(technology: Technology, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    scene = Scene(technology, tmp_path)
    try:
        yield scene
    finally:
        request.node.user_properties.append((FIGURES, dict(scene.figures)))
        scene.close()


_rows: dict[str, tuple[str, float, dict[str, Any]]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One row a test: its id is in its name."""
    name = report.nodeid.rpartition("::")[2]
    if not name.startswith("test_F"):
        return
    outcome, seconds, figures = _rows.get(name, ("passed", 0.0, {}))
    for key, value in report.user_properties:
        if key == FIGURES:
            figures = {**figures, **cast("dict[str, Any]", value)}
    if report.outcome != "passed":
        outcome = report.outcome
    _rows[name] = (outcome, seconds + report.duration, figures)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of docs/promises.md."""
    if not _rows:
        return
    terminalreporter.write_line("| fault | on | | seconds | figures |\n|---|---|---|---|---|")
    for name, (outcome, seconds, figures) in sorted(_rows.items()):
        where = name.partition("[")[2].rstrip("]").replace("guarded_", "").replace("rabbit", "amqp")
        words = ", ".join(text if key == "account" else f"{key} {text}" for key, text in figures.items())
        terminalreporter.write_line(f"| {name[5:8]} | {where} | {outcome} | {seconds:.1f} | {words} |")
