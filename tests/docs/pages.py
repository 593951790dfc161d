"""Markdown pages as a list of fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the line it begins on and the heading it stands under."""

    language: str
    text: str
    line: int
    heading: str

    @property
    def file(self) -> str:
        """The file it shows, when its first line is a comment that names one: it is saved, not run."""
        named = re.match(r"# (\w+\.py)\n", self.text)
        return named[1] if named else ""


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    heading = ""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    for number, line in lines:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("```"):
            inside: list[str] = []
            for _, text in lines:
                if text == "```":
                    break
                inside.append(text + "\n")
            found.append(Block(line.removeprefix("```"), "".join(inside), number, heading))
    return found
