"""For authors of adapters and for users' own tests. Needs pytest; nothing else of the package imports this."""

from __future__ import annotations

# ruff: noqa: E402  # the rewrite of assertions must be registered before the suites are imported
import pytest

# So that the suites' assertions explain themselves when they fail in somebody else's project.
_SUITES = ("backend_suite", "broker_harness", "broker_suite")
pytest.register_assert_rewrite(*(f"typeddingo.testing.{suite}" for suite in _SUITES))

from typeddingo.testing.backend_suite import BackendTestSuite
from typeddingo.testing.broker_suite import BrokerTestSuite
from typeddingo.testing.ledger import Audit, Ledger, audit
from typeddingo.testing.waiting import eventually, no_thread_left

__all__ = ["Audit", "BackendTestSuite", "BrokerTestSuite", "Ledger", "audit", "eventually", "no_thread_left"]
