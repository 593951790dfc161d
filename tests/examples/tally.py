"""Counts a source file as the census does, by other means: bytes and tokens instead of text and syntax trees."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

CODE = re.compile(rb"(?!\s*(?:#|$))")
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Statement:
    """A logical line: its words, the rows it covers, and how deep it is indented."""

    words: tuple[str, ...]
    first: int
    last: int
    depth: int

    @property
    def defines_function(self) -> bool:
        return self.words[0] == "def" or self.words[:2] == ("async", "def")


@dataclass(frozen=True)
class Tally:
    lines: int
    code_lines: int
    functions: int
    classes: int
    longest: int
    imports: frozenset[str]
    async_functions: int
    withs: int
    decorators: int


def tally(path: Path) -> Tally:
    """``def``, ``class`` and ``with`` are keywords: a token that is spelled so can be nothing else."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = data.split(b"\n")[: -1 if data.endswith(b"\n") or not data else None]
    found = statements(data)
    return Tally(
        lines=len(lines),
        code_lines=sum(bool(CODE.match(line)) for line in lines),
        functions=sum(statement.words.count("def") for statement in found),
        classes=sum(statement.words.count("class") for statement in found),
        longest=max((length(found, at) for at, each in enumerate(found) if each.defines_function), default=0),
        imports=frozenset(name for statement in found for name in imported(statement.words)),
        async_functions=sum(statement.words[:2] == ("async", "def") for statement in found),
        withs=sum(statement.words.count("with") for statement in found),
        decorators=sum(statement.words[0] == "@" for statement in found),
    )


def statements(data: bytes) -> list[Statement]:
    found: list[Statement] = []
    words: list[tokenize.TokenInfo] = []
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(data.decode()).readline):
        if token.type == tokenize.NEWLINE and words:
            found.append(Statement(tuple(t.string for t in words), words[0].start[0], words[-1].end[0], depth))
            words = []
        elif token.type in (tokenize.INDENT, tokenize.DEDENT):
            depth += 1 if token.type == tokenize.INDENT else -1
        elif token.type not in LAYOUT and token.type != tokenize.NEWLINE:
            words.append(token)
    return found


def length(found: list[Statement], at: int) -> int:
    """Rows from a ``def`` to the last statement that is indented below it."""
    last = found[at].last
    for inner in found[at + 1 :]:
        if inner.depth <= found[at].depth:
            break
        last = inner.last
    return last - found[at].first + 1


def imported(words: tuple[str, ...]) -> set[str]:
    """Top-level names of what a statement imports; several may stand on one line (``try: import a``)."""
    names: set[str] = set()
    for part in re.split(r" ; | : (?=import |from )|^\w+ : ", " ".join(words)):
        if match := re.match(r"import (.+)", part):
            names.update(name.split(" ")[0] for name in match[1].split(" , "))
        elif match := re.match(r"from (\w+)(?: \. \w+)* import ", part):
            names.add(match[1])
    return names
