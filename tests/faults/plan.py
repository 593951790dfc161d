"""What a worker program of a fault test must know. Comes from the test, travels in the environment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Self

from pydantic import TypeAdapter

from tests.faults.scale import SLOTS
from typeddingo.rhythm import CatchUp

VARIABLE = "FAULT_PLAN"


@dataclass(frozen=True, slots=True)
class Plan:
    url: str
    ledger: str
    """The file of the account."""
    backend: str | None = None
    tasks: tuple[str, ...] = ("note",)
    slots: int = SLOTS
    early: bool = False
    """``Ack.EARLY``."""
    die_before_receipt: str = ""
    """A file: the first process that finds it missing makes it, and kills itself between report and receipt."""
    die_after_join: str = ""
    """The same, of a process that has brought together the last part of a list, before it sends the next step."""
    clock: float = 0.0
    """Seconds by which the process is wrong about the time."""
    around: bool = False
    """With middleware and a lifespan, which "note" tells of."""
    every: float = 0.0
    """Seconds between the runs of the task "tick"; 0: there is none."""
    catch_up: CatchUp = "all"
    """Of that schedule."""
    deadline: float = 10.0
    """Seconds of ``close`` after SIGTERM."""

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> Self:
        return TypeAdapter(cls).validate_json(os.environ[VARIABLE])
