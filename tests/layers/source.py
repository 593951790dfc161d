"""The package as text and syntax trees: what the other tests of this folder look at. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "typeddingo"


@dataclass(frozen=True)
class Module:
    """One source file. ``name`` is dotted, without the package: ``brokers.local``; empty for the package itself."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def imports(self, *, at_start: bool = False) -> Iterator[str]:
        """Every module that is imported anywhere in the file, by its full name; ``at_start``: only what is imported
        when the file is, not later by a function, nor for type checkers alone."""
        for node in self.tree.body if at_start else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: relative import; write the full name"
                assert node.module is not None
                for alias in node.names:
                    inside = f"{node.module}.{alias.name}"
                    yield inside if inside in FULL_NAMES else node.module

    def own_imports(self, *, at_start: bool = False) -> set[str]:
        """The modules of this package that are imported, without the package's name."""
        prefix = PACKAGE.name + "."
        return {name.removeprefix(prefix) for name in self.imports(at_start=at_start) if name.startswith(prefix)}

    def foreign_imports(self) -> set[str]:
        """The top-level packages of others that are imported."""
        return {name.partition(".")[0] for name in self.imports()} - {PACKAGE.name}


def _modules() -> Iterator[Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


MODULES = tuple(_modules())
FULL_NAMES = {f"{PACKAGE.name}.{module.name}" for module in MODULES if module.name}
