"""Both type checkers refuse what they must refuse, with a message that helps, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.typing import checkers
from tests.typing.checkers import Complaint, Complaints

TEXT = (Path(__file__).parent / "refused.txt").read_text(encoding="utf-8")
EXPECTATION = re.compile(r" *#  (?P<checker>mypy|pyright) +(?P<code>[\w-]+) +(?P<text>.+)")

pytestmark = pytest.mark.tools


def expected(checker: str) -> Complaints:
    """What stands below each line."""
    found: Complaints = {}
    line = 0
    for number, text in enumerate(TEXT.splitlines(), 1):
        if (match := EXPECTATION.fullmatch(text)) is None:
            line = number
        elif match["checker"] == checker:
            found.setdefault(line, []).append(Complaint(match["code"], match["text"]))
    return found


def test_every_refusal_is_expected_of_both_checkers() -> None:
    assert expected("mypy").keys() == expected("pyright").keys()
    assert len(expected("mypy")) > 80


@pytest.mark.parametrize("check", [checkers.mypy, checkers.pyright], ids=["mypy", "pyright"])
def test_what_must_be_refused_is_refused_and_nothing_else(check: Callable[[Path], Complaints], tmp_path: Path) -> None:
    file = tmp_path / "refused.py"
    file.write_text(TEXT, encoding="utf-8")
    said, wanted = check(file), expected(check.__name__)
    lines = TEXT.splitlines()
    wrong = [
        f"{lines[line - 1].strip()}: {complaint.code} {complaint.text}, not {said.get(line)}"
        for line, complaints in wanted.items()
        for complaint in complaints
        if not any(complaint.code == other.code and complaint.text in other.text for other in said.get(line, []))
    ]
    assert wrong == []
    assert {lines[line - 1]: said[line] for line in said.keys() - wanted.keys()} == {}
