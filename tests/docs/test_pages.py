"""Every page is a program: its Python blocks are run in order, and print what stands below them."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARK = "--- block ---"


def below(block: Block, page: list[Block]) -> str:
    """The output shown right below a block; nothing, if none is shown."""
    following = next((after for before, after in pairwise(page) if before is block), None)
    return following.text if following and following.language == "text" and following.heading == block.heading else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_python_block_runs_and_prints_what_stands_below_it(page: Path, tmp_path: Path) -> None:
    found = blocks(page)
    shown = [block for block in found if block.language == "python" and not block.file]
    program = tmp_path / "shop.py"
    program.write_text(f"\nprint({MARK!r})\n".join(block.text for block in shown), encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", str(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split(MARK + "\n") == ([below(block, found) for block in shown] or [""])


@pytest.mark.tools
def test_what_the_pages_show_is_typed(tmp_path: Path) -> None:
    programs: list[str] = []
    for page in PAGES:
        shown = [block.text for block in blocks(page) if block.language == "python" and not block.file]
        programs.append(page.stem.replace("-", "_").lower() + "_page.py")
        (tmp_path / programs[-1]).write_text("\n".join(shown) or "pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *programs]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_block_is_of_a_kind_that_is_tested(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {"python", "text", "console", "ini", "yaml"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not leads(page, link)] == []


def leads(page: Path, link: str) -> bool:
    """The file is there, and so is the heading."""
    file, _, heading = link.partition("#")
    target = page.parent / file if file else page
    return target.exists() and (not heading or heading in anchors(target))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
