"""docs/life.md shows a program that must be a file: its child processes import it."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from tests.docs.pages import ROOT, blocks

PAGE = blocks(ROOT / "docs" / "life.md")


def test_every_file_is_a_program_that_prints_what_stands_below_it(tmp_path: Path) -> None:
    files = [(block, after) for block, after in pairwise(PAGE) if block.file]
    assert files
    for block, after in files:
        program = tmp_path / block.file
        program.write_text(block.text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert after.language == "text"
        assert done.stdout == after.text
