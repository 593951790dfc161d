"""A RabbitMQ that tests may freeze, block and restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RabbitServer
from tests.servers.fixtures import started


@pytest.fixture(scope="package")
def own_rabbit() -> Iterator[RabbitServer]:
    with started(RabbitServer) as server:
        yield server
