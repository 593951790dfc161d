"""Where a call stands that is a step of a pipeline. Made by the bridge that sends the first step, travels in the frame
of every step, read by the worker that ends one: it knows where the value goes next, and who waits for the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from typeddingo.errors import DecodeError

__all__ = ["Journey", "Step", "journey_of", "tree_of"]

MOST_STEPS = 1000
MOST_MEMBERS = 1_000_000_000


class Step(NamedTuple):
    """One step of a pipeline."""

    name: str
    """The task."""
    each: bool = False
    """It is run once for every value of a list, and gives the list of what these runs return."""


@dataclass(frozen=True, slots=True)
class Journey:
    """Immutable. The steps of a pipeline and the one that this call is."""

    id: str
    """What the caller knows the pipeline by."""
    steps: tuple[Step, ...]
    at: int = 0
    index: int = 0
    """Of a run for each: which value it is for."""
    count: int = 0
    """And how many there are."""

    @property
    def step(self) -> Step:
        return self.steps[self.at]

    @property
    def name(self) -> str:
        """What the caller waits for: the last step's name."""
        return self.steps[-1].name

    @property
    def is_last(self) -> bool:
        return self.at == len(self.steps) - 1

    @property
    def step_id(self) -> str:
        """The id of the step: the same however often it is sent. The first step has the pipeline's own."""
        return f"{self.id}.{self.at}" if self.at else self.id

    @property
    def call_id(self) -> str:
        """The id of this call: of the step, or of the run for one value of its list."""
        return f"{self.id}.{self.at}.{self.index}" if self.step.each else self.step_id

    @property
    def cancelled_as(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Names and ids under which this call is cancelled beside its own: the pipeline, and the step."""
        return (self.name, self.id), (self.step.name, self.step_id)

    @property
    def where(self) -> str:
        """For people: which step this is."""
        member = f", value {self.index + 1} of {self.count}" if self.step.each and self.count else ""
        return f"step {self.at + 1} of {len(self.steps)}{member}"

    def next(self) -> Journey:
        """At the step after this one."""
        return replace(self, at=self.at + 1, index=0, count=0)

    def member(self, index: int, count: int) -> Journey:
        """At one of the runs of this step."""
        return replace(self, index=index, count=count)


def tree_of(journey: Journey) -> dict[str, object]:
    """What travels: ``I`` the id, ``S`` the steps (one for each value in a list of its own), ``P`` the position, ``M``
    index and count of a run for each."""
    steps = [[step.name] if step.each else step.name for step in journey.steps]
    tree: dict[str, object] = {"I": journey.id, "S": steps, "P": journey.at}
    if journey.step.each:
        tree["M"] = [journey.index, journey.count]
    return tree


def journey_of(tree: object, name: str) -> Journey:
    """What has travelled to the task of this name. Raises ``DecodeError``."""
    if isinstance(tree, dict):
        members = cast("dict[str, object]", tree)
        id, named, at = members.get("I"), members.get("S"), members.get("P")
        if isinstance(id, str) and isinstance(named, list) and type(at) is int:
            items = cast("list[object]", named)
            if len(items) <= MOST_STEPS and 0 <= at < len(items):
                steps = tuple(_step(item) for item in items)
                index, count = _member(members.get("M"))
                if steps[at].name == name and steps[at].each == bool(count):
                    return Journey(id, steps, at, index, count)
    raise DecodeError("the steps of a pipeline are not what this project writes")


def _step(item: object) -> Step:
    match item:
        case str():
            return Step(item)
        case [str() as name]:
            return Step(name, each=True)
        case _:
            raise DecodeError("a step of a pipeline must be the name of a task, alone or in a list")


def _member(item: object) -> tuple[int, int]:
    match item:
        case None:
            return 0, 0
        case [int() as index, int() as count] if bool not in (type(index), type(count)):
            if 0 <= index < count <= MOST_MEMBERS:
                return index, count
        case _:
            pass
    raise DecodeError("the place in a list must be two whole numbers, the first one smaller")
