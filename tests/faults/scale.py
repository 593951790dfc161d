"""How large the faults are: small where every change is tested, full-size in ``scripts/faults``. One place for all."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T", int, float)

FULL = os.environ.get("TYPEDDINGO_FAULTS") in ("full", "all")
"""Set by ``scripts/faults``."""
ALL = os.environ.get("TYPEDDINGO_FAULTS") == "all"
"""The longest ones too: ``scripts/faults --all``."""

ROUNDS = int(os.environ.get("TYPEDDINGO_FAULT_ROUNDS", "1"))
"""How often each test is run."""


def pick(small: T, full: T) -> T:
    return full if FULL else small


LIMIT = pick(60, 300)
"""Seconds after which a test has failed, whatever it does."""
PATIENCE = pick(30.0, 120.0)
"""Seconds to wait for what must happen and usually does at once: a machine may be busy."""
LEASE = pick(1.0, 2.0)
"""Seconds after which Redis gives the tasks of a silent worker to others."""
HEARTBEAT = pick(2, 4)
"""Seconds between signs of life on a connection to RabbitMQ."""
MAX_DELIVERIES = pick(3, 5)
SLOTS = 4
"""Workers of one process: the W of the fault matrix."""
