"""The in-memory backend keeps the contract of every backend, and its own promises."""

from __future__ import annotations

from typeddingo.backends.local import LocalBackend
from typeddingo.testing import BackendTestSuite


class TestLocalBackend(BackendTestSuite):
    quiet = 0.02

    def make_backend(self) -> LocalBackend:
        return LocalBackend()
