"""What holds for every test."""

from __future__ import annotations

import pytest

from tests.leftovers import start_counting

pytest_plugins = ["tests.servers.fixtures"]


@pytest.fixture(autouse=True)
def _counts_its_own_threads() -> None:  # pyright: ignore[reportUnusedFunction]  # pytest uses it
    start_counting()
