"""A task's signature as its author wrote it. Comes from the registry, read by whoever runs or calls the task."""

from __future__ import annotations

from typing import NamedTuple

from typeddingo.app import App
from typeddingo.commands.inside import entries
from typeddingo.contract import Contract

__all__ = ["TaskLine", "task_lines", "written"]


class TaskLine(NamedTuple):
    """One task, in words."""

    name: str
    signature: str
    is_async: bool
    queue: str

    def __str__(self) -> str:
        return f"{'async ' if self.is_async else ''}{self.name}{self.signature}"

    def to_json(self) -> dict[str, object]:
        """For a program."""
        return {"name": self.name, "signature": self.signature, "async": self.is_async, "queue": self.queue}


class _Written(str):
    """An annotation that is a string because its module postpones evaluation: shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def task_lines(app: App) -> list[TaskLine]:
    """Every task of an app, in the order of their names."""
    return [
        TaskLine(entry.name, written(entry.contract), entry.contract.is_async, entry.queue) for entry in entries(app)
    ]


def written(contract: Contract) -> str:
    """``(a: int, b: int = 2) -> int``; an annotation that is not a postponed one is spelled as Python does."""
    native = contract.signature.native
    parameters = [p.replace(annotation=_unquoted(p.annotation)) for p in native.parameters.values()]
    return str(native.replace(parameters=parameters, return_annotation=_unquoted(native.return_annotation)))


def _unquoted(annotation: object) -> object:
    return _Written(annotation) if isinstance(annotation, str) else annotation
