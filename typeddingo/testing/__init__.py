"""For authors of adapters and for users' own tests. Nothing else of the package imports this.

The suites need pytest and are loaded when they are asked for: programs under test that keep a ledger do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typeddingo.testing.ledger import Audit, Ledger, audit
from typeddingo.testing.waiting import eventually, no_thread_left

if TYPE_CHECKING:
    from typeddingo.testing.backend_suite import BackendTestSuite
    from typeddingo.testing.broker_suite import BrokerTestSuite
else:
    _SUITES = {"BackendTestSuite": "backend_suite", "BrokerTestSuite": "broker_suite"}
    _HELPERS = ("broker_harness", "broker_life")

    def __getattr__(name):
        if name not in _SUITES:
            raise AttributeError(f"module 'typeddingo.testing' has no attribute {name!r}")
        import importlib

        import pytest

        # Before they are imported: their assertions shall explain themselves when they fail in somebody else's project.
        pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in (*_SUITES.values(), *_HELPERS)))
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_SUITES[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_SUITES})


__all__ = ["Audit", "BackendTestSuite", "BrokerTestSuite", "Ledger", "audit", "eventually", "no_thread_left"]
