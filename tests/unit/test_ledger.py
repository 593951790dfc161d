"""The ledger: what many processes write stays whole, and the auditor finds every broken law."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from typeddingo.testing import Ledger, audit


def account(path: Path, *, sent: str = "", unknown: str = "", begun: str = "", ended: str = "") -> Path:
    ledger = Ledger(path)
    for ids, write in ((sent, ledger.sent), (unknown, ledger.unknown), (begun, ledger.begun), (ended, ledger.ended)):
        for id in ids:
            write(id)
    return path


def test_lines_are_written_as_they_are_documented(tmp_path: Path) -> None:
    path = account(tmp_path / "ledger", sent="a", unknown="b", begun="a", ended="a")
    assert path.read_text().splitlines() == ["S a", "U b", f"B a {os.getpid()}", f"E a {os.getpid()}"]


def test_an_account_without_faults_passes(tmp_path: Path) -> None:
    result = audit(account(tmp_path / "ledger", sent="abc", begun="abc", ended="abc"))
    result.check()
    assert (result.lost, result.invented, result.duplicates) == (frozenset(), frozenset(), 0)
    assert str(result) == "sent 3, unknown 0, completed 3, dead 0, duplicates 0"


def test_a_task_that_was_sent_and_never_ended_is_lost(tmp_path: Path) -> None:
    result = audit(account(tmp_path / "ledger", sent="abc", begun="abc", ended="ac"))
    assert result.lost == {"b"}
    with pytest.raises(AssertionError, match="L1: 1 sent and lost, for example b"):
        result.check()


def test_a_dead_lettered_task_is_not_lost(tmp_path: Path) -> None:
    audit(account(tmp_path / "ledger", sent="ab", begun="a", ended="a"), dead=["b"]).check()


def test_a_task_of_unknown_fate_may_run_or_not(tmp_path: Path) -> None:
    audit(account(tmp_path / "ledger", unknown="ab", begun="a", ended="a")).check()


@pytest.mark.parametrize("where", ["begun", "ended", "dead"])
def test_a_task_that_was_never_sent_is_invented(tmp_path: Path, where: str) -> None:
    path = account(
        tmp_path / "ledger", sent="a", begun="ax" if where == "begun" else "a", ended="ax" if where == "ended" else "a"
    )
    with pytest.raises(AssertionError, match="L2: 1 never sent, for example x"):
        audit(path, dead=["x"] if where == "dead" else []).check()


def test_starts_beyond_the_first_are_counted_against_what_is_allowed(tmp_path: Path) -> None:
    result = audit(account(tmp_path / "ledger", sent="ab", begun="aabbb", ended="aabbb"))
    assert result.duplicates == 3
    result.check(duplicates=3)
    with pytest.raises(AssertionError, match="L3: 3 starts too many, 2 allowed, for example a, b"):
        result.check(duplicates=2)


def test_several_files_are_one_account(tmp_path: Path) -> None:
    audit(account(tmp_path / "caller", sent="ab"), account(tmp_path / "worker", begun="ab", ended="ab")).check()


@pytest.mark.parametrize("id", ["", "two words", "new\nline", "x" * 5000])
def test_an_id_that_would_break_the_account_is_refused(tmp_path: Path, id: str) -> None:
    with pytest.raises(ValueError, match="expected an id without white space"):
        Ledger(tmp_path / "ledger").sent(id)


@pytest.mark.parametrize("line", ["X a", "S", "S a b", "B a", "E a 1 2"])
def test_a_line_that_is_none_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ledger"
    path.write_text(f"S a\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        audit(path)


def test_lines_of_many_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    program = (
        "import sys\n"
        "from typeddingo.testing.ledger import Ledger\n"
        "ledger = Ledger(sys.argv[1])\n"
        "for number in range(200): ledger.begun(f'{sys.argv[2]}-{number}-' + 'x' * 1000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), str(number)]) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    result = audit(path)
    assert len(result.begun) == 600
    assert result.duplicates == 0
