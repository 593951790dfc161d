"""The same worker for ``typeddingo worker tests.faults.app:app``, where a fault needs its supervisor."""

from __future__ import annotations

from tests.faults.plan import Plan
from tests.faults.tasks import build

app = build(Plan.from_environment())
