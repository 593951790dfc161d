"""Which technologies a fault test runs on; both, unless it says otherwise."""

from __future__ import annotations

import pytest

from tests.faults.scale import ALL

redis_only = pytest.mark.parametrize("technology", ["redis"], indirect=True)
amqp_only = pytest.mark.parametrize("technology", ["amqp"], indirect=True)
long = pytest.mark.skipif(not ALL, reason="scripts/faults --all runs it")
